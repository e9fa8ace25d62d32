#include "node_command.h"

#include "json.h"
#include "out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- introspection
 * --------------------------------------------------------------------------------- */

static char *nc_info(struct node_command *nc, const char *what)
{
	kp2p_error *e = NULL;
	char *text = kp2p_node_info(nc->node, what, &e);
	if (text == NULL)
		out_error(what, kp2p_error_message(e));
	kp2p_error_free(e);
	return text;
}

static kp2p_bytes nc_bytes(json j)
{
	kp2p_bytes b = {j.p, j.n};
	return b;
}

static bool nc_has(json list, const char *text)
{
	json rest = json_inside(list), item;
	while (text != NULL && json_next(&rest, NULL, &item))
		if (json_text(item).n == strlen(text) &&
		    memcmp(json_text(item).p, text, strlen(text)) == 0)
			return true;
	return false;
}

/* The ids of the connected peers whose list `member` ("topics", "mesh") names the topic; all peers
 * when member is NULL. Returns how many. */
static size_t nc_peer_ids(json peers, const char *member, const char *topic, bool print)
{
	json rest = json_inside(peers), peer;
	size_t n = 0;
	while (json_next(&rest, NULL, &peer)) {
		if (member != NULL && !nc_has(json_get(peer, member), topic))
			continue;
		if (print)
			out_item(nc_bytes(json_text(json_get(peer, "peer"))));
		n++;
	}
	return n;
}

/* The peer ids of the routing table. */
static size_t nc_table_ids(json routing, bool print)
{
	json peers = json_inside(json_get(routing, "peers")), peer;
	size_t n = 0;
	for (; json_next(&peers, NULL, &peer); n++) {
		if (print)
			out_item(nc_bytes(json_text(peer)));
	}
	return n;
}

static void nc_peers(struct node_command *nc)
{
	char *peers_text = nc_info(nc, "peers"), *routing_text = nc_info(nc, "routing");
	if (peers_text == NULL || routing_text == NULL)
		goto out;
	json peers = json_of(peers_text), routing = json_of(routing_text);
	if (out_is_json()) {
		static const char *const lists[][2] = {
		        {"connected", NULL}, {"mesh", "mesh"}, {"subscribers", "topics"}};
		out_begin("peers");
		for (size_t i = 0; i < 3; i++) {
			out_list_begin(lists[i][0]);
			nc_peer_ids(peers, lists[i][1], nc->topic, true);
			out_list_end();
		}
		out_list_begin("table");
		nc_table_ids(routing, true);
		out_list_end();
		out_end();
	} else {
		out_line(OUT_NAME, "connected %zu, subscribers %zu, mesh %zu, routing table %zu",
		         nc_peer_ids(peers, NULL, NULL, false),
		         nc_peer_ids(peers, "topics", nc->topic, false),
		         nc_peer_ids(peers, "mesh", nc->topic, false),
		         nc_table_ids(routing, false));
		json rest = json_inside(peers), peer, addr;
		while (json_next(&rest, NULL, &peer)) {
			json id = json_text(json_get(peer, "peer"));
			json addrs = json_inside(json_get(peer, "addrs"));
			if (!json_next(&addrs, NULL, &addr))
				addr = (json){"", 0};
			out_line(OUT_PLAIN, "  %.*s  %.*s", (int)id.n, id.p, (int)json_text(addr).n,
			         json_text(addr).p);
		}
	}
out:
	kp2p_free(peers_text);
	kp2p_free(routing_text);
}

static void nc_stats(struct node_command *nc)
{
	char *text = nc_info(nc, "stats");
	if (text == NULL)
		return;
	json rest = json_inside(json_of(text)), key, value;
	char name[64];
	if (out_is_json())
		out_begin("stats");
	while (json_next(&rest, &key, &value)) {
		if (key.n >= sizeof name)
			continue;
		memcpy(name, key.p, key.n);
		name[key.n] = '\0';
		if (out_is_json())
			out_int(name, strtoll(value.p, NULL, 10));
		else if (strtoll(value.p, NULL, 10) != 0)
			out_line(OUT_PLAIN, "  %-32s %.*s", name, (int)value.n, value.p);
	}
	if (out_is_json())
		out_end();
	kp2p_free(text);
}

/* What each connected peer is worth, and why. */
static void nc_scores(struct node_command *nc)
{
	char *text = nc_info(nc, "peers");
	if (text == NULL)
		return;
	if (out_is_json()) {
		out_begin("scores");
		out_raw("peers", text);
		out_end();
	}
	json rest = json_inside(json_of(text)), peer;
	while (!out_is_json() && json_next(&rest, NULL, &peer)) {
		json id = json_text(json_get(peer, "peer")), score = json_get(peer, "score");
		json parts = json_get(peer, "score_parts");
		json p5 = json_get(parts, "p5"), p6 = json_get(parts, "p6");
		json p7 = json_get(parts, "p7"), topics = json_get(parts, "topics");
		out_line(OUT_PLAIN, "  %.*s  %.*s  (topics %.*s, p5 %.*s, p6 %.*s, p7 %.*s)",
		         (int)id.n, id.p, (int)score.n, score.p, (int)topics.n, topics.p, (int)p5.n,
		         p5.p, (int)p6.n, p6.p, (int)p7.n, p7.p);
	}
	kp2p_free(text);
}

static void nc_mesh(struct node_command *nc)
{
	char *topics_text = nc_info(nc, "topics"), *peers_text = nc_info(nc, "peers");
	if (topics_text == NULL || peers_text == NULL)
		goto out;
	json rest = json_inside(json_of(topics_text)), topic;
	while (json_next(&rest, NULL, &topic)) {
		char name[512];
		json t = json_text(json_get(topic, "topic"));
		size_t n = t.n < sizeof name - 1 ? t.n : sizeof name - 1;
		memcpy(name, t.p, n);
		name[n] = '\0';
		if (out_is_json()) {
			out_begin("mesh");
			out_bytes("topic", nc_bytes(t));
			out_list_begin("peers");
			nc_peer_ids(json_of(peers_text), "mesh", name, true);
			out_list_end();
			out_end();
		} else {
			out_line(OUT_NAME, "%s: %zu in the mesh of %zu subscribers", name,
			         nc_peer_ids(json_of(peers_text), "mesh", name, false),
			         nc_peer_ids(json_of(peers_text), "topics", name, false));
		}
	}
out:
	kp2p_free(topics_text);
	kp2p_free(peers_text);
}

/* --- requests
 * -------------------------------------------------------------------------------------- */

static struct node_request *nc_request_of(struct node_command *nc, int64_t token)
{
	for (size_t i = 0; i < NODE_REQUESTS_MAX; i++)
		if (nc->requests[i].token == token)
			return &nc->requests[i];
	return NULL;
}

static void nc_request_done(struct node_request *rq)
{
	for (size_t i = 0; i < rq->n_addrs; i++)
		free(rq->addrs[i]);
	free(rq->addrs);
	free(rq->arg);
	memset(rq, 0, sizeof *rq);
}

static void nc_request(struct node_command *nc, int op, const char *what, const char *arg)
{
	kp2p_error *e = NULL;
	struct node_request *rq = nc_request_of(nc, 0);
	if (rq == NULL) {
		out_error(what, "too many requests are under way");
		return;
	}
	rq->token = ++nc->next_token;
	rq->op = op;
	rq->arg = strdup(arg);
	int r = kp2p_node_request(nc->node, op, arg, SIZE_MAX, NULL, 0, 30000, rq->token, &e);
	if (r < 0) {
		out_error(what, kp2p_error_message(e));
		nc_request_done(rq);
	}
	kp2p_error_free(e);
}

static void nc_found(struct node_request *rq)
{
	if (!out_is_json()) {
		if (rq->n_addrs == 0)
			out_line(OUT_BAD, "%s not found", rq->arg);
		for (size_t i = 0; i < rq->n_addrs; i++)
			out_line(OUT_PLAIN, "%s is at %s", rq->arg, rq->addrs[i]);
		return;
	}
	out_begin(rq->n_addrs > 0 ? "found" : "notfound");
	out_str("peer", rq->arg);
	if (rq->n_addrs > 0) {
		out_list_begin("addrs");
		for (size_t i = 0; i < rq->n_addrs; i++)
			out_item((kp2p_bytes){rq->addrs[i], strlen(rq->addrs[i])});
		out_list_end();
	}
	out_end();
}

static void nc_pong(struct node_request *rq, kp2p_event *ev)
{
	double ms = (double)kp2p_event_int(ev, KP2P_F_RTT_US) / 1000.0;
	if (!out_is_json()) {
		out_line(OUT_GOOD, "%s answered after %.3f ms", rq->arg, ms);
		return;
	}
	out_begin("pong");
	out_str("peer", rq->arg);
	out_real("ms", ms);
	out_end();
}

/* Subscribed, unsubscribed: a line each, so that a script can wait for it. */
static void nc_topic_done(struct node_request *rq)
{
	const char *what = rq->op == KP2P_OP_SUBSCRIBE ? "subscribed" : "unsubscribed";
	if (!out_is_json()) {
		out_line(OUT_GOOD, "%s: %s", what, rq->arg);
		return;
	}
	out_begin(what);
	out_str("topic", rq->arg);
	out_end();
}

static void nc_complete(struct node_command *nc, kp2p_event *ev)
{
	struct node_request *rq = nc_request_of(nc, kp2p_event_int(ev, KP2P_F_TOKEN));
	int code = (int)kp2p_event_int(ev, KP2P_F_CODE);
	if (rq == NULL)
		return;
	kp2p_bytes addr = kp2p_event_bytes(ev, KP2P_F_ADDR),
	           text = kp2p_event_bytes(ev, KP2P_F_TEXT);
	if (rq->op == KP2P_OP_DHT_FIND_PEER && code == 0 && addr.ptr != NULL) {
		char **grown = realloc(rq->addrs, (rq->n_addrs + 1) * sizeof *grown);
		if (grown != NULL)
			rq->addrs = grown;
		char *copy = grown != NULL ? strndup(addr.ptr, addr.len) : NULL;
		if (copy != NULL)
			rq->addrs[rq->n_addrs++] = copy;
	}
	if (kp2p_event_int(ev, KP2P_F_FLAGS) & KP2P_FLAG_MORE)
		return;
	if (rq->op == KP2P_OP_DHT_FIND_PEER && (code == 0 || code == KP2P_ENOTFOUND)) {
		nc_found(rq);
	} else if (code != 0) {
		char why[512];
		size_t n = text.len < sizeof why - 1 ? text.len : sizeof why - 1;
		memcpy(why, text.ptr ? text.ptr : "", n);
		why[n] = '\0';
		out_error(rq->arg, n > 0 ? why : kp2p_strerror(code));
	} else if (rq->op == KP2P_OP_PING) {
		nc_pong(rq, ev);
	} else {
		nc_topic_done(rq);
	}
	nc_request_done(rq);
}

/* --- events
 * ---------------------------------------------------------------------------------------- */

static void nc_message(kp2p_event *ev)
{
	kp2p_bytes data = kp2p_event_bytes(ev, KP2P_F_PAYLOAD),
	           from = kp2p_event_bytes(ev, KP2P_F_FROM);
	kp2p_bytes topic = kp2p_event_bytes(ev, KP2P_F_TOPIC), id = kp2p_event_bytes(ev, KP2P_F_ID);
	if (!out_is_json()) {
		if (out_is_utf8(data))
			out_line(OUT_PLAIN, "%.*s …%s: %.*s", (int)topic.len, topic.ptr,
			         out_short_peer(from), (int)data.len, data.ptr);
		else
			out_line(OUT_PLAIN, "%.*s …%s: %zu bytes", (int)topic.len, topic.ptr,
			         out_short_peer(from), data.len);
		return;
	}
	out_begin("message");
	out_bytes("topic", topic);
	out_bytes("from", from);
	out_bytes("via", kp2p_event_bytes(ev, KP2P_F_VIA));
	out_str("id", out_id(id));
	if (!(kp2p_event_int(ev, KP2P_F_FLAGS) & KP2P_FLAG_NO_SEQ)) {
		char seq[24];
		uint64_t v = (uint64_t)kp2p_event_int(ev, KP2P_F_SEQ);
		size_t at = sizeof seq - 1;
		seq[at] = '\0';
		do
			seq[--at] = (char)('0' + v % 10);
		while ((v /= 10) > 0);
		out_str("seqno", seq + at);
	}
	out_int("size", (int64_t)data.len);
	out_base64("data", data);
	if (out_is_utf8(data))
		out_bytes("text", data);
	out_end();
}

static void nc_peer(kp2p_event *ev, bool up)
{
	kp2p_bytes peer = kp2p_event_bytes(ev, KP2P_F_FROM),
	           addr = kp2p_event_bytes(ev, KP2P_F_ADDR);
	kp2p_bytes why = kp2p_event_bytes(ev, KP2P_F_TEXT);
	if (!out_is_json()) {
		out_line(OUT_DIM, "%s …%s %.*s%s%.*s", up ? "connected" : "disconnected",
		         out_short_peer(peer), (int)addr.len, addr.ptr, up ? "" : ": ",
		         (int)why.len, why.ptr ? why.ptr : "");
		return;
	}
	out_begin(up ? "connected" : "disconnected");
	out_bytes("peer", peer);
	out_bytes("addr", addr);
	if (!up)
		out_bytes("why", why);
	out_end();
}

static void nc_published(kp2p_event *ev)
{
	int code = (int)kp2p_event_int(ev, KP2P_F_CODE);
	kp2p_bytes id = kp2p_event_bytes(ev, KP2P_F_ID);
	if (code != 0 && out_is_json()) { /* which one it was */
		out_begin("error");
		out_str("what", "publish");
		out_str("why", kp2p_strerror(code));
		out_bytes("topic", kp2p_event_bytes(ev, KP2P_F_TOPIC));
		if (id.len > 0)
			out_str("id", out_id(id));
		out_end();
	} else if (code != 0) {
		out_error("publish", kp2p_strerror(code));
	} else if (out_is_json()) {
		out_begin("published");
		out_bytes("topic", kp2p_event_bytes(ev, KP2P_F_TOPIC));
		out_str("id", out_id(id));
		out_int("peers", kp2p_event_int(ev, KP2P_F_COUNT));
		out_end();
	} else {
		out_line(OUT_DIM, "published to %lld peers",
		         (long long)kp2p_event_int(ev, KP2P_F_COUNT));
	}
}

/* Warnings, and whatever else --set log.level asks for. */
static void nc_log(kp2p_event *ev)
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	char text[1024];
	int64_t level = kp2p_event_int(ev, KP2P_F_CODE);
	kp2p_bytes b = kp2p_event_bytes(ev, KP2P_F_TEXT);
	snprintf(text, sizeof text, "%.*s", (int)b.len, b.ptr);
	if (level <= KP2P_LOG_WARN) {
		out_error("node", text);
	} else if (out_is_json()) {
		out_begin("log");
		out_str("level", levels[level <= KP2P_LOG_DEBUG ? level : KP2P_LOG_DEBUG]);
		out_str("text", text);
		out_end();
	} else {
		out_line(OUT_DIM, "%s", text);
	}
}

void node_command_event(struct node_command *nc, kp2p_event *ev)
{
	switch (kp2p_event_type(ev)) {
	case KP2P_EV_MESSAGE:
	case KP2P_EV_VALIDATE:
		nc_message(ev);
		break;
	case KP2P_EV_PUBLISHED:
		nc_published(ev);
		break;
	case KP2P_EV_PEER_UP:
	case KP2P_EV_PEER_DOWN:
		nc_peer(ev, kp2p_event_type(ev) == KP2P_EV_PEER_UP);
		break;
	case KP2P_EV_COMPLETE:
		nc_complete(nc, ev);
		break;
	case KP2P_EV_LOG:
		nc_log(ev);
		break;
	case KP2P_EV_DROPPED:
		if (out_is_json()) {
			out_begin("dropped");
			out_int("count", kp2p_event_int(ev, KP2P_F_COUNT));
			out_end();
		} else {
			out_line(OUT_BAD, "%lld messages were dropped: read faster",
			         (long long)kp2p_event_int(ev, KP2P_F_COUNT));
		}
		break;
	default:
		break;
	}
}

void node_command_listening(struct node_command *nc)
{
	char *peer = nc_info(nc, "peer_id"), *addrs = nc_info(nc, "listen_addrs");
	if (peer == NULL || addrs == NULL)
		goto out;
	if (out_is_json()) {
		out_begin("listening");
		out_str("peer", peer);
		out_list_begin("addrs");
	} else {
		out_line(OUT_NAME, "peer id %s", peer);
	}
	for (char *p = addrs; *p != '\0';) {
		size_t n = strcspn(p, "\n");
		if (n > 0 && out_is_json())
			out_item((kp2p_bytes){p, n});
		else if (n > 0)
			out_line(OUT_PLAIN, "listening on %.*s", (int)n, p);
		p += n + (p[n] == '\n');
	}
	if (out_is_json()) {
		out_list_end();
		out_end();
	}
out:
	kp2p_free(peer);
	kp2p_free(addrs);
}

void node_command_closed(struct node_command *nc)
{
	for (size_t i = 0; i < NODE_REQUESTS_MAX; i++)
		nc_request_done(&nc->requests[i]);
	if (out_is_json()) {
		out_begin("closed");
		out_end();
	} else {
		out_line(OUT_DIM, "closed");
	}
}

/* --- lines
 * ----------------------------------------------------------------------------------------- */

static bool nc_publish(struct node_command *nc, const char *data, size_t len)
{
	kp2p_error *e = NULL;
	if (nc->topic == NULL) {
		out_error("publish", "this node has no topic: start it with --topic TOPIC");
		return true;
	}
	int r = kp2p_sender_publish(nc->sender, nc->topic, data, len, ++nc->next_token, 0, &e);
	if (r < 0 && r != KP2P_EAGAIN)
		out_error("publish", kp2p_error_message(e));
	kp2p_error_free(e);
	return r != KP2P_EAGAIN;
}

static void nc_slash(struct node_command *nc, char *line)
{
	static const struct {
		const char *name;
		int op;
		const char *takes;
	} requests[] = {{"/sub", KP2P_OP_SUBSCRIBE, "takes a topic"},
	                {"/unsub", KP2P_OP_UNSUBSCRIBE, "takes a topic"},
	                {"/find", KP2P_OP_DHT_FIND_PEER, "takes a peer id"},
	                {"/ping", KP2P_OP_PING, "takes a peer id"}};
	char *arg = line + strcspn(line, " ");
	if (*arg != '\0')
		*arg++ = '\0';
	arg += strspn(arg, " ");
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		if (strcmp(line, requests[i].name) != 0)
			continue;
		if (*arg != '\0')
			nc_request(nc, requests[i].op, line, arg);
		else
			out_error(line, requests[i].takes);
		return;
	}
	if (strcmp(line, "/peers") == 0)
		nc_peers(nc);
	else if (strcmp(line, "/stats") == 0)
		nc_stats(nc);
	else if (strcmp(line, "/mesh") == 0)
		nc_mesh(nc);
	else if (strcmp(line, "/scores") == 0)
		nc_scores(nc);
	else if (strcmp(line, "/quit") == 0)
		kp2p_stop(kp2p_node_stop_id(nc->node));
	else
		out_error(line,
		          "unknown command; there are /peers /scores /stats /mesh /sub TOPIC "
		          "/unsub TOPIC "
		          "/find PEER /ping PEER /quit (write // to publish a line that starts "
		          "with /)");
}

bool node_command_line(struct node_command *nc, const char *line, size_t len)
{
	if (len == 0 || line[0] != '/')
		return nc_publish(nc, line, len);
	if (len > 1 && line[1] == '/')
		return nc_publish(nc, line + 1, len - 1);
	char *copy = strndup(line, len);
	if (copy != NULL) {
		copy[strcspn(copy, "\r")] = '\0';
		nc_slash(nc, copy);
	}
	free(copy);
	return true;
}
