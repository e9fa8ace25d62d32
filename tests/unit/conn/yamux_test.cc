/* yamux by itself: frames of other implementations, the state machine, windows, limits. */
#include "mux.h"
#include "vectors.h"

#include <random>

using namespace muxtest;

namespace
{

const uint32_t W = KP_YAMUX_WINDOW_FIRST;

std::string bytes_of(const vectors::Json &hex)
{
	vectors::Bytes b = hex.bytes();
	return std::string(b.begin(), b.end());
}

/* Every recorded frame is what we read it as, and none of them upsets a session. */
void check_recorded(const char *name, size_t count)
{
	for (const auto &c : vectors::list("yamux", name, count)) {
		SCOPED_TRACE(c["name"].str());
		ASSERT_EQ(c["frames"].size(), c["parsed"].size());
		for (bool client : {false, true}) {
			Mux m(client);
			for (int i = 0; client && i < 4; i++)
				m.open(); /* 1, 3, 5, 7: the ids used in the file */
			m.tx_all();
			for (size_t i = 0; i < c["frames"].size(); i++) {
				std::string f = bytes_of(c["frames"][i]);
				Parsed p = parse(f).at(0);
				const auto &want = c["parsed"][i];
				EXPECT_EQ(p.h.type, want["type"].u64());
				EXPECT_EQ(p.h.flags, want["flags"].u64());
				EXPECT_EQ(p.h.stream, want["stream_id"].u64());
				EXPECT_EQ(p.h.length, want["length"].u64());
				bool syn_of_client =
				        (p.h.flags & KP_YAMUX_SYN) != 0 && p.h.type < 2;
				if (client && syn_of_client)
					break; /* written by a client: not for one */
				EXPECT_EQ(m.rx(f), KP_E_AGAIN);
			}
			m.tx_all();
		}
	}
}

TEST(yamux, recorded_frames)
{
	check_recorded("frames", 7);
}

TEST(yamux, recorded_sessions)
{
	check_recorded("as_sent", 16);
}

TEST(yamux, recorded_stream_meaning)
{
	Mux m(false);
	const auto &frames = vectors::list("yamux", "frames", 7);
	const auto &first = frames[size_t{0}];
	ASSERT_EQ(first["name"].str(), "open, write, half-close by a client");
	for (const auto &f : first["frames"])
		EXPECT_EQ(m.rx(bytes_of(f)), KP_E_AGAIN);
	ASSERT_NE(m.at(1), nullptr);
	EXPECT_EQ(m.at(1)->in, "hello");
	EXPECT_TRUE(m.at(1)->fin);
}

TEST(yamux, invalid_headers)
{
	for (const auto &c : vectors::list("yamux", "invalid", 4)) {
		SCOPED_TRACE(c["name"].str());
		Mux m(false);
		EXPECT_EQ(m.rx(bytes_of(c["hex"])), KP_E_PROTO);
	}
}

TEST(yamux, syn_rides_on_the_first_data)
{
	Mux m(true);
	Stream &s = m.open();
	m.send(s, "hello");
	EXPECT_EQ(m.tx(), data(KP_YAMUX_SYN, 1, "hello"));
	m.send(s, "again");
	EXPECT_EQ(m.tx(), data(0, 1, "again"));
	kp_yamux_finish(&m.y, &s.y);
	EXPECT_EQ(m.tx(), window(KP_YAMUX_FIN, 1, 0));
	EXPECT_TRUE(s.fin_sent);
	EXPECT_EQ(m.tx(), "");
}

TEST(yamux, syn_alone_when_there_is_nothing_to_say)
{
	Mux m(true);
	m.open();
	m.open();
	EXPECT_EQ(m.tx(), window(KP_YAMUX_SYN, 1, 0) + window(KP_YAMUX_SYN, 3, 0));
	Mux server(false);
	server.open();
	EXPECT_EQ(server.tx(), window(KP_YAMUX_SYN, 2, 0));
}

TEST(yamux, ack_exactly_once)
{
	/* On the first frame whatever it is: data, window update, nothing else due. */
	Mux m(false);
	ASSERT_EQ(m.rx(data(KP_YAMUX_SYN, 1, "x") + window(KP_YAMUX_SYN, 3, 0)), KP_E_AGAIN);
	m.send(*m.at(1), "answer");
	EXPECT_EQ(m.tx(), data(KP_YAMUX_ACK, 1, "answer") + window(KP_YAMUX_ACK, 3, 0));
	m.send(*m.at(1), "more");
	m.send(*m.at(3), "more");
	EXPECT_EQ(m.tx(), data(0, 1, "more") + data(0, 3, "more"));
	/* A whole window at once: the credit carries the ACK. */
	ASSERT_EQ(m.rx(data(KP_YAMUX_SYN, 5, std::string(W, 'x'))), KP_E_AGAIN);
	EXPECT_EQ(m.tx_all(), window(KP_YAMUX_ACK, 5, W));
	/* FIN of an inbound stream that has said nothing yet. */
	ASSERT_EQ(m.rx(window(KP_YAMUX_SYN, 7, 0)), KP_E_AGAIN);
	kp_yamux_finish(&m.y, &m.at(7)->y);
	EXPECT_EQ(m.tx_all(), window(KP_YAMUX_ACK | KP_YAMUX_FIN, 7, 0));
}

TEST(yamux, peers_of_each_kind)
{
	/* rust: SYN and FIN on data, ACK with the first data. go and js: on window updates. */
	Mux m(false);
	ASSERT_EQ(m.rx(data(KP_YAMUX_SYN, 1, "rust") + data(KP_YAMUX_FIN, 1, "")), KP_E_AGAIN);
	EXPECT_EQ(m.at(1)->in, "rust");
	EXPECT_TRUE(m.at(1)->fin);
	ASSERT_EQ(m.rx(window(KP_YAMUX_SYN, 3, 0) + data(0, 3, "go") + window(KP_YAMUX_FIN, 3, 0)),
	          KP_E_AGAIN);
	EXPECT_EQ(m.at(3)->in, "go");
	EXPECT_TRUE(m.at(3)->fin);
	ASSERT_EQ(m.rx(window(KP_YAMUX_SYN, 5, 1000) + data(KP_YAMUX_FIN, 5, "js")), KP_E_AGAIN);
	EXPECT_EQ(m.at(5)->in, "js");
	EXPECT_TRUE(m.at(5)->fin);
	EXPECT_EQ(m.at(5)->y.send_window, W + 1000);
	/* One frame does it all. */
	ASSERT_EQ(m.rx(data(KP_YAMUX_SYN | KP_YAMUX_FIN, 7, "at once")), KP_E_AGAIN);
	EXPECT_EQ(m.at(7)->in, "at once");
	EXPECT_TRUE(m.at(7)->fin);
	/* js may fill the window with one frame. */
	ASSERT_EQ(m.rx(data(KP_YAMUX_SYN, 9, std::string(W, 'j'))), KP_E_AGAIN);
	EXPECT_EQ(m.at(9)->in.size(), W);
	/* rust drops a stream it never used. */
	ASSERT_EQ(m.rx(data(KP_YAMUX_RST, 11, "") + data(KP_YAMUX_FIN, 13, "")), KP_E_AGAIN);
	EXPECT_EQ(m.stat(KP_STAT_yamux_unknown_stream_frames), 2u);
	/* Opened and reset by one frame: nothing happens. */
	ASSERT_EQ(m.rx(window(KP_YAMUX_SYN | KP_YAMUX_RST, 15, 0)), KP_E_AGAIN);
	EXPECT_EQ(m.at(15), nullptr);
}

TEST(yamux, fatal_table)
{
	std::string open1 = window(KP_YAMUX_SYN, 1, 0);
	struct {
		const char *name;
		std::string in;
	} rows[] = {
	        {"SYN with our parity", window(KP_YAMUX_SYN, 2, 0)},
	        {"SYN with our parity on data", data(KP_YAMUX_SYN, 2, "x")},
	        {"SYN on a live id", open1 + open1},
	        {"data SYN on a live id", open1 + data(KP_YAMUX_SYN, 1, "x")},
	        {"data on id 0", data(0, 0, "x")},
	        {"window update on id 0", window(0, 0, 1)},
	        {"ping with an id", frame(KP_YAMUX_PING, KP_YAMUX_SYN, 1, 0)},
	        {"go away with an id", frame(KP_YAMUX_GOAWAY, 0, 1, 0)},
	        {"first frame above the window", frame(KP_YAMUX_DATA, KP_YAMUX_SYN, 1, W + 1)},
	        {"4 GiB on a live stream", open1 + frame(KP_YAMUX_DATA, 0, 1, UINT32_MAX)},
	        {"4 GiB to nobody", frame(KP_YAMUX_DATA, 0, 99, UINT32_MAX)},
	        {"window overflow", open1 + window(0, 1, UINT32_MAX)},
	        {"window overflow in steps",
	         open1 + window(0, 1, 0x80000000u) + window(0, 1, 0x80000000u)},
	        {"window overflow with the SYN", window(KP_YAMUX_SYN, 1, UINT32_MAX - W + 1)},
	        {"window overflow despite RST in data",
	         open1 + frame(KP_YAMUX_DATA, KP_YAMUX_RST, 1, W + 1)},
	};
	for (auto &r : rows) {
		SCOPED_TRACE(r.name);
		Mux whole(false);
		EXPECT_EQ(whole.rx(r.in), KP_E_PROTO);
		EXPECT_FALSE(whole.y.flooded);
		Mux bytewise(false);
		kp_err err = KP_E_AGAIN;
		for (size_t i = 0; i < r.in.size() && err == KP_E_AGAIN; i++)
			err = bytewise.rx(r.in.substr(i, 1));
		EXPECT_EQ(err, KP_E_PROTO);
	}
}

TEST(yamux, tolerated_table)
{
	std::string open1 = window(KP_YAMUX_SYN, 1, 0);
	struct {
		const char *name;
		std::string in;
	} rows[] = {
	        {"unknown flags", frame(KP_YAMUX_WINDOW, KP_YAMUX_SYN | 0xfff0, 1, 0)},
	        {"window up to 2^32 - 1", open1 + window(0, 1, UINT32_MAX - W)},
	        {"empty data", open1 + data(0, 1, "")},
	        {"data for a stream of ours that is gone", data(0, 2, "late")},
	        {"window update to nobody", window(0, 77, UINT32_MAX)},
	        {"pong nobody asked for", ping(KP_YAMUX_ACK, 5)},
	        {"ping without flags", ping(0, 5)},
	        {"data after FIN", open1 + data(KP_YAMUX_FIN, 1, "a") + data(0, 1, "b")},
	        {"FIN twice", open1 + data(KP_YAMUX_FIN, 1, "") + data(KP_YAMUX_FIN, 1, "")},
	};
	for (auto &r : rows) {
		SCOPED_TRACE(r.name);
		Mux m(false);
		EXPECT_EQ(m.rx(r.in), KP_E_AGAIN);
		EXPECT_EQ(m.rx(data(KP_YAMUX_SYN, 9, "still works")), KP_E_AGAIN);
		EXPECT_EQ(m.at(9)->in, "still works");
	}
}

TEST(yamux, go_away)
{
	Mux m(false);
	EXPECT_EQ(m.rx(frame(KP_YAMUX_GOAWAY, 0, 0, 2)), KP_E_CLOSED);
	EXPECT_EQ(m.y.goaway_code, 2u);
	Mux us(true);
	us.send(us.open(), "never sent");
	kp_yamux_goaway(&us.y, KP_YAMUX_GOAWAY_PROTO);
	EXPECT_EQ(us.tx(), frame(KP_YAMUX_GOAWAY, 0, 0, 1));
	EXPECT_EQ(us.tx(), "");
	EXPECT_FALSE(kp_yamux_pending(&us.y));
	Stream *late = us.make();
	EXPECT_EQ(kp_yamux_open(&us.y, us.now, &late->y), KP_E_LIMIT);
}

TEST(yamux, refused_streams_are_reset_and_their_data_discarded)
{
	Mux m(false);
	m.syn_err = KP_E_LIMIT;
	EXPECT_EQ(m.rx(data(KP_YAMUX_SYN, 1, "unwanted") + data(0, 1, "more")), KP_E_AGAIN);
	EXPECT_EQ(m.tx(), window(KP_YAMUX_RST, 1, 0));
	EXPECT_EQ(m.all.size(), 0u);
}

TEST(yamux, a_syn_waits_for_memory)
{
	Mux m(false);
	std::string in = data(KP_YAMUX_SYN, 1, "patience");
	kp_slice s = kp_slice_of(in.data(), in.size());
	m.mem.fail_at = m.mem.calls + 1; /* the table's own memory */
	EXPECT_EQ(kp_yamux_rx(&m.y, m.now, &s), KP_E_LIMIT);
	m.syn_err = KP_E_NOMEM;
	EXPECT_EQ(kp_yamux_rx(&m.y, m.now, &s), KP_E_LIMIT);
	EXPECT_EQ(kp_yamux_rx(&m.y, m.now, &s), KP_E_LIMIT);
	m.syn_err = KP_OK;
	EXPECT_EQ(kp_yamux_rx(&m.y, m.now, &s), KP_E_AGAIN);
	EXPECT_EQ(m.at(1)->in, "patience");
	EXPECT_EQ(m.all.size(), 1u);
}

TEST(yamux, data_waits_for_memory)
{
	Mux m(false);
	std::string in =
	        data(KP_YAMUX_SYN | KP_YAMUX_FIN, 1, "patience") + window(KP_YAMUX_SYN, 3, 0);
	kp_slice s = kp_slice_of(in.data(), in.size());
	m.take_max = 3;
	EXPECT_EQ(kp_yamux_rx(&m.y, m.now, &s), KP_E_LIMIT);
	m.take_max = 0;
	EXPECT_EQ(kp_yamux_rx(&m.y, m.now, &s), KP_E_LIMIT);
	EXPECT_FALSE(m.at(1)->fin);
	m.take_max = SIZE_MAX;
	EXPECT_EQ(kp_yamux_rx(&m.y, m.now, &s), KP_E_AGAIN);
	EXPECT_EQ(m.at(1)->in, "patience");
	EXPECT_TRUE(m.at(1)->fin);
	EXPECT_NE(m.at(3), nullptr);
}

TEST(yamux, replies_are_capped)
{
	Mux m(false);
	std::string pings;
	for (unsigned i = 0; i < KP_YAMUX_REPLIES_MAX; i++)
		pings += ping(KP_YAMUX_SYN, i);
	EXPECT_EQ(m.rx(pings), KP_E_AGAIN);
	std::string expect;
	for (unsigned i = 0; i < KP_YAMUX_REPLIES_MAX; i++)
		expect += ping(KP_YAMUX_ACK, i);
	EXPECT_EQ(m.tx_all(), expect);
	EXPECT_EQ(m.rx(pings), KP_E_AGAIN);
	EXPECT_EQ(m.rx(ping(KP_YAMUX_SYN, 0)), KP_E_PROTO);
	EXPECT_TRUE(m.y.flooded);

	Mux refusing(false);
	refusing.syn_err = KP_E_LIMIT;
	for (unsigned i = 0; i < KP_YAMUX_REPLIES_MAX; i++)
		EXPECT_EQ(refusing.rx(window(KP_YAMUX_SYN, 1 + 2 * i, 0)), KP_E_AGAIN);
	EXPECT_EQ(refusing.rx(window(KP_YAMUX_SYN, 999, 0)), KP_E_PROTO);
	EXPECT_TRUE(refusing.y.flooded);
}

TEST(yamux, ping_measures)
{
	Mux m(true);
	EXPECT_EQ(m.y.rtt, KP_NEVER);
	kp_yamux_ping(&m.y);
	kp_yamux_ping(&m.y); /* one at a time */
	m.now += KP_SEC(5);  /* not yet written: does not count */
	std::string sent = m.tx();
	EXPECT_EQ(sent, ping(KP_YAMUX_SYN, m.y.ping_value));
	EXPECT_EQ(m.tx(), "");
	m.now += KP_MS(40);
	EXPECT_EQ(m.rx(ping(KP_YAMUX_ACK, m.y.ping_value + 1)), KP_E_AGAIN);
	EXPECT_EQ(m.y.rtt, KP_NEVER);
	EXPECT_EQ(m.rx(ping(KP_YAMUX_ACK, m.y.ping_value)), KP_E_AGAIN);
	EXPECT_EQ(m.y.rtt, KP_MS(40));
	EXPECT_EQ(m.stat(KP_STAT_yamux_odd_frames), 1u);
}

TEST(yamux, control_goes_ahead_of_data)
{
	Mux m(false);
	ASSERT_EQ(m.rx(window(KP_YAMUX_SYN, 1, 0)), KP_E_AGAIN);
	m.send(*m.at(1), std::string(100000, 'd'));
	m.tx(1000);
	ASSERT_EQ(m.rx(data(0, 1, std::string(W / 2, 'x')) + ping(KP_YAMUX_SYN, 9)), KP_E_AGAIN);
	auto frames = parse(m.tx());
	ASSERT_GE(frames.size(), 3u);
	EXPECT_EQ(frames[0].h.type, KP_YAMUX_PING);
	EXPECT_EQ(frames[1].h.type, KP_YAMUX_WINDOW);
	EXPECT_EQ(frames[2].h.type, KP_YAMUX_DATA);
}

TEST(yamux, round_robin)
{
	Mux m(true);
	for (int i = 0; i < 3; i++)
		m.send(m.open(), std::string(60000, static_cast<char>('a' + i)));
	std::vector<uint32_t> order;
	std::map<uint32_t, size_t> got;
	for (int i = 0; i < 40; i++) {
		for (auto &f : parse(m.tx())) {
			order.push_back(f.h.stream);
			got[f.h.stream] += f.body.size();
			EXPECT_LE(f.body.size(), KP_YAMUX_FRAME_MAX);
			/* nobody is more than one turn ahead */
			for (auto &g : got)
				EXPECT_LE(g.second, got[1] + 2 * KP_YAMUX_FRAME_MAX);
		}
	}
	for (auto &g : got)
		EXPECT_EQ(g.second, 60000u);
	EXPECT_EQ(order[0], 1u);
	EXPECT_EQ(order[1], 3u);
}

TEST(yamux, no_room_loses_nothing)
{
	/* Whatever the gather's limits, the same bytes come out of each stream. */
	std::mt19937 rnd(5);
	for (int round = 0; round < 30; round++) {
		Mux m(true);
		std::map<uint32_t, std::string> expect, got;
		for (int i = 0; i < 20; i++) {
			Stream &s = m.open();
			std::string body(rnd() % 40000, static_cast<char>('a' + i));
			expect[s.y.id] = body;
			if (!body.empty())
				m.send(s, body);
			kp_yamux_finish(&m.y, &s.y);
		}
		std::string all;
		for (int i = 0; i < 20000 && kp_yamux_pending(&m.y); i++)
			all += m.tx(600 + rnd() % 20000, 3 + rnd() % 20, 530 + rnd() % 400);
		EXPECT_FALSE(kp_yamux_pending(&m.y));
		std::map<uint32_t, unsigned> fins, syns;
		for (auto &f : parse(all)) {
			got[f.h.stream] += f.body;
			fins[f.h.stream] += (f.h.flags & KP_YAMUX_FIN) != 0;
			syns[f.h.stream] += (f.h.flags & KP_YAMUX_SYN) != 0;
		}
		EXPECT_EQ(got, expect);
		for (auto &e : expect) {
			EXPECT_EQ(fins[e.first], 1u);
			EXPECT_EQ(syns[e.first], 1u);
		}
	}
}

TEST(yamux, window_is_never_exceeded)
{
	Mux m(true);
	Stream &s = m.open();
	m.send(s, std::string(W + 100, 'x'));
	kp_yamux_finish(&m.y, &s.y);
	size_t n = 0;
	for (auto &f : parse(m.tx_all()))
		n += f.body.size();
	EXPECT_EQ(n, W);
	EXPECT_FALSE(kp_yamux_pending(&m.y));
	EXPECT_FALSE(s.fin_sent);
	EXPECT_EQ(m.y.wanting, 1u);
	EXPECT_EQ(m.rx(window(KP_YAMUX_ACK, 1, 60)), KP_E_AGAIN);
	EXPECT_EQ(m.tx_all(), data(0, 1, std::string(60, 'x')));
	EXPECT_EQ(m.rx(window(0, 1, 1000)), KP_E_AGAIN);
	EXPECT_EQ(m.tx_all(), data(0, 1, std::string(40, 'x')) + window(KP_YAMUX_FIN, 1, 0));
}

TEST(yamux, credit_comes_with_consumption_only)
{
	Mux m(false);
	m.manual = true;
	ASSERT_EQ(m.rx(data(KP_YAMUX_SYN, 1, std::string(W, 'x'))), KP_E_AGAIN);
	EXPECT_EQ(m.tx_all(), window(KP_YAMUX_ACK, 1, 0));
	EXPECT_EQ(m.rx(data(0, 1, "x")), KP_E_PROTO);
	Mux ok(false);
	ok.manual = true;
	ASSERT_EQ(ok.rx(data(KP_YAMUX_SYN, 1, std::string(W, 'x'))), KP_E_AGAIN);
	ok.tx_all();
	ok.consume(*ok.at(1), W / 2 - 1);
	EXPECT_EQ(ok.tx_all(), ""); /* not worth a frame yet */
	ok.consume(*ok.at(1), 1);
	EXPECT_EQ(ok.tx_all(), window(0, 1, W / 2));
	EXPECT_EQ(ok.rx(data(0, 1, std::string(W / 2, 'y'))), KP_E_AGAIN);
	EXPECT_EQ(ok.rx(data(0, 1, "z")), KP_E_PROTO);
}

/* Measures a round trip of rtt first. */
void measure(Mux &m, kp_time rtt)
{
	kp_yamux_ping(&m.y);
	m.tx_all();
	m.now += rtt;
	ASSERT_EQ(m.rx(ping(KP_YAMUX_ACK, m.y.ping_value)), KP_E_AGAIN);
}

TEST(yamux, window_grows_while_the_reader_keeps_up)
{
	Mux m(false, 4u << 20);
	measure(m, KP_MS(50));
	ASSERT_EQ(m.rx(window(KP_YAMUX_SYN, 1, 0)), KP_E_AGAIN);
	Stream &s = *m.at(1);
	uint32_t max = W;
	for (int i = 0; i < 10; i++) {
		m.now += KP_MS(25);
		ASSERT_EQ(m.rx(data(0, 1, std::string(max / 2, 'x'))), KP_E_AGAIN);
		uint32_t next = std::min(max * 2, 4u << 20);
		EXPECT_EQ(s.y.recv_max, next);
		auto frames = parse(m.tx_all());
		ASSERT_EQ(frames.size(), 1u);
		EXPECT_EQ(frames[0].h.length, max / 2 + (next - max));
		max = next;
	}
	EXPECT_EQ(max, 4u << 20);
}

TEST(yamux, window_stays_when_slow_or_unmeasured)
{
	Mux unmeasured(false);
	ASSERT_EQ(unmeasured.rx(data(KP_YAMUX_SYN, 1, std::string(W / 2, 'x'))), KP_E_AGAIN);
	EXPECT_EQ(unmeasured.at(1)->y.recv_max, W);
	Mux slow(false);
	measure(slow, KP_MS(50));
	ASSERT_EQ(slow.rx(window(KP_YAMUX_SYN, 1, 0)), KP_E_AGAIN);
	slow.now += KP_MS(100);
	ASSERT_EQ(slow.rx(data(0, 1, std::string(W / 2, 'x'))), KP_E_AGAIN);
	EXPECT_EQ(slow.at(1)->y.recv_max, W);
}

/* A peer that has used up its window before our credit could be written stands still, also when the
 * way to it is so short that no window would be too small. */
TEST(yamux, window_of_a_starved_peer_grows_to_a_mebibyte)
{
	Mux m(false);
	measure(m, 1000);
	ASSERT_EQ(m.rx(window(KP_YAMUX_SYN, 1, 0)), KP_E_AGAIN);
	Stream &s = *m.at(1);
	uint32_t max = W;
	for (int i = 0; i < 5; i++) {
		m.now += KP_MS(100); /* long past two round trips */
		uint32_t spare = i == 4 ? KP_YAMUX_FRAME_MAX : KP_YAMUX_FRAME_MAX - 1;
		ASSERT_EQ(m.rx(data(0, 1, std::string(max - spare, 'x'))), KP_E_AGAIN);
		EXPECT_EQ(s.y.recv_max, max); /* not before it is known that it waits */
		uint32_t next = i == 4 ? max : std::min(2 * max, 1u << 20);
		auto frames = parse(m.tx_all());
		ASSERT_EQ(frames.size(), 1u);
		EXPECT_EQ(frames[0].h.length, max - spare + (next - max));
		EXPECT_EQ(s.y.recv_window + s.y.consumed, next);
		EXPECT_EQ(m.y.grown, next - W);
		max = next;
	}
	EXPECT_EQ(max, 1u << 20);
}

TEST(yamux, all_windows_together_are_capped)
{
	Mux m(false, 1u << 20);
	measure(m, KP_SEC(1));
	for (uint32_t id = 1; id < 41; id += 2)
		ASSERT_EQ(m.rx(window(KP_YAMUX_SYN, id, 0)), KP_E_AGAIN);
	for (int round = 0; round < 6; round++) {
		for (uint32_t id = 1; id < 41; id += 2)
			ASSERT_EQ(m.rx(data(0, id, std::string(m.at(id)->y.recv_window, 'x'))),
			          KP_E_AGAIN);
		m.tx_all();
	}
	EXPECT_LE(m.y.grown, uint64_t{KP_YAMUX_GROWN_FACTOR} << 20);
	EXPECT_GT(m.y.grown, uint64_t{KP_YAMUX_GROWN_FACTOR} << 19);
	/* Streams that end give back their share. */
	for (uint32_t id = 1; id < 41; id += 2)
		kp_yamux_reset(&m.y, &m.at(id)->y);
	EXPECT_EQ(m.y.grown, 0u);
	m.tx_all();
}

TEST(yamux, reset)
{
	Mux m(true);
	Stream &untold = m.open();
	EXPECT_TRUE(kp_yamux_reset(&m.y, &untold.y)); /* the peer never heard of it */
	EXPECT_EQ(m.tx_all(), "");
	Stream &s = m.open();
	m.send(s, "hello");
	m.tx_all();
	m.send(s, "never sent");
	EXPECT_FALSE(kp_yamux_reset(&m.y, &s.y));
	EXPECT_FALSE(s.gone);
	EXPECT_EQ(m.rx(data(0, s.y.id, "late")), KP_E_AGAIN); /* ignored from now on */
	EXPECT_EQ(s.in, "");
	EXPECT_EQ(m.tx_all(), window(KP_YAMUX_RST, s.y.id, 0));
	EXPECT_TRUE(s.gone);
	/* In the middle of a frame: the rest of it is discarded. */
	Stream &t = m.open();
	m.tx_all();
	std::string in = data(0, t.y.id, "0123456789");
	ASSERT_EQ(m.rx(in.substr(0, 17)), KP_E_AGAIN);
	EXPECT_EQ(t.in, "01234");
	kp_yamux_reset(&m.y, &t.y);
	ASSERT_EQ(m.rx(in.substr(17) + ping(KP_YAMUX_SYN, 1)), KP_E_AGAIN);
	EXPECT_EQ(t.in, "01234");
	EXPECT_EQ(m.tx_all(), ping(KP_YAMUX_ACK, 1) + window(KP_YAMUX_RST, t.y.id, 0));
	/* By the peer. */
	Stream &u = m.open();
	m.send(u, "queued");
	ASSERT_EQ(m.rx(window(KP_YAMUX_RST, u.y.id, 4711)), KP_E_AGAIN);
	EXPECT_TRUE(u.rst);
	EXPECT_EQ(m.tx_all(), "");
}

TEST(yamux, calls_on_streams_that_are_over)
{
	Mux m(true);
	Stream &gone = m.open(), &ended = m.open(), &dead = m.open();
	m.tx_all();
	kp_yamux_remove(&m.y, &gone.y);
	kp_yamux_want(&m.y, &gone.y);
	kp_yamux_pause(&m.y, &gone.y, false);
	kp_yamux_finish(&m.y, &gone.y);
	m.consume(gone, W);
	EXPECT_FALSE(kp_yamux_pending(&m.y));
	EXPECT_TRUE(kp_yamux_reset(&m.y, &gone.y)) << "nothing of it is left";
	kp_yamux_finish(&m.y, &ended.y);
	kp_yamux_finish(&m.y, &ended.y);
	EXPECT_EQ(parse(m.tx_all()).size(), 1u);
	kp_yamux_want(&m.y, &ended.y);
	EXPECT_FALSE(kp_yamux_pending(&m.y));
	EXPECT_FALSE(kp_yamux_reset(&m.y, &dead.y));
	EXPECT_FALSE(kp_yamux_reset(&m.y, &dead.y)) << "its RST is due already";
	EXPECT_EQ(parse(m.tx_all()).size(), 1u);
	EXPECT_TRUE(dead.gone);
}

TEST(yamux, finished_without_a_window)
{
	Mux m(true);
	Stream &s = m.open();
	m.send(s, std::string(W, 'x'));
	m.tx_all();
	kp_yamux_finish(&m.y, &s.y);
	EXPECT_EQ(m.tx_all(), "") << "the owner is asked once more, when there is a window";
	EXPECT_EQ(m.rx(window(0, 1, 100)), KP_E_AGAIN);
	auto f = parse(m.tx_all());
	ASSERT_EQ(f.size(), 1u);
	EXPECT_EQ(f[0].h.flags, KP_YAMUX_FIN);
}

TEST(yamux, more_to_send_after_the_finish_and_no_window)
{
	Mux m(true);
	Stream &s = m.open();
	m.send(s, std::string(W, 'x'));
	m.tx_all();
	EXPECT_EQ(m.rx(window(0, 1, 1)), KP_E_AGAIN);
	m.send(s, "y");
	m.tx_all();
	kp_yamux_finish(&m.y, &s.y); /* its turn is for the FIN */
	m.send(s, "z");
	EXPECT_EQ(m.tx_all(), "");
	EXPECT_EQ(m.rx(window(0, 1, 1)), KP_E_AGAIN);
	EXPECT_EQ(m.tx_all(), data(0, 1, "z"));
	EXPECT_EQ(m.rx(window(0, 1, 1)), KP_E_AGAIN);
	EXPECT_EQ(m.tx_all(), window(KP_YAMUX_FIN, 1, 0)) << "asked once more, as above";
}

TEST(yamux, credit_adds_up_until_it_is_written)
{
	Mux m(false);
	m.manual = true;
	EXPECT_EQ(m.rx(data(KP_YAMUX_SYN, 1, std::string(W, 'x'))), KP_E_AGAIN);
	m.tx_all();
	m.consume(*m.at(1), W / 2);
	m.consume(*m.at(1), W / 2);
	auto f = parse(m.tx_all());
	ASSERT_EQ(f.size(), 1u);
	EXPECT_GE(f[0].h.length, W);
}

/* Replies, then the ping, then window updates and resets: one frame at a time. */
TEST(yamux, control_frames_wait_for_room)
{
	Mux m(true);
	Stream &a = m.open(), &b = m.open();
	m.tx_all();
	for (uint32_t i = 0; i < 2; i++)
		EXPECT_EQ(m.rx(ping(KP_YAMUX_SYN, i)), KP_E_AGAIN);
	kp_yamux_ping(&m.y);
	kp_yamux_reset(&m.y, &a.y);
	kp_yamux_reset(&m.y, &b.y);
	EXPECT_EQ(m.tx(KP_YAMUX_HDR_SIZE - 1), "");
	std::string all;
	for (int i = 0; i < 5; i++) {
		std::string one = m.tx(KP_YAMUX_HDR_SIZE);
		EXPECT_EQ(one.size(), KP_YAMUX_HDR_SIZE);
		all += one;
	}
	auto f = parse(all);
	EXPECT_EQ(f[1].h.flags, KP_YAMUX_ACK);
	EXPECT_EQ(f[2].h.flags, KP_YAMUX_SYN);
	EXPECT_EQ(f[2].h.type, KP_YAMUX_PING);
	EXPECT_EQ(f[4].h.flags, KP_YAMUX_RST);
	EXPECT_EQ(m.tx_all(), "");
}

TEST(yamux, ids_run_out)
{
	Mux m(true);
	m.y.next_id = UINT32_MAX - 2;
	Stream *s = m.make();
	EXPECT_EQ(kp_yamux_open(&m.y, m.now, &s->y), KP_E_LIMIT);
}

TEST(yamux, split_invariance)
{
	std::string in = data(KP_YAMUX_SYN, 1, std::string(3000, 'a')) +
	                 window(KP_YAMUX_SYN, 3, 7) + data(0, 3, "bcd") + data(0, 99, "nobody") +
	                 ping(KP_YAMUX_SYN, 77) + data(KP_YAMUX_FIN, 1, "end") +
	                 window(KP_YAMUX_RST, 3, 0) + data(KP_YAMUX_SYN | KP_YAMUX_FIN, 5, "") +
	                 window(0, 1, 100) + frame(KP_YAMUX_GOAWAY, 0, 0, 0);
	auto run = [&in](const std::function<size_t()> &cut, std::string *result) {
		Mux m(false);
		kp_err err = KP_E_AGAIN;
		for (size_t at = 0; at < in.size() && err == KP_E_AGAIN;) {
			size_t n = std::max<size_t>(1, cut());
			err = m.rx(in.substr(at, n));
			at += n;
		}
		EXPECT_EQ(err, KP_E_CLOSED);
		for (auto &s : m.all) {
			*result += s->in + (s->fin ? "F" : "") + (s->rst ? "R" : "") +
			           std::to_string(s->y.send_window) + "/" +
			           std::to_string(s->y.recv_window) + ";";
		}
		*result += m.tx_all();
	};
	std::string whole, bytewise;
	run([] { return SIZE_MAX / 2; }, &whole);
	run([] { return 1; }, &bytewise);
	EXPECT_EQ(whole, bytewise);
	std::mt19937 rnd(11);
	for (int round = 0; round < 100; round++) {
		std::string cut;
		run([&rnd] { return rnd() % 50; }, &cut);
		ASSERT_EQ(whole, cut);
	}
}

} // namespace
