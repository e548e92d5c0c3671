/* The kalam program: statements from the command line, a file, standard input or a prompt, and
 * their results. */
#ifndef KL_CLI_H
#define KL_CLI_H

int kl_cli_main(int argc, char **argv); /* returns the exit code */

#endif
