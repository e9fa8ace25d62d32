/* Benchmarks of our own nodes, one figure each as a JSON line:
 *   handshakes SECONDS     connections made and ended a second, 16 dialling nodes against one
 *   stream MIB             bytes a second over one stream of direct messages of 64,000 bytes
 *   latency N              publish to inbox, half a round trip over two nodes
 *   memory CLIENTS         private memory of an idle node, and per idle neighbour (another process)
 *   boundary N             messages a second out of a full inbox, of 200 bytes, in batches
 */
#include "bench.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOCAL_DIALERS 16

static kp2p_node *local_node(const char *topic, const char *bootstrap, const char *const (*more)[2])
{
	kp2p_config *c = kp2p_config_new();
	if (bootstrap == NULL)
		bench_set(c, "listen", "/ip4/127.0.0.1/tcp/0");
	else
		bench_set(c, "bootstrap", bootstrap);
	if (topic != NULL)
		bench_set(c, "topic", topic);
	for (; more != NULL && (*more)[0] != NULL; more++)
		bench_set(c, (*more)[0], (*more)[1]);
	kp2p_node *n = bench_start(c);
	kp2p_config_free(c);
	return n;
}

static char *local_address(kp2p_node *n)
{
	char *text = kp2p_node_info(n, "listen_addrs", NULL);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void local_end(kp2p_node *n)
{
	kp2p_node_close(n, 0, -1);
	kp2p_node_free(n);
}

/* --- handshakes ----------------------------------------------------------------------------------
 */

static void local_handshakes(double seconds)
{
	kp2p_node *server = local_node(NULL, NULL, NULL), *clients[LOCAL_DIALERS];
	char *address = local_address(server), *id = kp2p_node_info(server, "peer_id", NULL);
	uint64_t done = 0, failed = 0;
	for (int i = 0; i < LOCAL_DIALERS; i++) {
		kp2p_config *c = kp2p_config_new();
		clients[i] = bench_start(c);
		kp2p_config_free(c);
	}
	double start = bench_now(), cpu = bench_cpu_ms();
	for (int i = 0; i < LOCAL_DIALERS; i++)
		kp2p_node_request(clients[i], KP2P_OP_CONNECT, address, SIZE_MAX, NULL, 0, 5000, 1,
		                  NULL);
	while (bench_now() - start < seconds) {
		for (int i = 0; i < LOCAL_DIALERS; i++) {
			kp2p_event *ev = kp2p_node_poll(clients[i], 0, i == 0 ? 1 : 0);
			if (ev == NULL)
				continue;
			int connected = kp2p_event_int(ev, KP2P_F_TOKEN) == 1;
			if (connected && kp2p_event_int(ev, KP2P_F_CODE) == 0)
				done++;
			else if (connected)
				failed++;
			kp2p_events_free(&ev, 1);
			kp2p_node_request(clients[i],
			                  connected ? KP2P_OP_DISCONNECT : KP2P_OP_CONNECT,
			                  connected ? id : address, SIZE_MAX, NULL, 0, 5000,
			                  connected ? 2 : 1, NULL);
		}
	}
	double took = bench_now() - start;
	printf("{\"bench\":\"handshakes\",\"per_second\":%.0f,\"failed\":%llu,\"cpu_us_both_ends\":"
	       "%.1f}\n",
	       (double)done / took, (unsigned long long)failed,
	       done ? (bench_cpu_ms() - cpu) * 1e3 / (double)done : 0.0);
	for (int i = 0; i < LOCAL_DIALERS; i++)
		local_end(clients[i]);
	local_end(server);
	kp2p_free(address);
	kp2p_free(id);
}

/* --- stream --------------------------------------------------------------------------------------
 */

static int local_wait(kp2p_node *n, int type, int64_t token)
{
	for (;;) {
		kp2p_event *ev = kp2p_node_poll(n, 0, 10000);
		if (ev == NULL)
			return -1;
		int hit = kp2p_event_type(ev) == type &&
		          (token == 0 || kp2p_event_int(ev, KP2P_F_TOKEN) == token);
		int code = (int)kp2p_event_int(ev, KP2P_F_CODE);
		kp2p_events_free(&ev, 1);
		if (hit)
			return code;
	}
}

static void local_stream(uint64_t mib)
{
	static char data[64000];
	kp2p_node *server = local_node(NULL, NULL, NULL);
	char *address = local_address(server), *id = kp2p_node_info(server, "peer_id", NULL);
	kp2p_node *client = local_node(NULL, address, NULL);
	kp2p_node_request(server, KP2P_OP_ADD_PROTOCOL, "/bench/1", SIZE_MAX, NULL, 0, 1000, 0,
	                  NULL);
	kp2p_node_request(client, KP2P_OP_CONNECT, address, SIZE_MAX, NULL, 0, 5000, 1, NULL);
	local_wait(client, KP2P_EV_COMPLETE, 1);
	uint64_t n = mib * 1048576 / sizeof data, got = 0, bytes = 0;
	double start = bench_now(), cpu = bench_cpu_ms();
	kp2p_sender *s = kp2p_sender_new(client, NULL);
	uint64_t sent = 0;
	while (got < n) {
		while (sent < n && sent - got < 512 &&
		       kp2p_sender_send(s, id, "/bench/1", data, sizeof data, 0, 0, NULL) >= 0)
			sent++;
		kp2p_event *ev[64];
		int k = kp2p_node_poll_batch(server, 0, ev, 64, 100);
		for (int i = 0; i < k; i++) {
			if (kp2p_event_type(ev[i]) != KP2P_EV_MESSAGE)
				continue;
			got++;
			bytes += kp2p_event_bytes(ev[i], KP2P_F_PAYLOAD).len;
		}
		if (k > 0)
			kp2p_events_free(ev, (size_t)k);
		if (k == 0 && bench_now() - start > 60)
			break;
	}
	double took = bench_now() - start;
	printf("{\"bench\":\"stream\",\"mb_per_second\":%.0f,\"lost\":%llu,\"cpu_ns_per_byte\":%."
	       "3f}\n",
	       (double)bytes / took / 1e6, (unsigned long long)(n - got),
	       (bench_cpu_ms() - cpu) * 1e6 / (double)(bytes ? bytes : 1));
	kp2p_sender_free(s);
	local_end(client);
	local_end(server);
	kp2p_free(address);
	kp2p_free(id);
}

/* --- latency -------------------------------------------------------------------------------------
 */

static int local_by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void local_latency(int n)
{
	kp2p_node *a = local_node("latency", NULL, NULL);
	char *address = local_address(a);
	kp2p_node *b = local_node("latency", address, NULL);
	kp2p_sender *sa = kp2p_sender_new(a, NULL), *sb = kp2p_sender_new(b, NULL);
	double *us = calloc((size_t)n, sizeof *us);
	char text[64];
	for (int i = -20; i < n; i++) { /* the first are for warming up */
		int len = snprintf(text, sizeof text, "ping %d", i);
		double start = bench_now();
		bench_must(kp2p_sender_publish(sa, "latency", text, (size_t)len, 0, -1, NULL), NULL,
		           "a");
		bench_must(local_wait(b, KP2P_EV_MESSAGE, 0), NULL, "b hears");
		text[1] = 'o';
		bench_must(kp2p_sender_publish(sb, "latency", text, (size_t)len, 0, -1, NULL), NULL,
		           "b");
		bench_must(local_wait(a, KP2P_EV_MESSAGE, 0), NULL, "a hears");
		if (i >= 0)
			us[i] = (bench_now() - start) * 1e6 / 2;
	}
	qsort(us, (size_t)n, sizeof *us, local_by_value);
	printf("{\"bench\":\"latency\",\"us_p50\":%.1f,\"us_p99\":%.1f}\n", us[n / 2],
	       us[n * 99 / 100]);
	free(us);
	kp2p_sender_free(sa);
	kp2p_sender_free(sb);
	local_end(b);
	local_end(a);
	kp2p_free(address);
}

/* --- memory --------------------------------------------------------------------------------------
 */

/* Private anonymous memory of this process, KiB. */
static long local_rss_anon(void)
{
	char line[256];
	long kib = -1;
	FILE *f = fopen("/proc/self/status", "r");
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "RssAnon: %ld", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kib;
}

static void local_clients(const char *address, int n)
{
	kp2p_node **nodes = calloc((size_t)n, sizeof *nodes);
	static const char *const small[][2] = {
	        {"kad.mode", "client"}, {"workers", "1"}, {NULL, NULL}};
	for (int i = 0; i < n; i++)
		nodes[i] = local_node("idle", address, small);
	pause(); /* the parent ends us */
}

static void local_memory(int clients)
{
	char most[32];
	snprintf(most, sizeof most, "%d", clients * 2 + 10);
	const char *const roomy[][2] = {
	        {"max_connections", most}, {"connections.trim_to", most}, {NULL, NULL}};
	long before = local_rss_anon();
	kp2p_node *n = local_node("idle", NULL, roomy);
	char *address = local_address(n);
	sleep(2);
	long idle = local_rss_anon();
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		char self[256], count[32];
		ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
		self[len > 0 ? len : 0] = '\0';
		snprintf(count, sizeof count, "%d", clients);
		execl(self, self, "clients", address, count, (char *)NULL);
		_exit(1);
	}
	long connected = 0;
	for (int i = 0; i < 120 && connected < clients; i++) {
		sleep(1);
		char *text = kp2p_node_info(n, "topics", NULL);
		char *at = text ? strstr(text, "\"subscribers\":") : NULL;
		connected = at ? strtol(at + 14, NULL, 10) : 0;
		kp2p_free(text);
	}
	sleep(10);
	long held = local_rss_anon();
	printf("{\"bench\":\"memory\",\"idle_node_kib\":%ld,\"connections\":%ld,\"kib_per_"
	       "connection\":%.2f}\n",
	       idle - before, connected,
	       connected ? (double)(held - idle) / (double)connected : 0.0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	local_end(n);
	kp2p_free(address);
}

/* --- boundary ------------------------------------------------------------------------------------
 */

static long local_number(kp2p_node *n, const char *what, const char *name)
{
	char *text = kp2p_node_info(n, what, NULL);
	char *at = text ? strstr(text, name) : NULL;
	long value = at ? strtol(at + strlen(name), NULL, 10) : 0;
	kp2p_free(text);
	return value;
}

/* Publishes n messages of 200 bytes, never so many at a time that a slow peer would lose some. */
static void local_fill(kp2p_node *from, kp2p_node *to, long n)
{
	char text[200];
	kp2p_sender *s = kp2p_sender_new(from, NULL);
	memset(text, 'x', sizeof text);
	while (local_number(from, "topics", "\"subscribers\":") == 0)
		usleep(1000);
	for (long i = 0; i < n; i++) {
		memcpy(text, &i, sizeof i);
		int r = kp2p_sender_publish(s, "boundary", text, sizeof text, 0, -1, NULL);
		bench_must(r, NULL, "publish");
		while (i % 1000 == 999 &&
		       local_number(to, "stats", "\"inbox_messages\":") < i - 2000)
			usleep(1000);
	}
	while (local_number(to, "stats", "\"inbox_messages\":") < n)
		usleep(1000);
	kp2p_sender_free(s);
}

/* Fills an inbox and, once all is there, empties it: what the ABI costs, without the network. */
static void local_boundary(long n)
{
	const char *const roomy[][2] = {{"signature", "strict_no_sign"},
	                                {"inbox.max_messages", "100000000"},
	                                {"inbox.max_bytes", "8GiB"},
	                                {"inbox.total_bytes", "8GiB"},
	                                {NULL, NULL}};
	kp2p_node *a = local_node("boundary", NULL, roomy);
	char *address = local_address(a);
	kp2p_node *b = local_node("boundary", address, roomy);
	uint64_t got = 0, bytes = 0;
	kp2p_event *ev[256];
	local_fill(b, a, n);
	double start = bench_now();
	for (int k = 1; k > 0 && got < (uint64_t)n; got += (uint64_t)k) {
		k = kp2p_node_poll_batch(a, 0, ev, 256, 0);
		for (int i = 0; i < k; i++)
			bytes += kp2p_event_bytes(ev[i], KP2P_F_PAYLOAD).len;
		kp2p_events_free(ev, (size_t)k);
	}
	printf("{\"bench\":\"boundary\",\"per_second\":%.0f,\"bytes\":%llu}\n",
	       (double)got / (bench_now() - start), (unsigned long long)bytes);
	local_end(b);
	local_end(a);
	kp2p_free(address);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long amount = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	if (strcmp(what, "handshakes") == 0)
		local_handshakes(amount ? (double)amount : 5);
	else if (strcmp(what, "stream") == 0)
		local_stream(amount ? (uint64_t)amount : 1024);
	else if (strcmp(what, "latency") == 0)
		local_latency(amount ? (int)amount : 2000);
	else if (strcmp(what, "memory") == 0)
		local_memory(amount ? (int)amount : 300);
	else if (strcmp(what, "boundary") == 0)
		local_boundary(amount ? amount : 200000);
	else if (strcmp(what, "clients") == 0 && argc > 3)
		local_clients(argv[2], atoi(argv[3]));
	else
		return fprintf(stderr, "usage: bench_local "
		                       "handshakes|stream|latency|memory|boundary [AMOUNT]\n"),
		       2;
	return 0;
}
