/* A gossip peer for throughput, speaking the line protocol of tests/interop/peers: the same run can
 * then be made with any stock peer at either end.
 *   --listen MA --bootstrap MA --topic T --sink    and on standard input: /window N SIZE W, /stats,
 * /quit A sink counts, and acknowledges on "<topic>-ack" every 64 messages and after 50 ms of
 * silence. */
#include "bench.h"

#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#define PEER_BATCH     256
#define PEER_ACK_EVERY 64
#define PEER_SILENCE_S 0.05
#define PEER_STALL_S   10.0

static struct {
	kp2p_node *node;
	kp2p_sender *sender;
	const char *topic;
	char ack_topic[256];
	bool sink, quit;
	uint64_t received, bytes, acked_at, acked; /* acked: by the far sink */
	double first, last;
	unsigned counter;
} peer;

static void peer_ack(void)
{
	char text[64];
	int n = snprintf(text, sizeof text, "%llu", (unsigned long long)peer.received);
	kp2p_sender_publish(peer.sender, peer.ack_topic, text, (size_t)n, 0, -1, NULL);
	peer.acked_at = peer.received;
}

static void peer_message(kp2p_event *ev)
{
	kp2p_bytes topic = kp2p_event_bytes(ev, KP2P_F_TOPIC);
	kp2p_bytes data = kp2p_event_bytes(ev, KP2P_F_PAYLOAD);
	char text[32];
	if (topic.len == strlen(peer.topic) && memcmp(topic.ptr, peer.topic, topic.len) == 0) {
		peer.last = bench_now();
		if (peer.received++ == 0)
			peer.first = peer.last;
		peer.bytes += data.len;
		if (peer.sink && peer.received - peer.acked_at >= PEER_ACK_EVERY)
			peer_ack();
	} else if (data.len < sizeof text) {
		memcpy(text, data.ptr, data.len);
		text[data.len] = '\0';
		uint64_t acked = strtoull(text, NULL, 10);
		peer.acked = acked > peer.acked ? acked : peer.acked;
	}
}

/* Whatever waits, after at most timeout_ms. */
static void peer_take(int timeout_ms)
{
	kp2p_event *ev[PEER_BATCH];
	int k = kp2p_node_poll_batch(peer.node, 0, ev, PEER_BATCH, timeout_ms);
	for (int i = 0; i < k; i++) {
		if (kp2p_event_type(ev[i]) == KP2P_EV_MESSAGE)
			peer_message(ev[i]);
		else if (kp2p_event_type(ev[i]) == KP2P_EV_PUBLISHED)
			fprintf(stderr, "publish failed: %s\n",
			        kp2p_strerror((int)kp2p_event_int(ev[i], KP2P_F_CODE)));
	}
	if (k > 0)
		kp2p_events_free(ev, (size_t)k);
	peer.quit |= k == KP2P_ECLOSED;
	if (peer.sink && peer.received != peer.acked_at && bench_now() - peer.last > PEER_SILENCE_S)
		peer_ack();
}

static void peer_window(uint64_t n, size_t size, uint64_t window)
{
	char *data = malloc(size + 32);
	uint64_t base = peer.acked, sent = 0;
	double start = bench_now(), cpu = bench_cpu_ms(), progress = start;
	memset(data, 'x', size + 32);
	while (peer.acked - base < n && bench_now() - progress < PEER_STALL_S) {
		uint64_t before = peer.acked;
		while (sent < n && sent - (peer.acked - base) < window) {
			int head = snprintf(data, 32, "%d %u ", (int)getpid(), peer.counter++);
			data[head] = 'x';
			int r = kp2p_sender_publish(peer.sender, peer.topic, data,
			                            size < (size_t)head ? (size_t)head : size, 0,
			                            1000, NULL);
			bench_must(r, NULL, "publish");
			sent++;
		}
		peer_take(100);
		if (peer.acked != before)
			progress = bench_now();
	}
	printf("{\"event\":\"window\",\"sent\":%llu,\"acked\":%llu,\"seconds\":%.6f,\"cpu_ms\":%."
	       "3f}\n",
	       (unsigned long long)sent, (unsigned long long)(peer.acked - base),
	       bench_now() - start, bench_cpu_ms() - cpu);
	fflush(stdout);
	free(data);
}

static void peer_stats(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	printf("{\"event\":\"stats\",\"received\":%llu,\"bytes\":%llu,\"first_ns\":%.0f,\"last_"
	       "ns\":%.0f,"
	       "\"cpu_user_ms\":%.3f,\"cpu_sys_ms\":%.3f}\n",
	       (unsigned long long)peer.received, (unsigned long long)peer.bytes, peer.first * 1e9,
	       peer.last * 1e9, (double)u.ru_utime.tv_sec * 1e3 + (double)u.ru_utime.tv_usec / 1e3,
	       (double)u.ru_stime.tv_sec * 1e3 + (double)u.ru_stime.tv_usec / 1e3);
	fflush(stdout);
}

/* Subscribers of the topic, so that the driver can wait until both ends know each other. */
static void peer_subscribers(void)
{
	char *text = kp2p_node_info(peer.node, "topics", NULL);
	printf("{\"event\":\"topics\",\"topics\":%s}\n", text ? text : "[]");
	fflush(stdout);
	kp2p_free(text);
}

static void peer_line(char *line)
{
	unsigned long long n, size, window;
	if (sscanf(line, "/window %llu %llu %llu", &n, &size, &window) == 3)
		peer_window(n, (size_t)size, window);
	else if (strncmp(line, "/stats", 6) == 0)
		peer_stats();
	else if (strncmp(line, "/topics", 7) == 0)
		peer_subscribers();
	else if (strncmp(line, "/quit", 5) == 0)
		peer.quit = true;
}

static void peer_listening(void)
{
	char *id = kp2p_node_info(peer.node, "peer_id", NULL);
	char *addrs = kp2p_node_info(peer.node, "listen_addrs", NULL);
	addrs[strcspn(addrs, "\n")] = '\0';
	printf("{\"event\":\"listening\",\"peer\":\"%s\",\"addrs\":[\"%s\"]}\n", id, addrs);
	fflush(stdout);
	kp2p_free(id);
	kp2p_free(addrs);
}

int main(int argc, char **argv)
{
	char line[256];
	kp2p_config *c = kp2p_config_new();
	peer.topic = "bench";
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--sink") == 0) {
			peer.sink = true;
		} else if (i + 1 < argc && strncmp(argv[i], "--", 2) == 0) {
			bench_set(c, argv[i] + 2, argv[i + 1]);
			if (strcmp(argv[i], "--topic") == 0)
				peer.topic = argv[i + 1];
			i++;
		}
	}
	snprintf(peer.ack_topic, sizeof peer.ack_topic, "%s-ack", peer.topic);
	bench_set(c, "topic", peer.ack_topic);
	peer.node = bench_start(c);
	peer.sender = kp2p_sender_new(peer.node, NULL);
	kp2p_config_free(c);
	peer_listening();
	while (!peer.quit) {
		struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
		                        {.fd = kp2p_node_inbox_fd(peer.node, 0), .events = POLLIN}};
		if (poll(fds, 2, 50) >= 0) {
			peer_take(0);
			if ((fds[0].revents & POLLIN) && fgets(line, sizeof line, stdin) != NULL)
				peer_line(line);
		}
	}
	kp2p_sender_free(peer.sender);
	kp2p_node_close(peer.node, 2000, -1);
	kp2p_node_free(peer.node);
	puts("{\"event\":\"closed\"}");
	return 0;
}
