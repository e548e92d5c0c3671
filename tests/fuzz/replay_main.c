/* Runs a fuzz target over files and folders of inputs, so that every build replays every corpus
 * without libFuzzer.
 *
 * Usage: replay FILE_OR_FOLDER... Each regular file is one input; folders are read one level deep,
 * in name order. Exits with 1 when a path cannot be read or there was no input at all: an empty
 * corpus is a mistake, not a pass. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs;

static int replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        return 1;
    }
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    /* The exact size on the heap, so that a sanitizer sees a read past the end. */
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    if (size < 0 || data == NULL || fread(data, 1, (size_t)size, f) != (size_t)size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        free(data);
        fclose(f);
        return 1;
    }
    fclose(f);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    inputs++;
    return 0;
}

static int replay_folder(const char *path) {
    struct dirent **entries;
    int failures = 0;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        perror(path);
        return 1;
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        struct stat st;
        int n = snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        if (n > 0 && (size_t)n < sizeof(file) && stat(file, &st) == 0 && S_ISREG(st.st_mode)) {
            failures += replay_file(file);
        }
        free(entries[i]);
    }
    free(entries);
    return failures;
}

int main(int argc, char **argv) {
    int failures = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) != 0) {
            perror(argv[i]);
            failures++;
        } else {
            failures += S_ISDIR(st.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i]);
        }
    }
    printf("%zu inputs replayed\n", inputs);
    return failures > 0 || inputs == 0;
}
