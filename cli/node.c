/* karakp2p node: one thread, one poll over standard input and the inbox of the node. Standard input
 * is read only while the send queue takes what was read (back-pressure instead of loss). */
#include "cli.h"
#include "node_command.h"
#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NODE_DRAIN_MS 2000
#define NODE_BATCH    256

static const char node_help[] =
        "karakp2p node [OPTIONS]\n"
        "\n"
        "  --listen MULTIADDR     address to listen on, e.g. /ip4/0.0.0.0/tcp/4001 (repeatable)\n"
        "  --bootstrap MULTIADDR  a known node, ending in /p2p/PEERID (repeatable)\n"
        "  --topic TOPIC          topic to subscribe to; the first is the one published to "
        "(repeatable)\n"
        "  --identity FILE        key file; made when it does not exist\n"
        "  --idle-timeout S       seconds after which an unused connection is closed (0 = never)\n"
        "  --set KEY=VALUE        any configuration key (docs/config.md)\n"
        "  --json                 one JSON object a line on standard output\n"
        "\n"
        "Each line on standard input is published to the first topic. Lines that start with / are "
        "commands:\n"
        "  /peers /scores /stats /mesh /sub TOPIC /unsub TOPIC /find PEER /ping PEER /quit     (// "
        "escapes "
        "a slash)\n"
        "The end of the input keeps the node running; SIGINT and SIGTERM stop it gracefully.\n";

static _Atomic int64_t node_stop_id;

static void node_on_signal(int sig)
{
	(void)sig;
	kp2p_stop(node_stop_id);
}

static void node_catch_signals(kp2p_node *n)
{
	struct sigaction sa;
	memset(&sa, 0, sizeof sa);
	sa.sa_handler = node_on_signal;
	node_stop_id = kp2p_node_stop_id(n);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN); /* a closed pipe behind us is an error of write, not our death */
}

/* --- arguments
 * ------------------------------------------------------------------------------------ */

/* One option into the config. Returns 0 or the exit status. */
static int node_set(kp2p_config *cfg, const char *flag, const char *key, const char *value)
{
	kp2p_error *e = NULL;
	int r = kp2p_config_set(cfg, key, value, &e);
	return r < 0 ? cli_fail(flag, r, e) : 0;
}

static int node_set_pair(kp2p_config *cfg, const char *pair)
{
	char key[128];
	const char *eq = strchr(pair, '=');
	if (eq == NULL || eq == pair || (size_t)(eq - pair) >= sizeof key)
		return cli_misused("node", "--set takes KEY=VALUE, not \"%s\"", pair);
	memcpy(key, pair, (size_t)(eq - pair));
	key[eq - pair] = '\0';
	return node_set(cfg, "--set", key, eq + 1);
}

static int node_set_identity(kp2p_config *cfg, const char *path)
{
	kp2p_error *e = NULL;
	char *key = cli_key_load(path, true);
	if (key == NULL)
		return EXIT_FAILED;
	int r = kp2p_config_set(cfg, "identity", key, &e);
	cli_key_free(key);
	if (r == 0)
		return 0;
	cli_fail(path, r, e);
	return EXIT_FAILED; /* the file is wrong, not the command line */
}

static int node_option(kp2p_config *cfg, struct node_command *nc, const char *flag,
                       const char *value)
{
	if (strcmp(flag, "--listen") == 0)
		return node_set(cfg, flag, "listen", value);
	if (strcmp(flag, "--bootstrap") == 0)
		return node_set(cfg, flag, "bootstrap", value);
	if (strcmp(flag, "--idle-timeout") == 0)
		return node_set(cfg, flag, "idle_timeout", value);
	if (strcmp(flag, "--identity") == 0)
		return node_set_identity(cfg, value);
	if (strcmp(flag, "--set") == 0)
		return node_set_pair(cfg, value);
	if (nc->topic == NULL)
		nc->topic = value;
	return node_set(cfg, flag, "topic", value);
}

/* Parses everything before anything is started. -1 = go on, else the exit status. */
static int node_arguments(int argc, char **argv, kp2p_config *cfg, struct node_command *nc)
{
	static const char *const valued[] = {"--listen",   "--bootstrap",    "--topic",
	                                     "--identity", "--idle-timeout", "--set"};
	bool json = false;
	for (int i = 0; i < argc; i++) {
		bool takes_value = false;
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(node_help, stdout);
			return EXIT_OK;
		}
		if (strcmp(argv[i], "--json") == 0) {
			json = true;
			continue;
		}
		for (size_t k = 0; k < sizeof valued / sizeof valued[0]; k++)
			takes_value |= strcmp(argv[i], valued[k]) == 0;
		if (!takes_value)
			return cli_misused("node", "unknown option \"%s\"", argv[i]);
		if (i + 1 == argc)
			return cli_misused("node", "%s needs a value", argv[i]);
		int r = node_option(cfg, nc, argv[i], argv[i + 1]);
		if (r != 0)
			return r;
		i++;
	}
	out_init(json);
	return -1;
}

/* --- the loop
 * ------------------------------------------------------------------------------------- */

/* Lines as they come from standard input, up to the largest message that could be sent. */
struct node_input {
	char *buf;
	size_t n, cap;
	bool eof;
	bool skipping; /* the rest of a line that was too long */
};

#define NODE_LINE_MAX ((size_t)16 * 1024 * 1024)

static void node_input_read(struct node_input *in)
{
	if (in->cap - in->n < 65536 && in->cap < NODE_LINE_MAX + 65536) {
		size_t cap = in->cap ? in->cap * 2 : 131072;
		char *buf = realloc(in->buf, cap);
		if (buf != NULL) {
			in->buf = buf;
			in->cap = cap;
		}
	}
	if (in->buf == NULL) {
		out_error("standard input", "no memory to read it");
		in->eof = true;
		return;
	}
	if (in->n == in->cap) { /* no line this long can be published */
		out_error("standard input", "a line is longer than 16 MiB; it is not published");
		in->n = 0;
		in->skipping = true;
	}
	ssize_t r = read(STDIN_FILENO, in->buf + in->n, in->cap - in->n);
	if (r > 0)
		in->n += (size_t)r;
	else if (r == 0 || (errno != EINTR && errno != EAGAIN))
		in->eof = true;
}

/* Hands over complete lines until the send queue is full. False when it is. */
static bool node_input_lines(struct node_input *in, struct node_command *nc)
{
	size_t from = 0;
	bool room = true;
	while (room && from < in->n) {
		char *end = memchr(in->buf + from, '\n', in->n - from);
		if (end == NULL && !in->eof)
			break;
		size_t len = end ? (size_t)(end - (in->buf + from)) : in->n - from;
		if (in->skipping)
			in->skipping = false;
		else
			room = node_command_line(nc, in->buf + from, len);
		if (room)
			from += len + (end ? 1 : 0);
	}
	in->n -= from;
	if (in->n > 0)
		memmove(in->buf, in->buf + from, in->n);
	return room;
}

/* Takes everything that waits in the inbox. False once the node is closed. */
static bool node_drain(kp2p_node *n, struct node_command *nc)
{
	kp2p_event *ev[NODE_BATCH];
	int k;
	while ((k = kp2p_node_poll_batch(n, 0, ev, NODE_BATCH, 0)) > 0) {
		for (int i = 0; i < k; i++)
			node_command_event(nc, ev[i]);
		kp2p_events_free(ev, (size_t)k);
	}
	return k == 0 || k == KP2P_EINTR;
}

static void node_loop(kp2p_node *n, struct node_command *nc)
{
	struct node_input in = {0};
	bool room = true;
	while (node_drain(n, nc)) {
		struct pollfd fds[2] = {{.fd = kp2p_node_inbox_fd(n, 0), .events = POLLIN},
		                        {.fd = -1, .events = POLLIN}};
		if (!room)
			fds[1].fd = kp2p_sender_fd(nc->sender);
		else if (!in.eof)
			fds[1].fd = STDIN_FILENO;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (!(fds[1].revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		if (room)
			node_input_read(&in);
		room = node_input_lines(&in, nc);
	}
	free(in.buf);
}

static int node_run(kp2p_node *n, struct node_command *nc)
{
	kp2p_error *e = NULL;
	node_catch_signals(n);
	int r = kp2p_node_start(n, &e);
	if (r < 0) {
		out_error("start", kp2p_error_message(e));
		kp2p_error_free(e);
		return r == KP2P_ECLOSED ? EXIT_OK : EXIT_FAILED;
	}
	nc->node = n;
	nc->sender = kp2p_sender_new(n, &e);
	if (nc->sender == NULL)
		return cli_fail("sender", kp2p_error_code(e), e);
	node_command_listening(nc);
	node_loop(n, nc);
	kp2p_sender_free(nc->sender);
	kp2p_node_close(n, NODE_DRAIN_MS, -1);
	node_command_closed(nc);
	return EXIT_OK;
}

int cli_node(int argc, char **argv)
{
	kp2p_error *e = NULL;
	struct node_command nc = {0};
	kp2p_config *cfg = kp2p_config_new();
	if (cfg == NULL)
		return cli_fail("config", KP2P_ENOMEM, NULL);
	kp2p_config_set(cfg, "events", "peers,log", NULL);
	kp2p_config_set(cfg, "log.level", "warn", NULL);
	int status = node_arguments(argc, argv, cfg, &nc);
	if (status >= 0) {
		kp2p_config_free(cfg);
		return status;
	}
	kp2p_node *n = kp2p_node_new(cfg, &e);
	kp2p_config_free(cfg);
	if (n == NULL)
		return cli_fail("node", kp2p_error_code(e), e);
	status = node_run(n, &nc);
	kp2p_node_free(n);
	return status;
}
