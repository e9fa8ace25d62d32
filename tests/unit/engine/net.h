/* A tiny host for several engines: virtual time, pipes in memory, names from a table. What the
 * engines ask for is recorded, so that tests can check when it was asked. */
#ifndef KP_TEST_ENGINE_NET_H
#define KP_TEST_ENGINE_NET_H

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/port.h"

namespace net
{

struct Event {
	kp_time at;
	int type;
	int code;
	int flags;
	int inbox;
	int64_t token, seq, count, time_ns;
	std::map<int, std::string> f;

	std::string get(int field) const
	{
		auto it = f.find(field);
		return it == f.end() ? "" : it->second;
	}
};

struct Action {
	kp_time at;
	kp_act_kind kind;
	kp_id id;
	std::string what; /* address or name */
};

class Net;
class Node;

/* One end of a pipe; without a node it is the test's. */
struct End {
	Node *node = nullptr;
	kp_id id = {0, 0};
	std::weak_ptr<End> other;
	std::deque<uint8_t> in; /* arrived */
	bool eof = false;       /* after `in` */
	bool open = true, reading = false, dialed = false;
	bool stuck = false;       /* its writes are never answered: a peer that does not read */
	std::vector<uint8_t> got; /* of the test's end */
};

using Config = std::vector<std::pair<std::string, std::string>>;

class Node
{
      public:
	Node(Net *net, const std::string &ip, const Config &config, int seed);
	~Node();
	/* Why it could not be made; "" = it could. */
	std::string error;
	void start();
	void stop(kp_time drain = KP_SEC(2));
	void pump();
	/* Ends: stops if necessary, frees the engine, checks that nothing is left. */
	void finish();

	std::string id() const;
	std::string addr() const; /* with /p2p */
	kp_peer_id peer() const;
	int64_t request(kp_op op, const std::string &arg, const std::string &data = "",
	                kp_time deadline = KP_NEVER);
	int64_t publish(const std::string &topic, const std::string &data);
	int64_t send(const Node &to, const std::string &protocol, const std::string &data);
	std::vector<Event> completions(int64_t token) const; /* in order */
	std::vector<Event> of_type(int type) const;
	std::string info(const std::string &what) const;
	uint64_t stat(kp_stat which) const;
	bool connected(const Node &other) const;
	size_t connections() const;
	std::vector<Action> dials() const;
	std::vector<Action> of_kind(kp_act_kind kind) const;
	kp_event *complete_event(int64_t token);

	Net *net;
	std::string ip;
	int seed;
	kp_config *config = nullptr;
	kp_pool *pool = nullptr;
	kp_crypto *crypto = nullptr;
	kp_engine *engine = nullptr;
	std::vector<Event> events;
	std::vector<Action> actions;
	std::map<uint32_t, std::shared_ptr<End>> ends; /* by slot */
	std::map<uint32_t, std::string> listening;     /* listener slot → "ip port" */
	bool accept_paused = false, down = false;
	kp_time armed = KP_NEVER;
	int64_t next_token = 1;
	uint64_t cpu_ns = 0; /* of the engine and its jobs, and this host's part */

      private:
	class Busy;
	void act(const kp_act &a);
	void act_listen(const kp_act &a);
	void act_dial(const kp_act &a);
	void act_write(const kp_act &a);
	void act_close(const kp_act &a);
	void act_resolve(const kp_act &a);
	void take(kp_event *ev);
	unsigned busy = 0;
	friend class Net;
};

class Net
{
      public:
	kp_time now = KP_SEC(1000);
	kp_time latency = KP_MS(1);
	std::vector<std::unique_ptr<Node>> nodes;
	std::map<std::string, Node *> listeners;               /* "ip port" */
	std::set<std::string> mute;                            /* accepts and says nothing */
	std::set<std::string> blackhole;                       /* never answers a dial */
	std::map<std::string, std::vector<std::string>> names; /* "A name" → answers */
	kp_time dns_latency = KP_MS(5);
	uint64_t raw_sent = 0; /* bytes by raw_write */
	/* "ip port" or "A name" → how its dial or lookup fails; KP_OK = the lookup has no answer */
	std::map<std::string, kp_err> broken;

	~Net();
	Node &add(const Config &config = {}, bool start = true);
	/* The same, at a given address. */
	Node &add_at(const std::string &ip, const Config &config, bool start = true);
	void at(kp_time when, std::function<void()> what);
	void run(kp_time for_ns);
	/* Until done() or the limit; false = limit. */
	bool until(const std::function<bool()> &done, kp_time limit = KP_SEC(30));
	/* A socket of the test's that connects to a node. NULL = refused. */
	std::shared_ptr<End> raw(Node &to, const std::string &from_ip, kp_err *err = nullptr);
	void raw_write(const std::shared_ptr<End> &end, const std::string &bytes);
	void raw_close(const std::shared_ptr<End> &end);
	void finish(); /* all nodes, in order */

	void deliver(const std::shared_ptr<End> &end);
	std::shared_ptr<End> join(Node *from, kp_id id, Node *to, const kp_addr &from_addr,
	                          kp_err *err);

      private:
	struct Later {
		kp_time at;
		uint64_t seq;
		std::function<void()> what;
	};
	std::map<std::pair<kp_time, uint64_t>, std::function<void()>> queue;
	uint64_t seq = 0;
	uint32_t next_ip = 1;
	uint16_t next_port = 20000;
	friend class Node;
};

kp_addr to_addr(const std::string &ip, uint16_t port);
std::string to_text(const kp_addr &a); /* "ip port" */
std::string identity_text(int seed);
std::string identity_peer(int seed);
inline kp_slice str(const std::string &s)
{
	return kp_slice_of(s.data(), s.size());
}

} // namespace net
#endif
