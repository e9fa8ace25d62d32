/* multistream-select: the exchanges other implementations agreed on, bad input, every cut. */
#include "conn/mss.h"
#include "vectors.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace
{

using vectors::Bytes;

/* One machine with what it has written and what came of it. */
struct Machine {
	kp_mss m{};
	std::vector<std::string> names;
	std::vector<kp_proto> protos;
	bool dialer;
	kp_err err = KP_E_AGAIN; /* KP_OK = agreed */
	std::string selected, sent, rest;

	Machine(bool dials, std::vector<std::string> list) : names(std::move(list)), dialer(dials)
	{
		for (auto &n : names)
			protos.push_back({n.c_str(), 0});
		if (dialer)
			kp_mss_dial(&m, protos.data(), protos.size());
		else
			kp_mss_listen(&m);
		flush();
	}
	Machine(const Machine &) = delete;

	void flush()
	{
		uint8_t buf[KP_MSS_OUT_MAX];
		size_t n = kp_mss_pending(&m);
		ASSERT_LE(n, sizeof buf);
		kp_writer w = kp_writer_of(buf, n);
		kp_mss_tx(&m, &w);
		ASSERT_EQ(w.n, n);
		ASSERT_EQ(kp_mss_pending(&m), 0u);
		sent.append(reinterpret_cast<char *>(buf), n);
	}
	void answer()
	{
		kp_slice asked = kp_mss_asked(&m);
		for (auto &n : names) {
			if (kp_slice_eq_str(asked, n.c_str())) {
				kp_mss_accept(&m, n.c_str());
				selected = n;
				return;
			}
		}
		kp_mss_refuse(&m);
		err = KP_E_AGAIN;
	}
	/* Feeds bytes; what comes after the negotiation is kept in rest. */
	void feed(const std::string &bytes)
	{
		kp_slice in = kp_slice_of(bytes.data(), bytes.size());
		while (err == KP_E_AGAIN) {
			err = kp_mss_rx(&m, &in);
			if (err == KP_E_AGAIN)
				break;
			if (err == KP_OK && dialer)
				selected = names[m.at];
			else if (err == KP_OK)
				answer();
		}
		if (err == KP_E_AGAIN) {
			EXPECT_EQ(in.n, 0u);
		}
		rest.append(reinterpret_cast<const char *>(in.p), in.n);
		flush();
	}
};

std::string str(const Bytes &b)
{
	return std::string(b.begin(), b.end());
}

std::string frame(const std::string &text)
{
	std::string s;
	size_t n = text.size() + 1;
	if (n >= 128) {
		s += static_cast<char>(0x80 | (n & 0x7f));
		n >>= 7;
	}
	s += static_cast<char>(n);
	return s + text + "\n";
}

std::vector<std::string> strings(const vectors::Json &list)
{
	std::vector<std::string> out;
	for (const auto &item : list)
		out.push_back(item.str());
	return out;
}

const std::string header = frame("/multistream/1.0.0");

TEST(mss, exchanges)
{
	for (const auto &c : vectors::list("multistream", "exchanges", 4)) {
		SCOPED_TRACE(c["name"].str());
		Machine d(true, strings(c["dialer_protocols"]));
		Machine l(false, strings(c["listener_protocols"]));
		size_t d_at = 0, l_at = 0;
		for (int i = 0; i < 20; i++) {
			std::string to_l = d.sent.substr(d_at), to_d = l.sent.substr(l_at);
			d_at = d.sent.size();
			l_at = l.sent.size();
			l.feed(to_l);
			d.feed(to_d);
		}
		EXPECT_EQ(vectors::hex(kp_slice_of(d.sent.data(), d.sent.size())),
		          c["dialer_sends"].str());
		EXPECT_EQ(vectors::hex(kp_slice_of(l.sent.data(), l.sent.size())),
		          c["listener_sends"].str());
		if (c["selected"].is_string()) {
			EXPECT_EQ(d.err, KP_OK);
			EXPECT_EQ(d.selected, c["selected"].str());
			EXPECT_EQ(l.selected, c["selected"].str());
			EXPECT_TRUE(kp_mss_is_done(&d.m));
			EXPECT_TRUE(kp_mss_is_done(&l.m));
		} else {
			EXPECT_EQ(d.err, KP_E_NOTSUP);
			EXPECT_EQ(l.err, KP_E_AGAIN);
		}
		EXPECT_EQ(d.rest + l.rest, "");
	}
}

TEST(mss, bad_first_frame)
{
	for (const auto &c : vectors::list("multistream", "invalid_first_frame", 9)) {
		SCOPED_TRACE(c["name"].str());
		for (bool dialer : {true, false}) {
			Machine m(dialer, {"/noise"});
			m.feed(str(c["hex"].bytes()));
			EXPECT_EQ(m.err, KP_E_PROTO);
		}
	}
}

TEST(mss, bad_input_table)
{
	struct {
		const char *name;
		bool dialer;
		std::string in;
		kp_err err;
	} rows[] = {
	        {"reply to nothing asked", true, header + frame("/tls/1.0.0"), KP_E_PROTO},
	        {"ls as a reply", true, header + frame("ls"), KP_E_PROTO},
	        {"header twice", true, header + header, KP_E_PROTO},
	        {"na", true, header + frame("na"), KP_E_NOTSUP},
	        {"no header", true, frame("/noise"), KP_E_PROTO},
	        {"longer than kept", true, header + frame(std::string(500, 'x')), KP_E_PROTO},
	        {"1025 bytes", false, header + "\x81\x08" + std::string(1024, 'x') + "\n",
	         KP_E_PROTO},
	        {"length 128 in three bytes", false, header + "\x80\x81\x01", KP_E_PROTO},
	        {"length not minimal", false, header + std::string("\x83\x00", 2), KP_E_PROTO},
	        {"length 0", false, header + std::string("\0", 1), KP_E_PROTO},
	        {"no newline at the end of 1024", false,
	         header + "\x80\x08" + std::string(1024, 'x'), KP_E_PROTO},
	        {"1024 bytes are fine", false, header + frame(std::string(1023, 'x')), KP_E_AGAIN},
	        {"empty name", false, header + frame(""), KP_E_AGAIN},
	        {"ls", false, header + frame("ls"), KP_E_AGAIN},
	        {"simultaneous open", false, header + frame("/libp2p/simultaneous-connect"),
	         KP_E_AGAIN},
	        {"nothing", false, "", KP_E_AGAIN},
	};
	for (auto &r : rows) {
		SCOPED_TRACE(r.name);
		Machine m(r.dialer, {"/noise"});
		m.feed(r.in);
		EXPECT_EQ(m.err, r.err);
		if (!r.dialer && r.err == KP_E_AGAIN && !r.in.empty()) {
			EXPECT_EQ(m.sent, header + frame("na"));
			m.feed(frame("/noise") + "rest");
			EXPECT_EQ(m.err, KP_OK);
			EXPECT_EQ(m.rest, "rest");
		}
	}
}

TEST(mss, listener_says_nothing_before_the_peer_does)
{
	Machine l(false, {"/noise"});
	EXPECT_EQ(l.sent, "");
	l.feed(header);
	EXPECT_EQ(l.sent, header);
}

TEST(mss, attempts_are_limited)
{
	Machine l(false, {"/noise"});
	l.feed(header);
	for (unsigned i = 0; i < KP_MSS_ATTEMPTS_MAX; i++) {
		ASSERT_EQ(l.err, KP_E_AGAIN) << i;
		l.feed(frame("/nothing"));
	}
	EXPECT_EQ(l.err, KP_E_AGAIN);
	l.feed(frame("/noise"));
	EXPECT_EQ(l.err, KP_E_PROTO);

	/* All in one read: the refusals are counted, not stored. */
	Machine once(false, {"/noise"});
	std::string all = header, expect = header;
	for (unsigned i = 0; i + 1 < KP_MSS_ATTEMPTS_MAX; i++) {
		all += frame("/nothing");
		expect += frame("na");
	}
	once.feed(all + frame("/noise") + "x");
	EXPECT_EQ(once.err, KP_OK);
	EXPECT_EQ(once.sent, expect + frame("/noise"));
	EXPECT_EQ(once.rest, "x");
}

TEST(mss, dialer_tries_in_order_and_says_the_header_once)
{
	Machine d(true, {"/a", "/b", "/c"});
	EXPECT_EQ(d.sent, header + frame("/a"));
	d.feed(header + frame("na"));
	d.feed(frame("na"));
	EXPECT_EQ(d.sent, header + frame("/a") + frame("/b") + frame("/c"));
	d.feed(frame("/c") + "data");
	EXPECT_EQ(d.err, KP_OK);
	EXPECT_EQ(d.selected, "/c");
	EXPECT_EQ(d.rest, "data");
}

TEST(mss, reply_before_the_next_proposal_is_written_is_an_error)
{
	Machine d(true, {"/a", "/b"});
	d.feed(header + frame("na") + frame("/b"));
	EXPECT_EQ(d.err, KP_E_PROTO);
}

TEST(mss, not_done_while_a_refusal_is_unwritten)
{
	Machine m(false, {"/x"});
	m.feed(header + frame("/q"));
	EXPECT_EQ(m.sent, header + frame("na"));
	std::string in = frame("/r") + frame("/x");
	kp_slice rest = kp_slice_of(in.data(), in.size());
	ASSERT_EQ(kp_mss_rx(&m.m, &rest), KP_OK);
	kp_mss_refuse(&m.m);
	ASSERT_EQ(kp_mss_rx(&m.m, &rest), KP_OK);
	kp_mss_accept(&m.m, "/x");
	EXPECT_FALSE(kp_mss_is_done(&m.m));
	m.flush();
	EXPECT_TRUE(kp_mss_is_done(&m.m));
	EXPECT_EQ(m.sent, header + frame("na") + frame("na") + frame("/x"));
}

TEST(mss, lazy_means_one_proposal)
{
	Machine one(true, {"/a"}), two(true, {"/a", "/b"}), l(false, {"/a"});
	EXPECT_TRUE(kp_mss_is_lazy(&one.m));
	EXPECT_FALSE(kp_mss_is_lazy(&two.m));
	EXPECT_FALSE(kp_mss_is_lazy(&l.m));
}

TEST(mss, split_invariance)
{
	const std::string inputs[] = {
	        header + frame("ls") + frame(std::string(300, 'n')) + frame("/noise") + "surplus",
	        header + frame("/noise"),
	        header + frame("/no") + "\xff\xff\xff",
	        frame("/noise") + header,
	};
	std::mt19937 rnd(7);
	for (const auto &in : inputs) {
		Machine whole(false, {"/noise"});
		whole.feed(in);
		for (int round = 0; round < 200; round++) {
			Machine m(false, {"/noise"});
			for (size_t at = 0; at < in.size() && m.err == KP_E_AGAIN;) {
				size_t n = round == 0 ? 1 : 1 + rnd() % 40;
				std::string part = in.substr(at, n);
				size_t before = m.rest.size();
				m.feed(part);
				at += part.size() - (m.rest.size() - before);
				if (m.err != KP_E_AGAIN)
					m.rest = in.substr(at);
			}
			ASSERT_EQ(m.err, whole.err);
			ASSERT_EQ(m.sent, whole.sent);
			ASSERT_EQ(m.selected, whole.selected);
			if (whole.err == KP_OK) {
				ASSERT_EQ(m.rest, whole.rest);
			}
		}
	}
}

} // namespace
