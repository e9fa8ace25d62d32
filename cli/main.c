/* karakp2p: a node for the terminal, key files, and the simulator. Built on the public ABI alone;
 * only sim.c links the core. */
#include "cli.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char main_help[] =
        "karakp2p: peer-to-peer messages over libp2p (GossipSub and Kademlia)\n"
        "\n"
        "  karakp2p node [OPTIONS]    run a node: lines in are published, messages are printed\n"
        "  karakp2p key new FILE      make an identity\n"
        "  karakp2p key id FILE       print the peer id of an identity\n"
        "  karakp2p sim [OPTIONS]     run a whole network in the deterministic simulator\n"
        "  karakp2p --version         versions of the library and of what it uses\n"
        "  karakp2p COMMAND --help    more about a command\n";

int cli_fail(const char *what, int code, kp2p_error *err)
{
	const char *text = kp2p_error_message(err);
	fprintf(stderr, "karakp2p: %s: %s\n", what, text[0] ? text : kp2p_strerror(code));
	kp2p_error_free(err);
	return code == KP2P_EINVAL ? EXIT_MISUSED : EXIT_FAILED;
}

int cli_misused(const char *sub, const char *format, ...)
{
	va_list args;
	fprintf(stderr, "karakp2p%s%s: ", sub[0] ? " " : "", sub);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, " (see karakp2p%s%s --help)\n", sub[0] ? " " : "", sub);
	return EXIT_MISUSED;
}

static int main_run(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = {{"node", cli_node}, {"key", cli_key}, {"sim", cli_sim}};

	if (argc < 2) {
		fputs(main_help, stderr);
		return EXIT_MISUSED;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		fputs(main_help, stdout);
		return EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("karakp2p %s\n", kp2p_version());
		return EXIT_OK;
	}
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 2, argv + 2);
	return cli_misused("", "unknown command \"%s\"; the commands are node, key and sim",
	                   argv[1]);
}

/* A reader that has left a pipe has what it wanted. */
static bool main_reader_left(void)
{
	struct pollfd out = {STDOUT_FILENO, POLLOUT, 0};
	return poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

int main(int argc, char **argv)
{
	signal(SIGXFSZ, SIG_IGN); /* a file may grow no more: told like a full disk */
	int code = main_run(argc, argv);
	if ((fflush(stdout) == 0 && !ferror(stdout)) || main_reader_left())
		return code;
	fprintf(stderr, "karakp2p: cannot write to the standard output (a full disk?)\n");
	return code != EXIT_OK ? code : EXIT_FAILED;
}
