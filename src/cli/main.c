/* Entry of the kalam program; everything is in cli.c, so that tests can link it. */
#include "cli/cli.h"

int main(int argc, char **argv) {
    return kl_cli_main(argc, argv);
}
