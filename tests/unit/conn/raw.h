/* A peer that says exactly what the test wants: the handshake by hand, then any plaintext. */
#ifndef KP_TEST_CONN_RAW_H
#define KP_TEST_CONN_RAW_H

#include "mux.h"
#include "pair.h"

namespace pairtest
{

inline std::string mss(const std::string &name)
{
	uint8_t buf[1100];
	kp_writer w = kp_writer_of(buf, sizeof buf);
	kp_mss_write(&w, kp_slice_of(name.data(), name.size()));
	return std::string(reinterpret_cast<char *>(buf), w.n);
}
inline std::string mss_header()
{
	return mss(KP_MSS_HEADER);
}

/* Takes the muxer offer out of a node's payload. */
inline void no_early_muxer(Node &node)
{
	uint8_t sig_input[56], sig[64];
	memcpy(sig_input, "noise-libp2p-static-key:", 24);
	memcpy(sig_input + 24, node.noise.pub, 32);
	ASSERT_EQ(kp_identity_sign(node.crypto, &node.self, kp_slice_of(sig_input, 56), sig),
	          KP_OK);
	std::string pb = std::string("\x0a\x24", 2) +
	                 std::string(reinterpret_cast<char *>(node.self.pubkey_pb), 36) +
	                 std::string("\x12\x40", 2) +
	                 std::string(reinterpret_cast<char *>(sig), 64);
	memcpy(node.noise.payload, pb.data(), pb.size());
	node.noise.payload_n = static_cast<uint16_t>(pb.size());
	node.noise.offers_yamux = false;
}

/* Drives one End by hand. */
struct Raw {
	Service svc; /* outlives the connection */
	Node node{0x77};
	End end{0x22};
	kp_time now = KP_SEC(100);
	kp_noise_hs hs{};
	kp_noise noise{};
	std::string pending; /* bytes of the End not yet looked at */
	bool initiator;

	explicit Raw(bool end_dials = false, const kp_conn_params &p = kp_conn_params_default())
	    : initiator(!end_dials)
	{
		EXPECT_TRUE(end.make(end_dials, nullptr, now, p));
		kp_conn_start(end.c, now);
		kp_noise_hs_init(&hs, node.crypto, &node.noise, initiator);
		kp_noise_init(&noise, node.crypto);
	}
	~Raw()
	{
		if (end.state() != KP_CONN_DEAD)
			kp_conn_abort(end.c, now, KP_WHY_SHUTDOWN);
		kp_noise_fini(&noise);
	}

	void collect()
	{
		kp_slice out;
		for (int i = 0; i < 1000; i++) {
			if (end.dirty) {
				end.dirty = false;
				kp_conn_pump(end.c, now);
			}
			if (end.state() == KP_CONN_DEAD || !kp_conn_tx(end.c, now, &out)) {
				if (!end.dirty)
					return;
				continue;
			}
			pending.append(reinterpret_cast<const char *>(out.p), out.n);
			kp_conn_on_written(end.c, now);
		}
		FAIL() << "never settles";
	}
	/* Bytes to the End as they are. */
	void feed(const std::string &bytes)
	{
		for (size_t at = 0; at < bytes.size();) {
			size_t cap;
			uint8_t *p = kp_conn_rx_buf(end.c, &cap);
			if (p == nullptr)
				break;
			size_t n = std::min(cap, bytes.size() - at);
			memcpy(p, &bytes[at], n);
			at += n;
			kp_conn_on_read(end.c, now, n);
			if (end.state() == KP_CONN_DEAD)
				break;
		}
		collect();
	}
	void eof()
	{
		kp_conn_on_read(end.c, now, 0);
		collect();
	}
	std::string take(size_t n)
	{
		EXPECT_LE(n, pending.size());
		std::string s = pending.substr(0, n);
		pending.erase(0, n);
		return s;
	}
	std::string take_all()
	{
		return take(pending.size());
	}
	std::string hs_message()
	{
		uint8_t buf[KP_NOISE_HS_OUT_MAX];
		kp_writer w = kp_writer_of(buf, sizeof buf);
		EXPECT_EQ(kp_noise_hs_write(&hs, &w), KP_OK);
		return std::string(reinterpret_cast<char *>(buf), w.n);
	}
	void hs_read()
	{
		std::string head = take(2);
		size_t n = static_cast<size_t>(static_cast<uint8_t>(head[0])) << 8 |
		           static_cast<uint8_t>(head[1]);
		std::string m = take(n);
		ASSERT_EQ(kp_noise_hs_read(&hs, {reinterpret_cast<uint8_t *>(&m[0]), m.size()}),
		          KP_OK);
	}
	/* Up to the transport keys. */
	void handshake()
	{
		collect();
		std::string hello = mss_header() + mss("/noise");
		if (initiator) {
			feed(hello + hs_message());
			EXPECT_EQ(take(hello.size()), hello);
			hs_read();
			feed(hs_message());
		} else {
			EXPECT_EQ(take(hello.size()), hello);
			hs_read();
			feed(hello + hs_message());
			hs_read();
		}
		ASSERT_EQ(kp_noise_start(&noise, &hs), KP_OK);
	}
	/* As Noise frames. */
	std::string seal(const std::string &plain)
	{
		std::string out;
		for (size_t at = 0; at < plain.size();) {
			size_t n = std::min<size_t>(plain.size() - at, KP_NOISE_PLAIN_MAX);
			std::string f(n + KP_NOISE_OVERHEAD, 0);
			kp_slice v = kp_slice_of(&plain[at], n);
			EXPECT_EQ(
			        kp_noise_seal(&noise, &v, 1, n, reinterpret_cast<uint8_t *>(&f[0])),
			        KP_OK);
			out += f;
			at += n;
		}
		return out;
	}
	void send(const std::string &plain)
	{
		feed(seal(plain));
	}
	/* Everything the End has said meanwhile. */
	std::string plain()
	{
		collect();
		std::string all = take_all(), out;
		kp_span in = {reinterpret_cast<uint8_t *>(&all[0]), all.size()}, m;
		while (kp_noise_frame(&in, 16, 65535, &m) == KP_OK) {
			kp_slice p;
			EXPECT_EQ(kp_noise_open(&noise, m, &p), KP_OK);
			out.append(reinterpret_cast<const char *>(p.p), p.n);
		}
		EXPECT_EQ(in.n, 0u);
		return out;
	}
	std::vector<muxtest::Parsed> frames()
	{
		return muxtest::parse(plain());
	}
	/* Answers pings among the frames and leaves them out. */
	std::vector<muxtest::Parsed> frames_ponged()
	{
		std::vector<muxtest::Parsed> out;
		for (auto &f : frames()) {
			if (f.h.type == KP_YAMUX_PING && f.h.flags == KP_YAMUX_SYN)
				send(muxtest::ping(KP_YAMUX_ACK, f.h.length));
			else
				out.push_back(f);
		}
		return out;
	}
	void tick(kp_time d)
	{
		now += d;
		kp_timers_run(&end.node.timers, now);
		collect();
	}
};

} // namespace pairtest

#endif
