/* Finding and loading libduckdb.so.
 *
 * Places, in order: $KALAMDB_DUCKDB_LIBRARY (a path; alone when it is set), the loader's own search
 * for "libduckdb.so", which begins with the executable's RUNPATH ($ORIGIN/../lib/kalamdb when
 * installed), and the build folder that this file was compiled for. The library is never unloaded:
 * DuckDB keeps threads and static state of its own. */
#include "duck/lib.h"
#include "duck/duck.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

struct kl_dk kl_dk;

static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;
static bool loaded; /* guarded by load_lock */

static void *open_library(struct kl_err *err) {
    /* Ignored when the program runs with more rights than its caller. */
    const char *override = secure_getenv("KALAMDB_DUCKDB_LIBRARY");
    void *handle;
    if (override && *override) {
        handle = dlopen(override, RTLD_NOW | RTLD_LOCAL);
    } else {
        handle = dlopen("libduckdb.so", RTLD_NOW | RTLD_LOCAL);
#ifdef KL_DUCKDB_LIBRARY_HINT
        if (!handle) {
            handle = dlopen(KL_DUCKDB_LIBRARY_HINT, RTLD_NOW | RTLD_LOCAL);
        }
#endif
    }
    if (!handle) {
        const char *why = dlerror();
        kl_fail(err, KL_E_INTERNAL, "cannot load the analytical engine: %s",
            why ? why : "no reason given");
        kl_err_hint(
            err, "run scripts/setup.sh, or set KALAMDB_DUCKDB_LIBRARY to the path of libduckdb.so");
    }
    return handle;
}

static enum kl_rc load_once(struct kl_err *err) {
    void *handle = open_library(err);
    if (!handle) {
        return KL_E_INTERNAL;
    }
    struct kl_dk table;
#define X(fn)                                                                                      \
    table.fn = (__typeof__(table.fn))dlsym(handle, "duckdb_" #fn);                                 \
    if (!table.fn) {                                                                               \
        dlclose(handle);                                                                           \
        kl_fail(err, KL_E_INTERNAL, "the analytical engine has no function duckdb_" #fn);          \
        kl_err_hint(err, "this libduckdb.so is not the pinned version: run scripts/setup.sh");     \
        return KL_E_INTERNAL;                                                                      \
    }
    KL_DK_FUNCTIONS(X)
#undef X
    kl_dk = table;
    loaded = true;
    return KL_OK;
}

enum kl_rc kl_duck__load(struct kl_err *err) {
    pthread_mutex_lock(&load_lock);
    enum kl_rc rc = loaded ? KL_OK : load_once(err);
    pthread_mutex_unlock(&load_lock);
    return rc;
}

const char *kl_duck_version(void) {
    pthread_mutex_lock(&load_lock);
    const char *version = loaded ? kl_dk.library_version() : "";
    pthread_mutex_unlock(&load_lock);
    return version;
}
