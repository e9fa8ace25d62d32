/* One kp_yamux with an owner that takes and gives bytes as the test says. */
#ifndef KP_TEST_CONN_MUX_H
#define KP_TEST_CONN_MUX_H

#include "conn/yamux.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace muxtest
{

struct Stream {
	kp_ystream y{};
	std::string in, out, given;
	bool fin = false, rst = false, fin_sent = false, gone = false;
	bool manual = false; /* consumed only by Mux::consume */
};

struct Mux {
	kp_mem mem;
	kp_stats stats{};
	kp_yamux y;
	kp_time now = KP_SEC(1);
	std::vector<std::unique_ptr<Stream>> all;
	std::map<uint32_t, Stream *> live;
	kp_err syn_err = KP_OK;     /* answer to the next SYNs */
	size_t take_max = SIZE_MAX; /* bytes taken of one on_data */
	bool manual = false;        /* for inbound streams */
	std::string sent;           /* everything kp_yamux_tx gave */

	explicit Mux(bool client, uint32_t window_max = 16u << 20)
	{
		static const kp_yamux_ops ops = {on_syn,  on_data,     on_fin, on_rst,
		                                 do_pull, on_fin_sent, on_gone};
		kp_mem_init(&mem, 0);
		kp_yamux_init(&y, &mem, &stats, &ops, this, client, window_max);
	}
	~Mux()
	{
		for (auto &s : all)
			kp_yamux_remove(&y, &s->y);
		EXPECT_EQ(y.grown, 0u);
		EXPECT_EQ(y.wanting, 0u);
		kp_yamux_fini(&y);
		EXPECT_EQ(mem.bytes, 0u);
	}
	Mux(const Mux &) = delete;

	static Stream *of(kp_ystream *s)
	{
		return KP_CONTAINER_OF(s, Stream, y);
	}
	Stream *make()
	{
		all.push_back(std::make_unique<Stream>());
		kp_list_init(&all.back()->y.ready);
		kp_list_init(&all.back()->y.ctl);
		all.back()->manual = manual;
		return all.back().get();
	}
	Stream &open()
	{
		Stream *s = make();
		EXPECT_EQ(kp_yamux_open(&y, now, &s->y), KP_OK);
		live[s->y.id] = s;
		return *s;
	}
	Stream *at(uint32_t id)
	{
		auto it = live.find(id);
		return it == live.end() ? nullptr : it->second;
	}
	void send(Stream &s, const std::string &bytes)
	{
		s.out += bytes;
		kp_yamux_want(&y, &s.y);
	}
	void consume(Stream &s, size_t n)
	{
		kp_yamux_consumed(&y, now, &s.y, n);
	}

	static kp_err on_syn(void *ctx, kp_time, uint32_t id, kp_ystream **out)
	{
		auto *m = static_cast<Mux *>(ctx);
		if (m->syn_err != KP_OK)
			return m->syn_err;
		Stream *s = m->make();
		m->live[id] = s;
		*out = &s->y;
		return KP_OK;
	}
	static size_t on_data(void *ctx, kp_time now, kp_ystream *ys, kp_slice in)
	{
		auto *m = static_cast<Mux *>(ctx);
		Stream *s = of(ys);
		EXPECT_FALSE(s->fin || s->rst);
		size_t n = std::min(in.n, m->take_max);
		s->in.append(reinterpret_cast<const char *>(in.p), n);
		if (!s->manual)
			kp_yamux_consumed(&m->y, now, ys, n);
		return n;
	}
	static void on_fin(void *, kp_time, kp_ystream *ys)
	{
		EXPECT_FALSE(of(ys)->fin);
		of(ys)->fin = true;
	}
	static void on_rst(void *ctx, kp_time, kp_ystream *ys)
	{
		EXPECT_FALSE(of(ys)->rst);
		of(ys)->rst = true;
		static_cast<Mux *>(ctx)->live.erase(ys->id);
	}
	static unsigned do_pull(void *, kp_time, kp_ystream *ys, kp_slice *v, unsigned v_max,
	                        size_t n_max, kp_writer *)
	{
		Stream *s = of(ys);
		EXPECT_GE(v_max, 1u);
		s->given = s->out.substr(0, n_max);
		s->out.erase(0, s->given.size());
		v[0] = kp_slice_of(s->given.data(), s->given.size());
		return s->given.empty() ? 0 : 1;
	}
	static void on_fin_sent(void *, kp_time, kp_ystream *ys)
	{
		EXPECT_FALSE(of(ys)->fin_sent);
		of(ys)->fin_sent = true;
	}
	static void on_gone(void *, kp_ystream *ys)
	{
		of(ys)->gone = true;
	}

	/* One gather of at most `max` bytes, as bytes. */
	std::string tx(size_t max = 32768, unsigned slices = 64, size_t scratch = 1024)
	{
		std::vector<kp_slice> v(slices);
		std::string buf(scratch, 0);
		kp_gather g{};
		g.v = v.data();
		g.max = slices;
		g.bytes_max = max;
		g.scratch = kp_writer_of(&buf[0], scratch);
		bool some = kp_yamux_tx(&y, now, &g);
		std::string out;
		for (unsigned i = 0; i < g.n; i++)
			out.append(reinterpret_cast<const char *>(v[i].p), v[i].n);
		EXPECT_EQ(out.size(), g.bytes);
		EXPECT_EQ(some, !out.empty());
		EXPECT_LE(out.size(), max);
		sent += out;
		return out;
	}
	std::string tx_all()
	{
		std::string out, part;
		while (!(part = tx()).empty())
			out += part;
		return out;
	}
	kp_err rx(const std::string &bytes)
	{
		kp_slice in = kp_slice_of(bytes.data(), bytes.size());
		kp_err err = kp_yamux_rx(&y, now, &in);
		if (err == KP_E_AGAIN) {
			EXPECT_EQ(in.n, 0u);
		}
		return err;
	}
	uint64_t stat(kp_stat which) const
	{
		return stats.v[which];
	}
};

inline std::string frame(unsigned type, unsigned flags, uint32_t id, uint32_t length)
{
	kp_yamux_hdr h = {static_cast<uint8_t>(type), static_cast<uint16_t>(flags), id, length};
	std::string s(KP_YAMUX_HDR_SIZE, 0);
	kp_yamux_hdr_write(&h, reinterpret_cast<uint8_t *>(&s[0]));
	return s;
}
inline std::string data(unsigned flags, uint32_t id, const std::string &body)
{
	return frame(KP_YAMUX_DATA, flags, id, static_cast<uint32_t>(body.size())) + body;
}
inline std::string window(unsigned flags, uint32_t id, uint32_t delta)
{
	return frame(KP_YAMUX_WINDOW, flags, id, delta);
}
inline std::string ping(unsigned flags, uint32_t value)
{
	return frame(KP_YAMUX_PING, flags, 0, value);
}

/* A frame taken apart again. */
struct Parsed {
	kp_yamux_hdr h;
	std::string body;
};
inline std::vector<Parsed> parse(const std::string &bytes)
{
	std::vector<Parsed> out;
	size_t at = 0;
	while (at + KP_YAMUX_HDR_SIZE <= bytes.size()) {
		Parsed p{};
		EXPECT_EQ(kp_yamux_hdr_parse(reinterpret_cast<const uint8_t *>(&bytes[at]), &p.h),
		          KP_OK);
		at += KP_YAMUX_HDR_SIZE;
		if (p.h.type == KP_YAMUX_DATA) {
			EXPECT_LE(p.h.length, bytes.size() - at);
			p.body = bytes.substr(at, p.h.length);
			at += p.h.length;
		}
		out.push_back(p);
	}
	EXPECT_EQ(at, bytes.size());
	return out;
}

} // namespace muxtest

#endif
