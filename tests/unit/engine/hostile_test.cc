/* docs/hostile.md at a running node: a peer of bad faith, made of a real connection that the test
 * feeds, beside a good one that must be served all the while. Row 16 and 22 are in limits_test.cc,
 * 21 in dial_test.cc, 23 in connect_test.cc, 20 is the simulator's scenario `poison`. */
#include <gtest/gtest.h>

#include "conn/mux.h"
#include "conn/pair.h"
#include "engine/cost.h"

#define MIB ((uint64_t)1 << 20)

namespace
{

/* --- RPCs, by hand
 * -------------------------------------------------------------------------------- */

std::string varint(uint64_t v)
{
	std::string out;
	for (; v >= 128; v >>= 7)
		out += (char)(v | 128);
	return out + (char)v;
}

std::string field(unsigned number, const std::string &bytes)
{
	return varint(number << 3 | 2) + varint(bytes.size()) + bytes;
}

std::string frame(const std::string &body)
{
	return varint(body.size()) + body;
}

std::string subscription(const std::string &topic)
{
	return field(1, std::string("\x08\x01", 2) + field(2, topic));
}

std::string ids(unsigned from, unsigned n, unsigned number)
{
	std::string out;
	for (unsigned i = 0; i < n; i++)
		out += field(number, "no message has this id " + std::to_string(from + i));
	return out;
}

/* --- who is there
 * --------------------------------------------------------------------------------- */

/* The bad peer: handshake and multiplexer as they should be, the rest by the test. */
class Rogue
{
      public:
	Rogue(net::Net &net, net::Node &victim) : n(net), end(0x66)
	{
		kp_peer_id peer = victim.peer();
		socket = n.raw(victim, "6.6.6.6");
		EXPECT_TRUE(end.make(true, &peer, n.now));
		for (const char *protocol : {"/meshsub/1.2.0", "/meshsub/1.1.0"})
			end.served[protocol] = &svc;
		svc.on_new = [](pairtest::Flow &f) { f.count_only = true; };
		kp_conn_start(end.c, n.now);
		run(KP_MS(50));
		EXPECT_EQ(end.state(), KP_CONN_OPEN);
	}
	~Rogue()
	{
		if (end.state() != KP_CONN_DEAD)
			kp_conn_abort(end.c, n.now, KP_WHY_SHUTDOWN);
		n.raw_close(socket);
	}
	bool alive() const
	{
		auto far = socket->other.lock();
		return far != nullptr && far->open;
	}
	/* A stream for a protocol; it says `bytes`. */
	pairtest::Flow &open(const char *protocol, const std::string &bytes)
	{
		pairtest::Flow &f = svc.add();
		EXPECT_EQ(end.open(n.now, svc, f, {protocol}), KP_OK);
		f.count_only = true;
		f.send(bytes);
		run(KP_MS(20));
		return f;
	}
	void say(pairtest::Flow &f, const std::string &bytes)
	{
		f.send(bytes);
		run(KP_MS(20));
	}
	/* Frames of the multiplexer that no honest one would send. */
	void say_raw(const std::string &plain)
	{
		for (size_t at = 0; at < plain.size();) {
			size_t k = std::min<size_t>(plain.size() - at, KP_NOISE_PLAIN_MAX);
			std::string sealed(k + KP_NOISE_OVERHEAD, 0);
			kp_slice v = kp_slice_of(&plain[at], k);
			ASSERT_EQ(kp_noise_seal(&end.c->noise, &v, 1, k, (uint8_t *)&sealed[0]),
			          KP_OK);
			write(sealed);
			at += k;
		}
	}
	void run(kp_time for_ns)
	{
		for (kp_time stop = n.now + for_ns; n.now < stop;) {
			pump();
			n.run(KP_MS(5));
		}
		pump();
	}
	bool reads = true, trickle = false;
	net::Net &n;
	pairtest::Service svc;
	pairtest::End end;
	std::shared_ptr<net::End> socket;

      private:
	void write(const std::string &bytes)
	{
		if (!trickle)
			return n.raw_write(socket, bytes);
		for (char c : bytes)
			n.raw_write(socket, std::string(1, c));
	}
	void read()
	{
		size_t at = 0, cap;
		while (reads && at < socket->got.size() && end.state() != KP_CONN_DEAD) {
			uint8_t *p = kp_conn_rx_buf(end.c, &cap);
			size_t k = std::min(cap, socket->got.size() - at);
			memcpy(p, &socket->got[at], k);
			at += k;
			kp_conn_on_read(end.c, n.now, k);
		}
		socket->got.erase(socket->got.begin(), socket->got.begin() + (long)at);
	}
	void pump()
	{
		kp_slice out;
		kp_timers_run(&end.node.timers, n.now);
		read();
		for (int turns = 0; turns < 10000; turns++) {
			if (end.dirty) {
				end.dirty = false;
				kp_conn_pump(end.c, n.now);
			}
			if (end.state() == KP_CONN_DEAD || !kp_conn_tx(end.c, n.now, &out))
				return;
			write(std::string((const char *)out.p, out.n));
			kp_conn_on_written(end.c, n.now);
		}
	}
};

/* A node with one good peer, and what it needed before the bad one came. */
class hostile : public testing::Test
{
      protected:
	hostile() : victim(n.add({{"topic", "t"}, {"kad.mode", "server"}}))
	{
		good = &n.add({{"topic", "t"}, {"kad.mode", "off"}, {"bootstrap", victim.addr()}});
		EXPECT_TRUE(n.until([&] { return victim.connected(*good); }));
		n.run(KP_SEC(2));
		expect_service();
		before = bytes();
		cost = std::make_unique<net::Cost>(n, victim);
	}
	uint64_t bytes() const
	{
		return kp_pool_mem(victim.pool)->bytes;
	}
	uint64_t grown() const
	{
		return bytes() > before ? bytes() - before : 0;
	}
	bool got(const net::Node &node, const std::string &text) const
	{
		for (auto &e : node.of_type(KP_EV_MESSAGE))
			if (e.get(KP_F_PAYLOAD) == text)
				return true;
		return false;
	}
	/* A message each way, within a second. */
	void expect_service()
	{
		std::string to = "to the node " + std::to_string(++round);
		std::string from = "from the node " + std::to_string(round);
		good->publish("t", to);
		victim.publish("t", from);
		EXPECT_TRUE(n.until([&] { return got(victim, to) && got(*good, from); }, KP_SEC(1)))
		        << round;
	}
	net::Net n;
	net::Node &victim;
	net::Node *good;
	uint64_t before = 0;
	std::unique_ptr<net::Cost> cost;
	unsigned round = 0;
};

/* --- the rows
 * ------------------------------------------------------------------------------------- */

TEST_F(hostile, row_1_subscriptions_without_end)
{
	Rogue bad(n, victim);
	pairtest::Flow &f = bad.open("/meshsub/1.1.0", "");
	for (unsigned i = 0; i < 100; i++) {
		std::string body;
		for (unsigned k = 0; k < 500; k++)
			body += subscription("random topic " + std::to_string(i * 500 + k));
		bad.say(f, frame(body));
	}
	EXPECT_GT(victim.stat(KP_STAT_topics_forgotten), 40000u);
	EXPECT_LT(grown(), MIB);
	victim.request(KP_OP_SUBSCRIBE, "mine");
	EXPECT_NE(victim.info("topics").find("\"mine\""), std::string::npos);
	expect_service();
	cost->tell("1", "50,000 subscriptions");
}

TEST_F(hostile, row_2_backoffs_of_any_size)
{
	Rogue bad(n, victim);
	pairtest::Flow &f = bad.open("/meshsub/1.1.0", frame(subscription("t")));
	for (uint64_t seconds : {UINT64_MAX, UINT64_MAX / 2, UINT64_MAX / 1000000000 + 1}) {
		std::string prune = field(1, "t") + "\x18" + varint(seconds);
		bad.say(f, frame(field(3, field(4, prune))));
		bad.run(KP_SEC(3)); /* heartbeats compute with it */
		expect_service();
	}
	EXPECT_LT(grown(), MIB);
	cost->tell("2", "three PRUNEs with backoffs up to 2^64 s");
}

TEST_F(hostile, row_3_data_for_unknown_streams)
{
	Rogue bad(n, victim);
	std::string frames;
	for (uint32_t id = 1001; id < 1001 + 2 * 20000; id += 2)
		frames += muxtest::data(0, id, std::string(100, 'x'));
	bad.say_raw(frames);
	bad.run(KP_SEC(1));
	EXPECT_EQ(victim.stat(KP_STAT_yamux_unknown_stream_frames), 20000u);
	EXPECT_TRUE(bad.alive());
	EXPECT_LT(grown(), MIB);
	expect_service();
	cost->tell("3", "20,000 frames for streams that are not");
}

TEST_F(hostile, row_6_streams_opened_by_window_updates)
{
	Rogue bad(n, victim);
	std::string frames;
	for (uint32_t id = 1001; id < 1001 + 2 * 20000; id += 2)
		frames += muxtest::window(KP_YAMUX_SYN, id, 0);
	bad.reads = false;
	bad.say_raw(frames);
	n.run(KP_SEC(1));
	EXPECT_LE(victim.stat(KP_STAT_streams_accepted), 1024u);
	EXPECT_GT(victim.stat(KP_STAT_streams_refused) + victim.stat(KP_STAT_flood_closes), 0u);
	EXPECT_LT(grown(), 4 * MIB);
	expect_service();
	cost->tell("6", "20,000 streams opened");
}

TEST_F(hostile, row_7_a_million_empty_parts)
{
	Rogue bad(n, victim);
	pairtest::Flow &f = bad.open("/meshsub/1.1.0", "");
	std::string parts; /* publish: {} */
	for (unsigned i = 0; i < 400000; i++)
		parts += std::string("\x12\x00", 2);
	for (int i = 0; i < 3; i++)
		bad.say(f, frame(parts));
	EXPECT_LT(kp_pool_mem(victim.pool)->peak, before + 4 * MIB);
	/* a length of 2^60 ends the stream, at the most the connection */
	pairtest::Flow &g = bad.open("/meshsub/1.1.0", varint((uint64_t)1 << 60) + "x");
	bad.run(KP_SEC(1));
	(void)g;
	EXPECT_LT(grown(), MIB);
	expect_service();
	cost->tell("7", "three RPCs of 400,000 empty messages, a length of 2^60");
}

TEST_F(hostile, row_8_and_9_gossip_floods)
{
	Rogue bad(n, victim);
	pairtest::Flow &f = bad.open("/meshsub/1.2.0", frame(subscription("t")));
	for (unsigned i = 0; i < 60; i++) {
		bad.say(f, frame(field(3, field(1, field(1, "t") + ids(i * 1000, 1000, 2)))));
		bad.say(f, frame(field(3, field(2, ids(7, 1000, 1)))));
		bad.say(f, frame(field(3, field(5, ids(i * 1000, 1000, 1)))));
	}
	EXPECT_GT(victim.stat(KP_STAT_ihave_ignored), 0u);
	EXPECT_GT(victim.stat(KP_STAT_iwant_ignored), 0u);
	EXPECT_GT(victim.stat(KP_STAT_idontwant_ignored), 0u);
	EXPECT_LT(grown(), 4 * MIB);
	expect_service();
	cost->tell("8, 9", "60,000 ids each by IHAVE, IWANT and IDONTWANT");
}

TEST_F(hostile, row_10_grafts)
{
	Rogue bad(n, victim);
	pairtest::Flow &f = bad.open("/meshsub/1.1.0", frame(subscription("t")));
	bad.say(f, frame(field(3, field(4, field(1, "t"))))); /* PRUNE: both back off */
	for (unsigned i = 0; i < 1000; i++) {
		std::string grafts = field(3, field(1, "t"));
		grafts += field(3, field(1, "unknown " + std::to_string(i)));
		bad.say(f, frame(field(3, grafts)));
	}
	/* the first ones cost it so much score that the rest is not read */
	EXPECT_GT(victim.stat(KP_STAT_graft_backoff), 6u);
	EXPECT_GT(victim.stat(KP_STAT_graft_ignored), 6u);
	EXPECT_GT(victim.stat(KP_STAT_rpc_graylisted), 900u);
	EXPECT_EQ(victim.info("topics").find("unknown"), std::string::npos);
	EXPECT_LT(grown(), MIB);
	expect_service();
	cost->tell("10", "2,000 GRAFTs");
}

TEST_F(hostile, row_11_and_12_messages_with_no_signature_of_their_author)
{
	Rogue bad(n, victim);
	pairtest::Flow &f = bad.open("/meshsub/1.1.0", frame(subscription("t")));
	const kp_peer_id &me = bad.end.node.self.id;
	std::string author((const char *)me.b, me.n), data(500, 'f');
	for (unsigned i = 0; i < 200; i++) {
		std::string body;
		for (unsigned k = 0; k < 20; k++) {
			std::string seqno = {0, 0, 0, 0, 0, 0, (char)i, (char)k};
			std::string text = std::to_string(i * 20 + k) + data;
			body += field(2, field(1, author) + field(2, text) + field(3, seqno) +
			                         field(4, "t") + field(5, std::string(64, 's')));
		}
		bad.say(f, frame(body));
	}
	/* the first ones cost it so much score that the rest is not read */
	EXPECT_GE(victim.stat(KP_STAT_rejected_signature), 9u);
	EXPECT_LT(victim.stat(KP_STAT_rejected_signature), 200u);
	EXPECT_GT(victim.stat(KP_STAT_rpc_graylisted), 150u);
	EXPECT_EQ(victim.of_type(KP_EV_MESSAGE).size(), 1u); /* the good one's, before */
	EXPECT_LT(grown(), MIB);
	expect_service();
	cost->tell("11, 12", "4,000 messages with forged signatures");
}

TEST_F(hostile, row_15_byte_by_byte)
{
	Rogue bad(n, victim);
	std::string frames; /* of one byte each; and the bytes come one by one */
	for (uint32_t i = 0; i < 4000; i++)
		frames += muxtest::data(i == 0 ? KP_YAMUX_SYN : 0, 1001, "x");
	bad.trickle = true;
	bad.say_raw(frames);
	bad.run(KP_SEC(1));
	EXPECT_LT(grown(), MIB);
	expect_service();
	cost->tell("15", "52 KB, byte by byte, in frames of one byte");
}

TEST_F(hostile, row_17_a_peer_that_never_reads)
{
	Rogue bad(n, victim);
	bad.open("/meshsub/1.1.0", frame(subscription("t")));
	bad.reads = false;
	bad.socket->other.lock()->stuck = true; /* nor does its kernel */
	std::string large(50000, 'x');
	for (unsigned i = 0; i < 600; i++) { /* 30 MB; the history of ten heartbeats is 10 MB */
		good->publish("t", std::to_string(i) + large);
		n.run(KP_MS(50));
	}
	EXPECT_GT(victim.stat(KP_STAT_dropped_forward) + victim.stat(KP_STAT_slow_peer), 0u);
	EXPECT_LT(kp_pool_mem(victim.pool)->peak, before + 18 * MIB);
	EXPECT_EQ(victim.of_type(KP_EV_MESSAGE).size(), 601u); /* and one before */
	expect_service();
	n.run(KP_SEC(60));
	EXPECT_FALSE(bad.alive()) << "its pings are not answered";
	EXPECT_LT(grown(), MIB);
	cost->tell("17", "nothing read of 600 messages of 50 KB");
}

TEST_F(hostile, row_18_chatter)
{
	for (bool pings : {true, false}) {
		Rogue bad(n, victim);
		std::string frames;
		bad.reads = false;
		bad.socket->other.lock()->stuck = true;
		for (uint32_t i = 0; i < 100000; i++)
			frames += pings ? muxtest::ping(KP_YAMUX_SYN, i)
			                : muxtest::data(KP_YAMUX_SYN, 1001 + 2 * i, "");
		bad.say_raw(frames);
		n.run(KP_SEC(1));
		EXPECT_LT(kp_pool_mem(victim.pool)->peak, before + 4 * MIB);
		expect_service();
	}
	EXPECT_GT(victim.stat(KP_STAT_flood_closes), 0u);
	cost->tell("18", "100,000 pings, then 100,000 opened streams, none of the answers read");
}

TEST_F(hostile, row_19_addresses_and_protocols_without_end)
{
	Rogue bad(n, victim);
	std::string body;
	for (unsigned i = 0; i < 480; i++)
		body += field(3, "/protocol/" + std::to_string(i));
	for (unsigned i = 0; i < 100; i++) {
		pairtest::Flow &f = bad.open("/ipfs/id/push/1.0.0", "");
		f.fin_when_sent = true;
		bad.say(f, frame(body) + frame(body) + frame(body));
	}
	EXPECT_GE(victim.stat(KP_STAT_identify_pushes_received), 10u);
	EXPECT_LE(victim.stat(KP_STAT_identify_pushes_received), 12u);
	EXPECT_GT(victim.stat(KP_STAT_identify_protocols_dropped), 4000u);
	EXPECT_LT(grown(), MIB);
	expect_service();
	cost->tell("19", "1,440 protocols by identify, 100 times");
}

TEST_F(hostile, row_20_records_without_end)
{
	Rogue bad(n, victim);
	std::string record = field(1, "key") + field(2, std::string(8000, 'v'));
	std::string put = std::string("\x08\x00", 2) + field(2, "key") + field(3, record);
	for (unsigned i = 0; i < 200; i++)
		bad.open("/ipfs/kad/1.0.0", frame(put) + frame(put));
	EXPECT_GT(victim.stat(KP_STAT_kad_refused), 100u);
	EXPECT_LT(grown(), MIB);
	expect_service();
	cost->tell("20", "400 PUT_VALUEs of 8 KB");
}

TEST_F(hostile, row_24_negotiation_that_leads_nowhere)
{
	std::string header("\x13/multistream/1.0.0\n", 20), ls("\x03ls\n", 4), many;
	auto endless = n.raw(victim, "6.6.6.1"), asking = n.raw(victim, "6.6.6.2");
	n.raw_write(endless, std::string(65536, 'x'));
	for (int i = 0; i < 5000; i++)
		many += ls;
	n.raw_write(asking, header + many);
	n.run(KP_SEC(11));
	for (auto &end : {endless, asking}) {
		auto far = end->other.lock();
		EXPECT_FALSE(far != nullptr && far->open);
	}
	/* thousands of unknown protocols, one after another on streams of an open connection */
	Rogue bad(n, victim);
	for (unsigned i = 0; i < 3000 && bad.alive(); i++) {
		std::string name = "/unknown/" + std::to_string(i);
		pairtest::Flow &f = bad.svc.add();
		bad.end.open(n.now, bad.svc, f, {name.c_str()});
		bad.run(KP_MS(5));
	}
	EXPECT_GT(victim.stat(KP_STAT_streams_unknown_protocol), 1000u);
	EXPECT_LT(grown(), MIB);
	expect_service();
	cost->tell("24", "5,000 times ls, 64 KiB of noise, 3,000 unknown protocols");
}

} // namespace
