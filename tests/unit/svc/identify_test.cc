/* core/svc/identify.c: what we say, what we keep of what others say, and when. */
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "svc/fake_svc.h"
#include "svc/identify.h"
#include "vectors.h"
#include "wire/identify_msg.h"

namespace
{

const char *const ID = "/ipfs/id/1.0.0";
const char *const PUSH = "/ipfs/id/push/1.0.0";

/* A copy of what the sink was told. */
struct Told {
	kp_peer_id peer;
	std::vector<std::string> addrs, protocols;
	std::string agent, observed;
	kp_time at;
};

struct Message {
	std::string key, observed, agent, version, record;
	std::vector<std::string> addrs, protocols;
	bool has_observed = false;

	static kp_slice of(const std::string &s)
	{
		return s.empty() ? kp_slice_none() : kp_slice_of(s.data(), s.size());
	}
	/* With its length prefix. */
	std::string framed() const
	{
		std::vector<kp_slice> a, p;
		std::string out(1 << 20, 0);
		std::string body;
		auto field = [&body](int number, const std::string &v) {
			body += static_cast<char>(number << 3 | 2);
			size_t n = v.size();
			for (; n > 127; n >>= 7)
				body += static_cast<char>(n | 0x80);
			body += static_cast<char>(n);
			body += v;
		};
		if (!key.empty())
			field(1, key);
		for (auto &it : addrs) {
			kp_maddr m = fake_maddr(it);
			field(2, std::string(reinterpret_cast<char *>(m.b), m.n));
		}
		for (auto &it : protocols)
			field(3, it);
		if (!observed.empty()) {
			kp_maddr m = fake_maddr(observed);
			field(4, std::string(reinterpret_cast<char *>(m.b), m.n));
		}
		if (!version.empty())
			field(5, version);
		if (!agent.empty())
			field(6, agent);
		if (!record.empty())
			field(8, record);
		return fake_framed(body);
	}
};

class IdentifyTest : public ::testing::Test
{
      protected:
	kp_host *h = fake_host_new(1);
	std::vector<Told> told;
	kp_identify *id = kp_identify_new(h, "karakp2p/0.1", "ipfs/0.1.0", sink, this);
	kp_peer_id peer = fake_peer(7);

	IdentifyTest()
	{
		fake_register(h, &kp_identify_svc_ops, id);
		fake_serve(h, &kp_identify_proto_ops, kp_identify_protos[0], id);
		fake_serve(h, &kp_identify_push_proto_ops, kp_identify_push_protos[0], id);
		h->own_addrs = {fake_maddr("/ip4/10.0.0.5/tcp/4001"),
		                fake_maddr("/ip4/127.0.0.1/tcp/4001")};
	}
	~IdentifyTest() override
	{
		std::vector<std::string> keys;
		for (auto &p : h->peers)
			keys.push_back(p.first);
		for (auto &k : keys) {
			kp_peer_id it;
			EXPECT_EQ(kp_peer_id_parse_bytes(kp_slice_of(k.data(), k.size()), &it),
			          KP_OK);
			fake_disconnect(h, &it);
		}
		fake_pump(h);
		kp_identify_free(id);
		fake_host_free(h);
	}
	static void sink(void *ctx, kp_time now, const kp_peer_id *peer,
	                 const kp_identify_info *info, const kp_maddr *observed)
	{
		IdentifyTest *t = static_cast<IdentifyTest *>(ctx);
		Told it;
		it.peer = *peer;
		it.at = now;
		it.agent.assign(reinterpret_cast<const char *>(info->agent.p), info->agent.n);
		FakePeer &fp = t->h->peer(*peer);
		fp.addrs.assign(info->addrs, info->addrs + info->n_addrs);
		for (size_t i = 0; i < info->n_addrs; i++)
			it.addrs.push_back(fake_text(info->addrs[i]));
		for (size_t i = 0; i < info->n_protocols; i++)
			it.protocols.emplace_back(
			        reinterpret_cast<const char *>(info->protocols[i].p),
			        info->protocols[i].n);
		it.observed = observed->n > 0 ? fake_text(*observed) : "";
		t->told.push_back(it);
	}
	kp_stream *connect(const char *remote = "/ip4/127.0.0.1/tcp/4001")
	{
		fake_connect(h, &peer, remote, true);
		fake_pump(h);
		return h->last_stream();
	}
	void say(kp_stream *s, const Message &m, bool fin = true)
	{
		std::string bytes = m.framed();
		fake_remote_send(s, bytes.data(), bytes.size());
		if (fin)
			fake_remote_fin(s);
		fake_pump(h);
	}
	std::string key_of(const kp_peer_id &p)
	{
		kp_slice pb;
		EXPECT_TRUE(kp_peer_id_inline_key(&p, &pb));
		return std::string(reinterpret_cast<const char *>(pb.p), pb.n);
	}
	/* Connects, and the peer tells one message. */
	void identify(const Message &m, const char *remote = "/ip4/127.0.0.1/tcp/4001")
	{
		kp_stream *s = connect(remote);
		say(s, m);
		EXPECT_TRUE(s->gone);
	}
	/* What we wrote on a stream, taken apart. */
	static Message read(const std::string &out)
	{
		Message m;
		kp_identify_field f;
		size_t head = (static_cast<uint8_t>(out[0]) & 0x80) ? 2 : 1;
		kp_slice body = kp_slice_of(out.data() + head, out.size() - head);
		EXPECT_EQ(fake_framed(out.substr(head)), out);
		EXPECT_LE(body.n, KP_IDENTIFY_WRITE_MAX);
		EXPECT_EQ(kp_identify_validate(body, nullptr), KP_OK);
		while (kp_identify_next(&body, &f)) {
			std::string v(reinterpret_cast<const char *>(f.value.p), f.value.n);
			kp_maddr a;
			switch (f.kind) {
			case KP_IDENTIFY_PUBLIC_KEY:
				m.key = v;
				break;
			case KP_IDENTIFY_LISTEN_ADDR:
				EXPECT_EQ(kp_maddr_parse_bytes(f.value, &a), KP_OK);
				m.addrs.push_back(fake_text(a));
				break;
			case KP_IDENTIFY_PROTOCOL:
				m.protocols.push_back(v);
				break;
			case KP_IDENTIFY_OBSERVED_ADDR:
				EXPECT_EQ(kp_maddr_parse_bytes(f.value, &a), KP_OK);
				m.observed = fake_text(a);
				break;
			case KP_IDENTIFY_PROTOCOL_VERSION:
				m.version = v;
				break;
			case KP_IDENTIFY_AGENT_VERSION:
				m.agent = v;
				break;
			case KP_IDENTIFY_SIGNED_RECORD:
				m.record = v;
				break;
			}
		}
		return m;
	}
};

using Strings = std::vector<std::string>;

TEST_F(IdentifyTest, asks_on_every_connection_and_says_nothing)
{
	kp_stream *s = connect();
	ASSERT_NE(s, nullptr);
	EXPECT_STREQ(s->proto.id, ID);
	EXPECT_TRUE(s->outbound && s->idle);
	EXPECT_EQ(s->out, "");
	kp_stream *t = connect("/ip4/127.0.0.1/tcp/4002");
	EXPECT_NE(s, t);
	EXPECT_EQ(h->streams.size(), 2u);
}

TEST_F(IdentifyTest, answers_with_everything_in_one_message)
{
	connect("/ip4/192.0.2.7/tcp/50000");
	kp_stream *s = fake_remote_open(h, &peer, ID);
	h->pull_max = 100;
	fake_pump(h);
	EXPECT_TRUE(s->fin_sent);
	Message m = read(s->out);
	EXPECT_EQ(m.key, std::string(reinterpret_cast<char *>(h->self.pubkey_pb), 36));
	EXPECT_EQ(m.addrs, (Strings{"/ip4/10.0.0.5/tcp/4001", "/ip4/127.0.0.1/tcp/4001"}));
	EXPECT_EQ(m.protocols, (Strings{ID, PUSH}));
	EXPECT_EQ(m.observed, "/ip4/192.0.2.7/tcp/50000");
	EXPECT_EQ(m.version, "ipfs/0.1.0");
	EXPECT_EQ(m.agent, "karakp2p/0.1");
	kp_peer_id signer;
	uint64_t seq;
	kp_slice addrs;
	ASSERT_EQ(kp_peer_record_open(h->env.crypto, kp_slice_of(m.record.data(), m.record.size()),
	                              &signer, &seq, &addrs),
	          KP_OK);
	EXPECT_TRUE(kp_peer_id_eq(&signer, &h->self.id));
	fake_remote_fin(s);
	fake_pump(h);
	EXPECT_EQ(s->why, KP_OK);
	EXPECT_EQ(h->stat(KP_STAT_identify_sent), 1u);
}

TEST_F(IdentifyTest, record_is_kept_until_the_addresses_change_and_its_seq_grows)
{
	connect();
	auto record = [this](uint64_t *seq) {
		kp_stream *s = fake_remote_open(h, &peer, ID);
		fake_pump(h);
		Message m = read(s->out);
		kp_peer_id signer;
		kp_slice addrs;
		EXPECT_EQ(kp_peer_record_open(h->env.crypto,
		                              kp_slice_of(m.record.data(), m.record.size()),
		                              &signer, seq, &addrs),
		          KP_OK);
		fake_remote_fin(s);
		fake_pump(h);
		return m.record;
	};
	uint64_t a, b, c;
	std::string first = record(&a);
	EXPECT_EQ(record(&b), first);
	h->own_addrs.pop_back();
	EXPECT_NE(record(&c), first);
	EXPECT_EQ(a, b);
	EXPECT_GT(c, a);
}

TEST_F(IdentifyTest, never_more_than_4096_bytes)
{
	connect();
	h->own_addrs.clear();
	for (int i = 0; i < 40; i++)
		h->own_addrs.push_back(fake_maddr("/dns4/" + std::string(200, 'a') + "/tcp/" +
		                                  std::to_string(1000 + i)));
	std::vector<std::string> names;
	for (int i = 0; i < 60; i++)
		names.push_back("/user/" + std::string(100, 'b') + std::to_string(i));
	for (auto &n : names)
		h->served.push_back({&kp_identify_proto_ops, id, {n.c_str(), 0}});
	kp_stream *s = fake_remote_open(h, &peer, ID);
	fake_pump(h);
	Message m = read(s->out);
	EXPECT_GE(m.protocols.size(), 30u);
	EXPECT_EQ(m.protocols[0], ID);
	EXPECT_FALSE(m.key.empty());
	h->served.resize(2);
}

TEST_F(IdentifyTest, at_most_20_addresses_are_sent)
{
	connect();
	h->own_addrs.clear();
	for (int i = 0; i < 30; i++)
		h->own_addrs.push_back(fake_maddr("/ip4/10.0.0." + std::to_string(i) + "/tcp/1"));
	kp_stream *s = fake_remote_open(h, &peer, ID);
	fake_pump(h);
	EXPECT_EQ(read(s->out).addrs.size(), 20u);
}

TEST_F(IdentifyTest, tells_the_engine)
{
	Message m;
	m.key = key_of(peer);
	m.addrs = {"/ip4/127.0.0.1/tcp/4001", "/ip4/10.1.2.3/tcp/4001"};
	m.protocols = {ID, "/meshsub/1.2.0"};
	m.observed = "/ip4/127.0.0.1/tcp/33333";
	m.agent = "rust-libp2p/0.47";
	identify(m);
	ASSERT_EQ(told.size(), 1u);
	EXPECT_TRUE(kp_peer_id_eq(&told[0].peer, &peer));
	EXPECT_EQ(told[0].addrs, m.addrs);
	EXPECT_EQ(told[0].protocols, m.protocols);
	EXPECT_EQ(told[0].agent, m.agent);
	EXPECT_EQ(told[0].observed, m.observed);
	EXPECT_EQ(h->stat(KP_STAT_identify_received), 1u);
}

TEST_F(IdentifyTest, any_cut_gives_the_same)
{
	for (size_t cut : {1, 2, 3, 50, 0}) {
		told.clear();
		h->cut = cut;
		Message m;
		m.key = key_of(peer);
		m.addrs = {"/ip4/127.0.0.1/tcp/4001"};
		m.protocols = {ID};
		identify(m);
		ASSERT_EQ(told.size(), 1u) << cut;
		EXPECT_EQ(told[0].addrs, m.addrs);
		fake_disconnect(h, &peer);
	}
}

TEST_F(IdentifyTest, merges_up_to_ten_messages)
{
	kp_stream *s = connect();
	for (int i = 0; i < 9; i++) {
		Message m;
		m.agent = "agent " + std::to_string(i);
		m.protocols = {"/p/" + std::to_string(i)};
		m.addrs = {"/ip4/127.0.0.1/tcp/" + std::to_string(100 + i)};
		say(s, m, false);
	}
	EXPECT_EQ(told.size(), 0u);
	fake_remote_fin(s);
	fake_pump(h);
	ASSERT_EQ(told.size(), 1u);
	EXPECT_EQ(told[0].agent, "agent 8");
	EXPECT_EQ(told[0].protocols.size(), 9u);
	EXPECT_EQ(told[0].addrs.size(), 9u);
	/* the tenth ends it without waiting for FIN, the eleventh is not read */
	s = connect();
	for (int i = 0; i < 11; i++) {
		Message m;
		m.agent = "agent " + std::to_string(i);
		std::string bytes = m.framed();
		fake_remote_send(s, bytes.data(), bytes.size());
	}
	fake_pump(h);
	ASSERT_EQ(told.size(), 2u);
	EXPECT_EQ(told[1].agent, "agent 9");
	EXPECT_TRUE(s->gone);
}

TEST_F(IdentifyTest, five_seconds)
{
	kp_stream *s = connect();
	fake_run_for(h, KP_SEC(5) - 1);
	EXPECT_FALSE(s->gone);
	fake_run_for(h, 1);
	EXPECT_TRUE(s->gone && s->was_reset);
	EXPECT_EQ(told.size(), 0u);
	EXPECT_EQ(h->stat(KP_STAT_identify_timeouts), 1u);
	/* said, but forgot to close */
	s = connect();
	Message m;
	m.agent = "x";
	say(s, m, false);
	EXPECT_EQ(told.size(), 0u);
	fake_run_for(h, KP_SEC(5));
	EXPECT_EQ(told.size(), 1u);
	EXPECT_TRUE(s->gone);
	/* in the middle of a second message: nothing is believed */
	s = connect();
	say(s, m, false);
	fake_remote_send(s, "\x20half", 5);
	fake_run_for(h, KP_SEC(5));
	EXPECT_EQ(told.size(), 1u);
}

TEST_F(IdentifyTest, bad_frames)
{
	kp_stream *s = connect();
	fake_remote_send(s, "\x81\x40\x00", 3); /* 8,193 bytes */
	fake_pump(h);
	EXPECT_EQ(s->why, KP_E_PROTO);
	s = connect();
	std::string junk = fake_framed(std::string("\x0a\x7f", 2));
	fake_remote_send(s, junk.data(), junk.size());
	fake_pump(h);
	EXPECT_EQ(s->why, KP_E_PROTO);
	s = connect();
	fake_remote_send(s, "\x05\x0a", 2);
	fake_remote_fin(s);
	fake_pump(h);
	EXPECT_EQ(told.size(), 0u);
	s = connect();
	fake_remote_fin(s); /* not a word */
	fake_pump(h);
	EXPECT_EQ(told.size(), 0u);
	EXPECT_EQ(h->stat(KP_STAT_identify_errors), 4u);
}

TEST_F(IdentifyTest, a_key_must_be_the_peers)
{
	Message m;
	m.key = key_of(fake_peer(8));
	m.agent = "liar";
	identify(m);
	EXPECT_EQ(told.size(), 0u);
	EXPECT_EQ(h->stat(KP_STAT_identify_key_mismatch), 1u);
	m.key = "garbage";
	identify(m);
	EXPECT_EQ(told.size(), 0u);
	EXPECT_EQ(h->stat(KP_STAT_identify_key_mismatch), 2u);
	m.key = ""; /* missing is fine */
	identify(m);
	EXPECT_EQ(told.size(), 1u);
}

struct ScopeCase {
	const char *remote;
	Strings kept;
};

TEST_F(IdentifyTest, what_is_kept_depends_on_where_the_peer_is)
{
	const Strings all = {"/ip4/127.0.0.1/tcp/1",    "/ip4/10.0.0.1/tcp/1",
	                     "/ip4/8.8.8.8/tcp/1",      "/ip6/::1/tcp/1",
	                     "/ip6/fd00::1/tcp/1",      "/ip6/2a00:1450::1/tcp/1",
	                     "/dns4/example.com/tcp/1", "/ip4/192.168.7.7/udp/1/quic-v1",
	                     "/ip4/0.0.0.0/tcp/1",      "/ip6/fe80::1/tcp/1"};
	const Strings pub = {"/ip4/8.8.8.8/tcp/1", "/ip6/2a00:1450::1/tcp/1",
	                     "/dns4/example.com/tcp/1"};
	const Strings priv = {"/ip4/10.0.0.1/tcp/1",     "/ip4/8.8.8.8/tcp/1",
	                      "/ip6/fd00::1/tcp/1",      "/ip6/2a00:1450::1/tcp/1",
	                      "/dns4/example.com/tcp/1", "/ip4/192.168.7.7/udp/1/quic-v1",
	                      "/ip6/fe80::1/tcp/1"};
	const ScopeCase cases[] = {
	        {"/ip4/127.0.0.1/tcp/9", all},    {"/ip6/::1/tcp/9", all},
	        {"/ip4/192.168.0.3/tcp/9", priv}, {"/ip6/fd00::9/tcp/9", priv},
	        {"/ip4/1.1.1.1/tcp/9", pub},      {"/ip6/2a00::9/tcp/9", pub},
	};
	for (const ScopeCase &c : cases) {
		told.clear();
		Message m;
		m.addrs = all;
		identify(m, c.remote);
		ASSERT_EQ(told.size(), 1u);
		EXPECT_EQ(told[0].addrs, c.kept) << c.remote;
		fake_disconnect(h, &peer);
	}
}

TEST_F(IdentifyTest, addresses_of_other_peers_are_dropped)
{
	char text[KP_PEER_ID_TEXT_MAX];
	kp_peer_id other = fake_peer(9);
	kp_peer_id_text(&other, text);
	std::string theirs = std::string("/ip4/8.8.8.8/tcp/1/p2p/") + text;
	kp_peer_id_text(&peer, text);
	std::string own = std::string("/ip4/8.8.4.4/tcp/1/p2p/") + text;
	Message m;
	m.addrs = {theirs, own, "/ip4/8.8.4.4/tcp/1", std::string("/p2p/") + text};
	identify(m);
	ASSERT_EQ(told.size(), 1u);
	EXPECT_EQ(told[0].addrs, Strings{"/ip4/8.8.4.4/tcp/1"});
	EXPECT_EQ(h->stat(KP_STAT_identify_addrs_dropped), 2u);
}

TEST_F(IdentifyTest, hostile_19_thousands_of_addresses_and_protocols)
{
	kp_stream *s = connect();
	for (int k = 0; k < 10; k++) {
		Message m;
		for (int i = 0; i < 400; i++)
			m.addrs.push_back("/ip4/127.0.0.1/tcp/" + std::to_string(k * 400 + i + 1));
		for (int i = 0; i < 400; i++)
			m.protocols.push_back("/" + std::to_string(k * 400 + i));
		std::string bytes = m.framed();
		ASSERT_LE(bytes.size(), 8194u);
		fake_remote_send(s, bytes.data(), bytes.size());
	}
	fake_remote_fin(s);
	fake_pump(h);
	ASSERT_EQ(told.size(), 1u);
	EXPECT_EQ(told[0].addrs.size(), 100u);
	EXPECT_EQ(told[0].protocols.size(), 1024u);
	EXPECT_EQ(h->stat(KP_STAT_identify_addrs_dropped), 3900u);
	EXPECT_EQ(h->stat(KP_STAT_identify_protocols_dropped), 4000u - 1024u);
}

TEST_F(IdentifyTest, pushed_fields_replace_missing_ones_stay)
{
	Message m;
	m.agent = "first";
	m.addrs = {"/ip4/127.0.0.1/tcp/1"};
	m.protocols = {ID, "/a"};
	identify(m);
	Message p;
	p.protocols = {ID, PUSH, "/b"};
	kp_stream *s = fake_remote_open(h, &peer, PUSH);
	say(s, p);
	EXPECT_EQ(s->why, KP_OK);
	ASSERT_EQ(told.size(), 2u);
	EXPECT_EQ(told[1].agent, "first");
	EXPECT_EQ(told[1].addrs, m.addrs);
	EXPECT_EQ(told[1].protocols, p.protocols);
	Message q;
	q.addrs = {"/ip4/127.0.0.1/tcp/2"};
	q.agent = "second";
	say(fake_remote_open(h, &peer, PUSH), q);
	ASSERT_EQ(told.size(), 3u);
	EXPECT_EQ(told[2].agent, "second");
	EXPECT_EQ(told[2].addrs, q.addrs);
	EXPECT_EQ(told[2].protocols, p.protocols);
	EXPECT_EQ(h->stat(KP_STAT_identify_pushes_received), 2u);
}

TEST_F(IdentifyTest, push_floods_are_refused)
{
	connect();
	Message m;
	m.agent = "x";
	int taken = 0;
	for (int i = 0; i < 30; i++) {
		kp_stream *s = fake_remote_open(h, &peer, PUSH);
		if (s == nullptr)
			continue;
		say(s, m);
		taken++;
	}
	EXPECT_EQ(taken, 10);
	fake_run_for(h, KP_SEC(5));
	EXPECT_NE(fake_remote_open(h, &peer, PUSH), nullptr);
}

TEST_F(IdentifyTest, pushes_a_second_after_the_first_change)
{
	Message m;
	m.protocols = {PUSH};
	identify(m);
	fake_run_for(h, KP_SEC(10));
	size_t before = h->streams.size();
	kp_identify_svc_ops.on_addrs_changed(id, fake_now(h));
	fake_run_for(h, KP_MS(600));
	kp_identify_svc_ops.on_addrs_changed(id, fake_now(h)); /* does not put it off */
	fake_run_for(h, KP_MS(400) - 1);
	EXPECT_EQ(h->streams.size(), before);
	h->own_addrs = {fake_maddr("/ip4/10.0.0.6/tcp/4001")};
	fake_run_for(h, 1);
	ASSERT_EQ(h->streams.size(), before + 1);
	kp_stream *s = h->last_stream();
	EXPECT_STREQ(s->proto.id, PUSH);
	EXPECT_TRUE(s->fin_sent);
	Message sent = read(s->out);
	EXPECT_EQ(sent.addrs, Strings{"/ip4/10.0.0.6/tcp/4001"});
	EXPECT_EQ(sent.observed, "");
	EXPECT_EQ(h->stat(KP_STAT_identify_pushes_sent), 1u);
}

TEST_F(IdentifyTest, pushes_only_to_those_who_take_it_and_32_at_once)
{
	std::vector<kp_peer_id> peers;
	for (uint32_t i = 0; i < 50; i++) {
		peer = fake_peer(100 + i);
		peers.push_back(peer);
		Message m;
		m.protocols = {i < 40 ? PUSH : ID};
		identify(m);
	}
	kp_identify_svc_ops.on_addrs_changed(id, fake_now(h));
	fake_run_for(h, KP_SEC(1));
	EXPECT_EQ(h->live_streams(), 32u);
	for (auto &s : h->streams)
		if (!s->gone)
			fake_remote_fin(s.get());
	fake_pump(h);
	EXPECT_EQ(h->live_streams(), 8u);
	EXPECT_EQ(h->stat(KP_STAT_identify_pushes_sent), 40u);
	fake_run_for(h, KP_SEC(10)); /* the rest never close: reset */
	EXPECT_EQ(h->live_streams(), 0u);
}

TEST_F(IdentifyTest, peers_without_identify_are_only_counted)
{
	h->agrees = [](const kp_proto *) { return false; };
	connect();
	EXPECT_EQ(h->live_streams(), 0u);
	EXPECT_EQ(told.size(), 0u);
	EXPECT_EQ(h->stat(KP_STAT_identify_errors), 1u);
	/* and answered all the same */
	kp_stream *s = fake_remote_open(h, &peer, ID);
	fake_pump(h);
	EXPECT_TRUE(s->fin_sent);
}

TEST_F(IdentifyTest, vectors)
{
	for (const vectors::Json &c : vectors::list("identify", "messages", 13)) {
		const vectors::Json &f = c["fields"];
		told.clear();
		std::string framed(reinterpret_cast<const char *>(c["framed"].bytes().data()),
		                   c["framed"].bytes().size());
		vectors::Bytes key =
		        f["public_key"].is_null() ? vectors::Bytes() : f["public_key"].bytes();
		kp_peer_id from = fake_peer(1);
		if (!key.empty()) {
			ASSERT_EQ(kp_peer_id_from_pubkey(vectors::slice(key),
			                                 h->env.crypto->ops->sha256, &from),
			          KP_OK);
		}
		fake_connect(h, &from, "/ip4/127.0.0.1/tcp/1", true);
		fake_pump(h);
		kp_stream *s = h->last_stream();
		fake_remote_send(s, framed.data(), framed.size());
		fake_remote_fin(s);
		fake_pump(h);
		ASSERT_EQ(told.size(), 1u) << c["name"].str();
		ASSERT_EQ(told[0].protocols.size(), f["protocols"].size());
		for (size_t i = 0; i < f["protocols"].size(); i++)
			EXPECT_EQ(told[0].protocols[i], f["protocols"][i].str());
		size_t known = 0;
		for (const vectors::Json &a : f["listen_addrs"]) {
			vectors::Bytes b = a.bytes();
			kp_maddr m;
			if (kp_maddr_parse_bytes(vectors::slice(b), &m) != KP_OK)
				continue;
			ASSERT_LT(known, told[0].addrs.size());
			EXPECT_EQ(told[0].addrs[known++], fake_text(m));
		}
		EXPECT_EQ(told[0].addrs.size(), known);
		if (!f["agent_version"].is_null()) {
			EXPECT_EQ(told[0].agent, f["agent_version"].str());
		}
		fake_disconnect(h, &from);
	}
}

TEST_F(IdentifyTest, allocation_failures)
{
	Message m;
	m.protocols = {PUSH};
	m.addrs = {"/ip4/127.0.0.1/tcp/1"};
	for (uint64_t at = 1; at < 60; at++) {
		kp_mem *mems[] = {&h->mem, kp_pool_mem(h->pool)};
		kp_mem *mem = mems[at % 2];
		mem->fail_at = mem->calls + at / 2 + 1;
		fake_connect(h, &peer, "/ip4/127.0.0.1/tcp/1", true);
		fake_pump(h);
		for (auto &s : h->streams)
			if (!s->gone && s->outbound)
				say(s.get(), m);
		for (int i = 0; i < 2; i++) {
			kp_stream *s = fake_remote_open(h, &peer, i ? PUSH : ID);
			if (s != nullptr)
				say(s, m);
		}
		kp_identify_svc_ops.on_addrs_changed(id, fake_now(h));
		fake_run_for(h, KP_SEC(2));
		mem->fail_at = 0;
		fake_run_for(h, KP_SEC(20));
		fake_disconnect(h, &peer);
	}
}

} // namespace
