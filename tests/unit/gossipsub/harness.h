/* One live router and scripted peers around it, and RPCs to say to it and read from it. */
#ifndef KP_TEST_GOSSIPSUB_HARNESS_H
#define KP_TEST_GOSSIPSUB_HARNESS_H

#include <gtest/gtest.h>

#include "gossipsub/fake_host.h"
#include "svc/gossipsub/gs.h"
#include "wire/rpc.h"

constexpr kp_time LATENCY = KP_MS(1);

struct Item {
	unsigned rpc = 0; /* the number of its RPC since the last take */
	kp_rpc_kind kind;
	bool subscribe = false, has_backoff = false;
	uint64_t backoff = 0;
	std::string topic, raw;
	std::vector<std::string> ids;
	std::vector<std::pair<std::string, std::string>> px; /* peer, signed record */
};

std::string rpc_sub(const std::string &topic, bool on = true);
std::string rpc_graft(const std::string &topic);
std::string rpc_prune(const std::string &topic, int64_t backoff_s = -1, /* -1: none */
                      const std::vector<std::pair<std::string, std::string>> &px = {});
std::string rpc_ihave(const std::string &topic, const std::vector<std::string> &ids);
std::string rpc_iwant(const std::vector<std::string> &ids);
std::string rpc_idontwant(const std::vector<std::string> &ids);
std::string rpc_message(const std::string &raw); /* framed */
std::string rpc_frame(const std::string &body);  /* length before it */
std::string karak_id(const std::string &data);

/* A whole signed Message by that node. */
std::string signed_message(kp_host *author, uint64_t seqno, const std::string &topic,
                           const std::string &data);

/* Splits a byte stream into RPCs, checking that each is well formed. */
std::vector<std::string> split_rpcs(const std::string &rx);
std::vector<Item> items_of(const std::string &rx);

class Script
{
      public:
	kp_host *h = nullptr;
	kp_host *router = nullptr;
	kp_stream *out = nullptr; /* ours, towards the router */

	void open(const char *proto = "/meshsub/1.2.0");
	void send(const std::string &bytes);
	kp_stream *in() const;    /* the router's open stream to us, this end of it; NULL = none */
	std::string rx() const;   /* all bytes it carried */
	std::vector<Item> take(); /* what came since the last call */
	std::vector<Item> take(kp_rpc_kind kind);
	kp_peer_id id() const
	{
		return h->self.id;
	}

      private:
	kp_stream *reading = nullptr;
	size_t read = 0;
};

class Net
{
      public:
	explicit Net(const kp_gs_params &p = kp_gs_params_default(), bool real = false,
	             uint64_t seed = 1);
	~Net();
	Net(const Net &) = delete;
	Net &operator=(const Net &) = delete;

	/* A scripted peer, connected (dialled by the router if `dialled`), with its stream open and
	 * subscribed to topics. */
	Script peer(const std::vector<std::string> &topics = {}, bool dialled = false,
	            const char *proto = "/meshsub/1.2.0");
	Script stranger(); /* not connected */
	void connect(Script &s, bool dialled = false);

	void run(kp_time d)
	{
		fake_run(net, net->now + d);
	}
	void run_until(kp_time t)
	{
		ASSERT_GE(t, net->now);
		fake_run(net, t);
	}
	void settle() /* a few round trips */
	{
		run(6 * LATENCY);
	}
	void subscribe(const std::string &topic, bool validate = false, bool self = false,
	               uint16_t inbox = 0);
	void publish(const std::string &topic, const std::string &data, int64_t token = 0);
	uint64_t stat(kp_stat which) const
	{
		return fake_stat(router, which);
	}
	kp_time now() const
	{
		return net->now;
	}
	/* Events of that type since the last call; freed with the Net. */
	std::vector<kp_event *> events(kp_event_type type);
	std::vector<std::string> payloads(); /* of MESSAGE events since the last call */
	bool in_mesh(const Script &s, const std::string &topic) const;
	size_t mesh(const std::string &topic) const;
	gs_peer *peer_of(const Script &s) const;

	fake_net *net;
	kp_host *router;
	kp_gs *gs;

      private:
	std::vector<kp_event *> taken;
};

std::string field(const kp_event *ev, kp_field f);

#endif
