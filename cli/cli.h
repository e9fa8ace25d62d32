/* The subcommands. Each gets its own arguments (without its name) and returns the exit status:
 * 0 done, 1 failure, 2 usage. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>

#include <karakp2p.h>

#define EXIT_OK      0
#define EXIT_FAILED  1
#define EXIT_MISUSED 2

int cli_key(int argc, char **argv);
int cli_node(int argc, char **argv);
int cli_sim(int argc, char **argv);

/* Prints "karakp2p: WHAT: WHY" to standard error and frees err. Returns the fitting exit status: 2
 * for a bad argument, else 1. */
int cli_fail(const char *what, int code, kp2p_error *err);

/* "karakp2p SUB: TEXT (see karakp2p SUB --help)" to standard error; returns EXIT_MISUSED. */
int cli_misused(const char *sub, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The key in a key file, the caller's (cli_key_free); NULL after a message to standard error. With
 * create, a missing file is made with a new key, mode 0600. */
char *cli_key_load(const char *path, bool create);
void cli_key_free(char *key); /* wipes it */

#endif
