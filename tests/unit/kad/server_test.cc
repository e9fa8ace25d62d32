/* core/svc/kad/server.c: what requests are answered with, in which order, and what ends a stream.
 */
#include <gtest/gtest.h>

#include "kad/kad_net.h"
#include "vectors.h"

namespace
{

const char *const KAD = "/ipfs/kad/1.0.0";

class KadServer : public ::testing::Test
{
      protected:
	kp_host *h = fake_host_new(1);
	kp_kad_params params = kp_kad_params_default();
	kp_kad *kad = nullptr;
	std::unique_ptr<KadNet> net;
	kp_peer_id client = fake_peer(50);

	KadServer()
	{
		kad = kp_kad_new(h, &params, fake_now(h));
		fake_register(h, &kp_kad_svc_ops, kad);
		fake_serve(h, &kp_kad_proto_ops, kp_kad_protos[0], kad);
		h->own_addrs = {fake_maddr("/ip4/127.0.0.1/tcp/4001"),
		                fake_maddr("/ip4/8.8.4.4/tcp/4001")};
		net.reset(new KadNet(h, 60, 3));
		for (size_t i = 0; i < 60; i++)
			net->connect(i);
		fake_run_for(h, KP_SEC(3));
		fake_connect(h, &client, "/ip4/127.0.0.1/tcp/5000", false);
	}
	~KadServer() override
	{
		kp_kad_svc_ops.on_stop(kad, fake_now(h));
		net->disconnect_all();
		fake_disconnect(h, &client);
		fake_pump(h);
		h->world->events.clear();
		kp_kad_free(kad);
		net.reset();
		fake_host_free(h);
	}
	kp_stream *open()
	{
		return fake_remote_open(h, &client, KAD);
	}
	static std::string request(kp_kad_type type, const std::string &key)
	{
		return kad_message(type, key, {}, 10);
	}
	void send(kp_stream *s, const std::string &bytes)
	{
		fake_remote_send(s, bytes.data(), bytes.size());
		fake_pump(h);
	}
	/* Sends, finishes, returns all that came back. */
	std::string ask(const std::string &bytes, const char *remote = nullptr)
	{
		if (remote != nullptr) {
			fake_disconnect(h, &client);
			fake_connect(h, &client, remote, false);
		}
		kp_stream *s = open();
		EXPECT_NE(s, nullptr);
		fake_remote_send(s, bytes.data(), bytes.size());
		fake_remote_fin(s);
		fake_pump(h);
		EXPECT_TRUE(s->gone);
		return s->out;
	}
	struct Answer {
		std::shared_ptr<std::string> bytes; /* what m points into */
		kp_kad_msg m;
		std::vector<kp_peer_id> peers;
		std::vector<std::vector<std::string>> addrs;
		std::vector<kp_kad_conn> conns;
	};
	static Answer read(const std::string &framed)
	{
		Answer a;
		EXPECT_FALSE(framed.empty());
		a.bytes = std::make_shared<std::string>(framed);
		kp_slice body = kad_unframe(*a.bytes);
		EXPECT_EQ(fake_framed(std::string(reinterpret_cast<const char *>(body.p), body.n)),
		          framed);
		EXPECT_EQ(kp_kad_parse(body, &a.m), KP_OK);
		kp_kad_peer p;
		kp_kad_peers rest = a.m.closer;
		while (kp_kad_next_peer(&rest, &p)) {
			std::vector<std::string> addrs;
			kp_slice b;
			kp_maddr m;
			while (kp_kad_next_addr(&p.addrs, &b)) {
				EXPECT_EQ(kp_maddr_parse_bytes(b, &m), KP_OK);
				addrs.push_back(fake_text(m));
			}
			a.peers.push_back(p.id);
			a.addrs.push_back(addrs);
			a.conns.push_back(p.connection);
		}
		return a;
	}
	/* The nodes of the table nearest to a key. */
	std::vector<size_t> truth(const std::string &key, size_t k)
	{
		kp_kad_key target;
		h->env.crypto->ops->sha256(key.data(), key.size(), target.b);
		std::vector<size_t> in;
		kp_kad_entry e;
		for (size_t n = 0; kp_kad_entry_at(kad, n, &e); n++)
			in.push_back(net->by_id[fake_key(e.peer)]);
		return net->nearest(target, in, k);
	}
};

TEST_F(KadServer, find_node_answers_with_the_20_nearest)
{
	ASSERT_GT(kp_kad_size(kad), 30u);
	std::string key = fake_key(fake_peer(777));
	Answer a = read(ask(request(KP_KAD_FIND_NODE, key)));
	EXPECT_EQ(a.m.type, KP_KAD_FIND_NODE);
	EXPECT_EQ(a.m.cluster_level, 10);
	EXPECT_EQ(a.m.key.p, nullptr);
	std::vector<size_t> want = truth(key, 20);
	ASSERT_EQ(a.peers.size(), 20u);
	for (size_t i = 0; i < 20; i++) {
		EXPECT_TRUE(kp_peer_id_eq(&a.peers[i], &net->nodes[want[i]].id));
		EXPECT_EQ(a.addrs[i],
		          std::vector<std::string>{fake_text(net->nodes[want[i]].addr)});
		EXPECT_EQ(a.conns[i], KP_KAD_CONNECTED);
	}
	EXPECT_EQ(h->stat(KP_STAT_kad_served), 1u);
}

TEST_F(KadServer, target_comes_first_even_if_it_is_us_the_requester_or_a_client)
{
	Answer a = read(ask(request(KP_KAD_FIND_NODE, fake_key(h->self.id))));
	ASSERT_EQ(a.peers.size(), 21u);
	EXPECT_TRUE(kp_peer_id_eq(&a.peers[0], &h->self.id));
	EXPECT_EQ(a.addrs[0].size(), 2u);
	h->peer(client).addrs = {fake_maddr("/ip4/127.0.0.1/tcp/5000")};
	a = read(ask(request(KP_KAD_FIND_NODE, fake_key(client))));
	EXPECT_TRUE(kp_peer_id_eq(&a.peers[0], &client));
	EXPECT_EQ(a.peers.size(), 21u);
	/* in the table: once */
	kp_kad_entry e;
	ASSERT_TRUE(kp_kad_entry_at(kad, 3, &e));
	kp_peer_id target = e.peer;
	a = read(ask(request(KP_KAD_FIND_NODE, fake_key(target))));
	EXPECT_EQ(a.peers.size(), 20u);
	EXPECT_TRUE(kp_peer_id_eq(&a.peers[0], &target));
	EXPECT_EQ(std::count_if(a.peers.begin(), a.peers.end(),
	                        [&](const kp_peer_id &p) { return kp_peer_id_eq(&p, &target); }),
	          1);
}

TEST_F(KadServer, requester_is_left_out)
{
	kp_kad_entry e;
	ASSERT_TRUE(kp_kad_entry_at(kad, 0, &e));
	kp_peer_id from = e.peer;
	kp_stream *s = fake_remote_open(h, &from, KAD);
	std::string key = fake_key(from);
	key[37] = static_cast<char>(key[37] ^ 1); /* near to nothing in particular */
	std::string req = request(KP_KAD_GET_VALUE, fake_key(from));
	fake_remote_send(s, req.data(), req.size());
	fake_remote_fin(s);
	fake_pump(h);
	for (const kp_peer_id &p : read(s->out).peers)
		EXPECT_FALSE(kp_peer_id_eq(&p, &from));
}

TEST_F(KadServer, addresses_fit_the_requester)
{
	kp_kad_entry e;
	ASSERT_TRUE(kp_kad_entry_at(kad, 0, &e));
	size_t i = net->by_id[fake_key(e.peer)];
	kp_identify_info info = {};
	kp_maddr addrs[3] = {fake_maddr("/ip4/127.0.0.1/tcp/1"), fake_maddr("/ip4/10.0.0.1/tcp/1"),
	                     fake_maddr("/ip4/9.9.9.9/tcp/1")};
	kp_slice kadp = kp_slice_str(KAD);
	info.protocols = &kadp;
	info.n_protocols = 1;
	h->peer(net->nodes[i].id).addrs.assign(addrs, addrs + 3);
	kp_kad_svc_ops.on_identified(kad, fake_now(h), &net->nodes[i].id, &info);
	std::string req = request(KP_KAD_FIND_NODE, fake_key(net->nodes[i].id));
	Answer a = read(ask(req));
	EXPECT_EQ(a.addrs[0].size(), 3u);
	EXPECT_EQ(a.peers.size(), 20u);
	a = read(ask(req, "/ip4/192.168.1.1/tcp/9"));
	EXPECT_EQ(a.addrs[0],
	          (std::vector<std::string>{"/ip4/10.0.0.1/tcp/1", "/ip4/9.9.9.9/tcp/1"}));
	EXPECT_EQ(a.peers.size(), 1u); /* the others have loopback only */
	a = read(ask(req, "/ip4/1.1.1.1/tcp/9"));
	EXPECT_EQ(a.addrs[0], (std::vector<std::string>{"/ip4/9.9.9.9/tcp/1"}));
}

TEST_F(KadServer, answer_stays_within_16_KiB)
{
	kp_kad_entry e;
	std::vector<kp_maddr> addrs;
	for (int i = 0; i < 16; i++)
		addrs.push_back(fake_maddr("/dns4/" + std::string(220, static_cast<char>('a' + i)) +
		                           "/tcp/1"));
	kp_slice kadp = kp_slice_str(KAD);
	kp_identify_info info = {};
	info.protocols = &kadp;
	info.n_protocols = 1;
	for (KadNode &n : net->nodes) {
		h->peer(n.id).addrs = addrs;
		kp_kad_svc_ops.on_identified(kad, fake_now(h), &n.id, &info);
	}
	ASSERT_TRUE(kp_kad_entry_at(kad, 0, &e));
	EXPECT_EQ(e.n_addrs, 16u);
	std::string out = ask(request(KP_KAD_FIND_NODE, fake_key(fake_peer(9))));
	Answer a = read(out);
	EXPECT_LE(kad_unframe(out).n, KP_KAD_MSG_MAX);
	ASSERT_GE(a.peers.size(), 5u);
	EXPECT_EQ(a.addrs[0].size(), 8u);
}

TEST_F(KadServer, values_and_providers)
{
	Answer a = read(ask(request(KP_KAD_GET_VALUE, "/v/hello")));
	EXPECT_EQ(a.m.type, KP_KAD_GET_VALUE);
	EXPECT_TRUE(kp_slice_eq_str(a.m.key, "/v/hello"));
	EXPECT_FALSE(a.m.has_record);
	std::vector<size_t> want = truth("/v/hello", 20);
	ASSERT_EQ(a.peers.size(), 20u);
	EXPECT_TRUE(kp_peer_id_eq(&a.peers[0], &net->nodes[want[0]].id));
	a = read(ask(request(KP_KAD_GET_PROVIDERS, "some cid")));
	EXPECT_EQ(a.m.type, KP_KAD_GET_PROVIDERS);
	EXPECT_EQ(a.m.n_providers, 0u);
	EXPECT_EQ(a.peers.size(), 20u);
	EXPECT_EQ(ask(request(KP_KAD_GET_PROVIDERS, std::string(81, 'x'))), "");
	EXPECT_EQ(ask(request(KP_KAD_PUT_VALUE, "/v/hello")), "");
	EXPECT_EQ(ask(request(KP_KAD_ADD_PROVIDER, "some cid")), "");
	EXPECT_EQ(h->stat(KP_STAT_kad_refused), 2u);
	EXPECT_EQ(h->stat(KP_STAT_kad_errors), 1u);
}

TEST_F(KadServer, ping_is_echoed)
{
	EXPECT_EQ(ask(request(KP_KAD_PING, "")), request(KP_KAD_PING, ""));
	EXPECT_EQ(ask(request(KP_KAD_PING, "k")), request(KP_KAD_PING, "k"));
}

TEST_F(KadServer, bad_requests_reset_the_stream)
{
	const std::string bad[] = {
	        request(KP_KAD_FIND_NODE, ""), /* go errors, too */
	        request(KP_KAD_GET_VALUE, ""),
	        fake_framed(std::string("\x08\x09", 2)),
	        fake_framed(std::string("\x42\x7f", 2)),
	        fake_framed(std::string(16385, '\x52')),
	        std::string("\x80\x00", 2),
	        std::string("\xff\xff\xff\xff\x7f", 5),
	};
	for (const std::string &b : bad)
		EXPECT_EQ(ask(b), "");
	EXPECT_EQ(h->stat(KP_STAT_kad_errors), 7u);
	EXPECT_EQ(ask(fake_framed("")), ""); /* an empty message is PUT_VALUE */
	EXPECT_EQ(h->stat(KP_STAT_kad_refused), 1u);
}

TEST_F(KadServer, several_requests_are_answered_in_order)
{
	std::string keys[3] = {fake_key(fake_peer(1)), "/v/a", fake_key(fake_peer(2))};
	std::string reqs = request(KP_KAD_FIND_NODE, keys[0]) + request(KP_KAD_GET_VALUE, keys[1]) +
	                   request(KP_KAD_FIND_NODE, keys[2]);
	std::string want = ask(request(KP_KAD_FIND_NODE, keys[0])) +
	                   ask(request(KP_KAD_GET_VALUE, keys[1])) +
	                   ask(request(KP_KAD_FIND_NODE, keys[2]));
	for (size_t cut : {0, 1, 7, 50}) {
		for (size_t pull : {1, 100, 16384}) {
			h->cut = cut;
			h->pull_max = pull;
			EXPECT_EQ(ask(reqs), want) << cut << " " << pull;
		}
	}
	/* one by one on a stream that stays open */
	h->cut = 0;
	kp_stream *s = open();
	for (int i = 0; i < 3; i++)
		send(s, request(i == 1 ? KP_KAD_GET_VALUE : KP_KAD_FIND_NODE, keys[i]));
	EXPECT_EQ(s->out, want);
	EXPECT_FALSE(s->gone);
}

TEST_F(KadServer, requests_sent_ahead_are_held_then_refused)
{
	std::string ping = request(KP_KAD_PING, "");
	std::string many, want;
	while (many.size() + ping.size() <= 4096)
		many += ping;
	kp_stream *s = open();
	send(s, many);
	EXPECT_EQ(s->out, many);
	EXPECT_FALSE(s->gone || s->held);
	for (int i = 0; i < 4; i++)
		many += many;
	s = open();
	send(s, many); /* 64 KiB in one read: more than we would keep */
	EXPECT_TRUE(s->gone);
	EXPECT_EQ(s->why, KP_E_PROTO);
	EXPECT_EQ(h->stat(KP_STAT_kad_errors), 1u);
}

TEST_F(KadServer, reading_stops_while_an_answer_waits)
{
	std::string req = request(KP_KAD_FIND_NODE, fake_key(fake_peer(1)));
	std::string one = ask(req), in;
	for (int i = 0; i < 400; i++)
		in += req;
	h->blocked = true;
	h->cut = 1000;
	kp_stream *s = open();
	send(s, in);
	EXPECT_TRUE(s->held);
	EXPECT_EQ(s->in.size(), in.size() - 1000); /* the peer gets no credit for the rest */
	EXPECT_EQ(h->stat(KP_STAT_kad_served), 2u);
	h->blocked = false;
	fake_remote_fin(s);
	fake_pump(h);
	EXPECT_EQ(s->out.size(), 400 * one.size());
	EXPECT_EQ(s->why, KP_OK);
}

TEST_F(KadServer, fin_inside_a_request)
{
	std::string req = request(KP_KAD_PING, "abc");
	kp_stream *s = open();
	send(s, req + req.substr(0, 3));
	fake_remote_fin(s);
	fake_pump(h);
	EXPECT_EQ(s->out, req);
	EXPECT_TRUE(s->was_reset);
}

TEST_F(KadServer, idle_for_60_s_exactly)
{
	kp_stream *s = open();
	fake_run_for(h, KP_SEC(59));
	send(s, request(KP_KAD_PING, ""));
	fake_run_for(h, KP_SEC(60) - 1);
	EXPECT_FALSE(s->gone);
	fake_run_for(h, 1);
	EXPECT_TRUE(s->gone && s->was_reset);
}

TEST_F(KadServer, in_max)
{
	for (int i = 0; i < 32; i++)
		EXPECT_NE(open(), nullptr);
	EXPECT_EQ(open(), nullptr);
}

/* Requests of every implementation, byte for byte. */
TEST_F(KadServer, vectors)
{
	unsigned answered = 0, refused = 0;
	for (const vectors::Json &c : vectors::list("kad", "messages", 48)) {
		if (c["direction"].str() != "request")
			continue;
		vectors::Bytes b = c["framed"].bytes();
		std::string in(b.begin(), b.end());
		std::string out = ask(in);
		int64_t type = c["fields"]["type"].number();
		if (type == KP_KAD_PUT_VALUE || type == KP_KAD_ADD_PROVIDER) {
			EXPECT_EQ(out, "") << c["name"].str();
			refused++;
			continue;
		}
		Answer a = read(out);
		EXPECT_EQ(a.m.type, type) << c["name"].str();
		EXPECT_EQ(a.m.cluster_level, c["fields"]["cluster_level_raw"].number());
		if (type != KP_KAD_PING) {
			EXPECT_GE(a.peers.size(), 20u) << c["name"].str();
		}
		answered++;
	}
	EXPECT_GE(answered, 10u);
	EXPECT_GE(refused, 5u);
}

TEST_F(KadServer, without_memory_the_stream_is_reset)
{
	std::string req = request(KP_KAD_FIND_NODE, fake_key(fake_peer(1)));
	kp_mem *pool = kp_pool_mem(h->pool);
	for (uint64_t at = 1; at < 30; at++) {
		kp_mem *mem = at % 2 ? pool : &h->mem;
		mem->fail_at = mem->calls + at / 2 + 1;
		kp_stream *s = open();
		if (s != nullptr) {
			send(s, req + req);
			fake_remote_fin(s);
			fake_pump(h);
			EXPECT_TRUE(s->gone);
		}
		mem->fail_at = 0;
	}
	EXPECT_GT(h->stat(KP_STAT_kad_memory), 0u);
}

} // namespace
