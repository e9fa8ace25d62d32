/* Signature policies and message ids against the wire vectors. */
#include "gossipsub/harness.h"
#include "vectors.h"

using vectors::Bytes;

static std::string text(const Bytes &b)
{
	return std::string(b.begin(), b.end());
}

/* Sends one framed RPC; how many messages the application got. */
struct Judge {
	explicit Judge(kp_sig_policy policy = KP_SIG_STRICT_SIGN,
	               kp_msgid_fn fn = KP_MSGID_SOURCE_SEQNO)
	    : net(params(policy, fn), true)
	{
		for (const char *t : {"t", "u", "your_topic", "töpic 中"})
			net.subscribe(t);
		peer = net.peer();
	}
	static kp_gs_params params(kp_sig_policy policy, kp_msgid_fn fn)
	{
		kp_gs_params p = kp_gs_params_default();
		p.signature = policy;
		p.message_id = fn;
		p.score.mode =
		        KP_SCORE_OFF; /* every message is judged, whoever sent bad ones before */
		return p;
	}
	size_t send(const std::string &rpc)
	{
		peer.send(rpc);
		net.settle();
		got = net.events(KP_EV_MESSAGE);
		return got.size();
	}
	Net net;
	Script peer;
	std::vector<kp_event *> got;
};

TEST(policy, strict_sign_takes_every_signed_vector)
{
	Judge j;
	for (const auto &c : vectors::list("pubsub", "signed", 15)) {
		ASSERT_EQ(j.send(text(c["rpc_framed"].bytes())), 1u) << c["name"].str();
		kp_event *ev = j.got[0];
		EXPECT_EQ(field(ev, KP_F_FROM), c["from_text"].str());
		EXPECT_EQ(field(ev, KP_F_TOPIC), c["topic"].str());
		Bytes seqno = c["seqno"].bytes();
		EXPECT_EQ(field(ev, KP_F_ID), text(c["from"].bytes()) + text(seqno));
		uint64_t seq = 0;
		for (uint8_t b : seqno)
			seq = seq << 8 | b;
		EXPECT_EQ((uint64_t)ev->seq, seq);
		EXPECT_EQ(ev->flags, 0);
		Bytes data = c["data"].is_null() ? Bytes() : c["data"].bytes();
		EXPECT_EQ(field(ev, KP_F_PAYLOAD), text(data));
	}
	EXPECT_EQ(j.net.stat(KP_STAT_received), 15u);
	EXPECT_EQ(j.net.peer_of(j.peer)->invalid, 0.0);
}

TEST(policy, strict_sign_refuses_every_invalid_vector)
{
	Judge j;
	double invalid = 0;
	for (const auto &c : vectors::list("pubsub", "invalid", 23)) {
		EXPECT_EQ(j.send(text(c["rpc_framed"].bytes())), 0u) << c["name"].str();
		EXPECT_EQ(j.net.peer_of(j.peer)->invalid, ++invalid) << c["name"].str();
	}
	EXPECT_EQ(j.net.stat(KP_STAT_rejected_signature) + j.net.stat(KP_STAT_rejected_policy),
	          23u);
	EXPECT_EQ(j.net.stat(KP_STAT_rpc_malformed), 0u);
	EXPECT_NE(j.peer.in(), nullptr); /* the stream stays */
}

/* Where implementations differ, we take what all stock nodes take and refuse the rest. */
TEST(policy, strict_sign_and_the_disputed_vectors)
{
	Judge j;
	for (const auto &c : vectors::list("pubsub", "disputed", 5)) {
		const std::string &name = c["name"].str();
		bool take = name == "fields in descending order, signed in canonical order" ||
		            name == "data twice, the last is the signed one";
		EXPECT_EQ(j.send(text(c["rpc_framed"].bytes())), take ? 1u : 0u) << name;
	}
}

TEST(policy, strict_no_sign)
{
	Judge j(KP_SIG_STRICT_NO_SIGN, KP_MSGID_KARAK);
	for (const auto &c : vectors::list("pubsub", "unsigned", 2)) {
		ASSERT_EQ(j.send(rpc_message(text(c["message"].bytes()))), 1u) << c["name"].str();
		EXPECT_EQ(field(j.got[0], KP_F_FROM), "");
		EXPECT_EQ(j.got[0]->flags, KP_EVF_NO_SEQ);
	}
	for (const auto &c : vectors::list("pubsub", "signed", 15))
		EXPECT_EQ(j.send(text(c["rpc_framed"].bytes())), 0u) << c["name"].str();
}

TEST(policy, lax_takes_unsigned_but_checks_what_is_signed)
{
	for (kp_sig_policy policy : {KP_SIG_LAX_SIGN, KP_SIG_LAX_NO_SIGN}) {
		Judge j(policy, KP_MSGID_SHA256);
		const auto &unsigned_ = vectors::list("pubsub", "unsigned", 2);
		EXPECT_EQ(j.send(rpc_message(text(unsigned_[size_t(0)]["message"].bytes()))), 1u);
		const auto &good = vectors::list("pubsub", "signed", 15);
		EXPECT_EQ(j.send(text(good[size_t(5)]["rpc_framed"].bytes())), 1u);
		const auto &bad = vectors::list("pubsub", "invalid", 23);
		EXPECT_EQ(bad[size_t(0)]["name"].str(), "signed by another key");
		EXPECT_EQ(j.send(text(bad[size_t(0)]["rpc_framed"].bytes())), 0u);
	}
}

TEST(policy, what_we_send_by_policy)
{
	for (int policy = 0; policy < 4; policy++) {
		Net net(Judge::params((kp_sig_policy)policy, KP_MSGID_KARAK), true);
		net.subscribe("t");
		Script p = net.peer({"t"});
		p.take();
		net.publish("t", "hello");
		net.settle();
		auto got = p.take(KP_RPC_MESSAGE);
		ASSERT_EQ(got.size(), 1u);
		kp_rpc_message m;
		ASSERT_EQ(
		        kp_rpc_message_parse(kp_slice_of(got[0].raw.data(), got[0].raw.size()), &m),
		        KP_OK);
		bool sign = policy == KP_SIG_STRICT_SIGN || policy == KP_SIG_LAX_SIGN;
		EXPECT_TRUE(m.canonical);
		EXPECT_EQ(m.signature.n, sign ? 64u : 0u);
		EXPECT_EQ(m.from.p != nullptr, policy != KP_SIG_STRICT_NO_SIGN);
		EXPECT_EQ(m.seqno.n, policy != KP_SIG_STRICT_NO_SIGN ? 8u : 0u);
		EXPECT_EQ(m.key.p, nullptr);
		EXPECT_TRUE(kp_slice_eq_str(m.data, "hello"));
	}
}

TEST(policy, message_ids)
{
	Judge karak(KP_SIG_STRICT_NO_SIGN, KP_MSGID_KARAK);
	for (const auto &c : vectors::list("message_id", "karak_siphash", 22)) {
		std::string data = text(c["data"].bytes());
		kp_writer w;
		uint8_t buf[4096];
		w = kp_writer_of(buf, sizeof buf);
		kp_slice d = kp_slice_of(data.data(), data.size());
		uint8_t t[] = {0x22, 1, 't'};
		w.n = 0;
		buf[w.n++] = 0x12;
		for (size_t n = d.n;; n >>= 7) {
			buf[w.n++] = (uint8_t)(n < 128 ? n : (n & 127) | 128);
			if (n < 128)
				break;
		}
		kp_write_slice(&w, d);
		kp_write(&w, t, sizeof t);
		ASSERT_EQ(karak.send(rpc_message(std::string((char *)buf, w.n))), 1u)
		        << c["name"].str();
		EXPECT_EQ(field(karak.got[0], KP_F_ID), c["id_text"].str());
	}
	Judge sha(KP_SIG_STRICT_SIGN, KP_MSGID_SHA256);
	const auto &hello = vectors::list("pubsub", "signed", 15)[size_t(0)];
	ASSERT_EQ(sha.send(text(hello["rpc_framed"].bytes())), 1u);
	const auto &want = vectors::list("message_id", "sha256", 4)[size_t(1)];
	EXPECT_EQ(field(sha.got[0], KP_F_ID), text(want["id"].bytes()));
}

/* docs/hostile.md 12: one bad message costs its sender P4 and nothing else. */
TEST(policy, good_messages_around_a_bad_one_arrive_in_order)
{
	Net net(kp_gs_params_default(), true);
	net.subscribe("t");
	Script p = net.peer({"t"});
	Script author = net.stranger();
	std::string forged = signed_message(author.h, 2, "t", "two");
	forged[forged.size() - 1] ^= 1;
	p.send(rpc_message(signed_message(author.h, 1, "t", "one")) + rpc_message(forged) +
	       rpc_message(signed_message(author.h, 3, "t", "three")));
	net.settle();
	EXPECT_EQ(net.payloads(), (std::vector<std::string>{"one", "three"}));
	EXPECT_EQ(net.peer_of(p)->invalid, 1.0);
}
