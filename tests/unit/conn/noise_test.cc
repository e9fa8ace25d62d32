/* Noise XX: the transcripts other implementations reproduced, everything that must be refused, and
 * transport frames in every cut. */
#include "conn/noise.h"
#include "base/mem.h"
#include "vectors.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace
{

using vectors::Bytes;
using vectors::Json;

uint8_t fixed_ephemeral[32]; /* what x25519_pair "draws" */

kp_err pair_fixed(kp_crypto *c, uint8_t secret[32], uint8_t pub[32])
{
	memcpy(secret, fixed_ephemeral, 32);
	c->ops->x25519_public(secret, pub);
	return KP_OK;
}

bool lists_yamux(const Json &party)
{
	const Json &muxers = party["stream_muxers"];
	return !muxers.is_null() && muxers.lists("/yamux/1.0.0");
}

/* Real crypto whose ephemeral keys the test chooses. */
struct Crypto {
	kp_crypto *c;
	const kp_crypto_ops *real;
	kp_crypto_ops ops;

	Crypto()
	{
		const uint8_t seed[32] = {9};
		c = kp_crypto_new(seed);
		real = c->ops;
		ops = *real;
		ops.x25519_pair = pair_fixed;
		c->ops = &ops;
	}
	~Crypto()
	{
		c->ops = real;
		c->ops->free(c);
	}
};

class noise : public ::testing::Test
{
      protected:
	Crypto crypto;
	kp_noise_local local{};
	kp_noise_hs hs{};
	kp_noise n{};

	/* The party's static key and payload; false = the payload is none we could have. */
	bool become(const Json &party, const Bytes &payload, bool initiator)
	{
		Bytes secret = party["static_private"].bytes();
		memcpy(local.secret, secret.data(), 32);
		memcpy(local.pub, party["static_public"].bytes().data(), 32);
		memcpy(fixed_ephemeral, party["ephemeral_private"].bytes().data(), 32);
		/* Ours is this one name or nothing; a longer list is somebody else's. */
		local.offers_yamux = lists_yamux(party) && party["stream_muxers"].size() == 1;
		bool fits = payload.size() <= sizeof local.payload;
		if (fits)
			memcpy(local.payload, payload.data(), payload.size());
		local.payload_n = static_cast<uint16_t>(fits ? payload.size() : 0);
		kp_noise_hs_init(&hs, crypto.c, &local, initiator);
		kp_noise_init(&n, crypto.c);
		return fits;
	}
	std::string write(kp_err expect = KP_OK)
	{
		uint8_t buf[KP_NOISE_HS_OUT_MAX];
		kp_writer w = kp_writer_of(buf, sizeof buf);
		EXPECT_TRUE(kp_noise_hs_wants_write(&hs));
		EXPECT_EQ(kp_noise_hs_write(&hs, &w), expect);
		EXPECT_FALSE(w.full);
		return vectors::hex(buf, w.n);
	}
	/* A whole frame; KP_E_AGAIN when it is not one. */
	kp_err read(Bytes frame)
	{
		kp_span in = {frame.data(), frame.size()}, message;
		kp_err err = kp_noise_frame(&in, 1, KP_NOISE_HS_MAX, &message);
		if (err != KP_OK)
			return err;
		EXPECT_EQ(in.n, 0u);
		return kp_noise_hs_read(&hs, message);
	}
	std::string peer() const
	{
		char text[KP_PEER_ID_TEXT_MAX];
		kp_peer_id_text(&hs.peer, text);
		return text;
	}
	void done()
	{
		kp_noise_fini(&n);
		kp_noise_hs_wipe(&hs);
	}

	void transport(const Json &t, bool initiator)
	{
		ASSERT_EQ(kp_noise_start(&n, &hs), KP_OK);
		const char *out = initiator ? "transport_initiator_to_responder"
		                            : "transport_responder_to_initiator";
		const char *in = initiator ? "transport_responder_to_initiator"
		                           : "transport_initiator_to_responder";
		ASSERT_EQ(t[out].size(), 4u);
		ASSERT_EQ(t[in].size(), 4u);
		for (const auto &f : t[out]) {
			Bytes plain = f["plaintext"].bytes();
			Bytes sealed(plain.size() + KP_NOISE_OVERHEAD);
			/* In two slices: gathering gives the same bytes. */
			size_t half = plain.size() / 2;
			kp_slice v[2] = {kp_slice_of(plain.data(), half),
			                 kp_slice_of(plain.data() + half, plain.size() - half)};
			ASSERT_EQ(n.tx_n, f["nonce"].u64());
			ASSERT_EQ(kp_noise_seal(&n, v, 2, plain.size(), sealed.data()), KP_OK);
			EXPECT_EQ(vectors::hex(sealed), f["frame"].str());
		}
		for (const auto &f : t[in]) {
			Bytes frame = f["frame"].bytes();
			kp_span rest = {frame.data(), frame.size()}, message;
			kp_slice plain;
			ASSERT_EQ(
			        kp_noise_frame(&rest, KP_AEAD_TAG, KP_NOISE_MESSAGE_MAX, &message),
			        KP_OK);
			ASSERT_EQ(kp_noise_open(&n, message, &plain), KP_OK);
			EXPECT_EQ(vectors::hex(plain), f["plaintext"].str());
		}
		if (initiator)
			largest(t["largest_frame_initiator_to_responder"]);
	}
	void largest(const Json &l)
	{
		size_t size = static_cast<size_t>(l["plaintext_length"].u64());
		Bytes plain(size, l["plaintext_byte"].bytes()[0]);
		Bytes sealed(size + KP_NOISE_OVERHEAD);
		kp_slice v = vectors::slice(plain);
		ASSERT_EQ(size, KP_NOISE_PLAIN_MAX);
		ASSERT_EQ(kp_noise_seal(&n, &v, 1, size, sealed.data()), KP_OK);
		uint8_t digest[32];
		crypto.c->ops->sha256(sealed.data(), sealed.size(), digest);
		EXPECT_EQ(sealed.size(), l["frame_length"].u64());
		EXPECT_EQ(vectors::hex(digest, 32), l["frame_sha256"].str());
	}
};

TEST_F(noise, transcripts_as_initiator)
{
	unsigned ran = 0;
	for (const auto &t : vectors::list("noise", "transcripts", 5)) {
		SCOPED_TRACE(t["name"].str());
		if (!become(t["initiator"], t["payload_3"].bytes(), true))
			continue;
		ran++;
		EXPECT_EQ(vectors::hex(hs.sym.h, 32), t["h_after_prologue"].str());
		EXPECT_EQ(write(), t["frame_1"].str());
		EXPECT_EQ(vectors::hex(hs.sym.h, 32), t["h_after_1"].str());
		ASSERT_EQ(read(t["frame_2"].bytes()), KP_OK);
		EXPECT_EQ(vectors::hex(hs.sym.h, 32), t["h_after_2"].str());
		EXPECT_EQ(peer(), t["responder"]["peer_id"].str());
		EXPECT_EQ(hs.peer_offers_yamux, lists_yamux(t["responder"]));
		EXPECT_EQ(kp_noise_hs_early_muxer(&hs),
		          t["early_muxer"].text_or("") == "/yamux/1.0.0");
		EXPECT_EQ(write(), t["frame_3"].str());
		EXPECT_EQ(vectors::hex(hs.sym.h, 32), t["handshake_hash"].str());
		EXPECT_EQ(vectors::hex(hs.sym.ck, 32), t["chaining_key"].str());
		transport(t, true);
		done();
	}
	EXPECT_EQ(ran, 5u);
}

TEST_F(noise, transcripts_as_responder)
{
	unsigned ran = 0;
	for (const auto &t : vectors::list("noise", "transcripts", 5)) {
		SCOPED_TRACE(t["name"].str());
		if (!become(t["responder"], t["payload_2"].bytes(), false))
			continue; /* an RSA payload: not ours to send */
		ran++;
		ASSERT_EQ(read(t["frame_1"].bytes()), KP_OK);
		EXPECT_EQ(write(), t["frame_2"].str());
		ASSERT_EQ(read(t["frame_3"].bytes()), KP_OK);
		EXPECT_EQ(peer(), t["initiator"]["peer_id"].str());
		EXPECT_EQ(hs.peer_offers_yamux, lists_yamux(t["initiator"]));
		EXPECT_EQ(vectors::hex(hs.sym.h, 32), t["handshake_hash"].str());
		transport(t, false);
		done();
	}
	EXPECT_EQ(ran, 4u);
}

/* The file's cases say that they are wrong; here they must fail as soon as they are read, except
 * the wrong peer, which the connection judges. */
TEST_F(noise, rejected_first_message)
{
	const Json &t = vectors::list("noise", "transcripts", 5)[size_t{0}];
	for (const auto &c : vectors::list("noise", "rejected_first_message", 2)) {
		SCOPED_TRACE(c["name"].str());
		become(t["responder"], t["payload_2"].bytes(), false);
		EXPECT_EQ(read(c["frame_1"].bytes()), KP_E_PROTO);
		done();
	}
}

TEST_F(noise, rejected_by_responder)
{
	const Json &t = vectors::list("noise", "transcripts", 5)[size_t{0}];
	const Json &group = vectors::file()["noise"]["rejected_by_responder"];
	ASSERT_EQ(group["cases"].size(), 14u);
	for (const auto &c : group["cases"]) {
		SCOPED_TRACE(c["name"].str());
		become(t["responder"], t["payload_2"].bytes(), false);
		ASSERT_EQ(read(group["frame_1"].bytes()), KP_OK);
		write();
		EXPECT_EQ(read(c["frame_3"].bytes()), KP_E_PROTO);
		EXPECT_TRUE(kp_peer_id_none(&hs.peer));
		done();
	}
}

TEST_F(noise, rejected_by_initiator)
{
	const Json &t = vectors::list("noise", "transcripts", 5)[size_t{0}];
	const Json &group = vectors::file()["noise"]["rejected_by_initiator"];
	ASSERT_EQ(group["cases"].size(), 8u);
	unsigned other_peer = 0;
	for (const auto &c : group["cases"]) {
		SCOPED_TRACE(c["name"].str());
		become(t["initiator"], t["payload_3"].bytes(), true);
		write();
		kp_err err = read(c["frame_2"].bytes());
		if (c["name"].str() == "another peer than was dialed") {
			other_peer++;
			EXPECT_EQ(err, KP_OK);
			EXPECT_NE(peer(), t["responder"]["peer_id"].str());
		} else {
			EXPECT_EQ(err, KP_E_PROTO);
			EXPECT_TRUE(kp_peer_id_none(&hs.peer));
		}
		done();
	}
	EXPECT_EQ(other_peer, 1u);
}

TEST_F(noise, first_message_with_a_payload_is_refused)
{
	const Json &t = vectors::list("noise", "transcripts", 5)[size_t{0}];
	become(t["responder"], t["payload_2"].bytes(), false);
	Bytes frame = t["frame_1"].bytes();
	frame[1] = 33;
	frame.push_back(0);
	EXPECT_EQ(read(frame), KP_E_PROTO);
	done();
}

TEST_F(noise, out_of_turn_is_refused)
{
	const Json &t = vectors::list("noise", "transcripts", 5)[size_t{0}];
	become(t["responder"], t["payload_2"].bytes(), false);
	ASSERT_EQ(read(t["frame_1"].bytes()), KP_OK);
	EXPECT_EQ(read(t["frame_1"].bytes()), KP_E_PROTO);
	done();
}

TEST_F(noise, frame_lengths)
{
	struct {
		Bytes in;
		size_t min, max;
		kp_err err;
	} rows[] = {
	        {{}, 16, 65535, KP_E_AGAIN},
	        {{0}, 16, 65535, KP_E_AGAIN},
	        {{0, 0}, 16, 65535, KP_E_PROTO},
	        {{0, 15}, 16, 65535, KP_E_PROTO},
	        {{0, 16}, 16, 65535, KP_E_AGAIN},
	        {{255, 255}, 16, 65535, KP_E_AGAIN},
	        {{0x20, 1}, 1, KP_NOISE_HS_MAX, KP_E_PROTO},
	        {{0x20, 0}, 1, KP_NOISE_HS_MAX, KP_E_AGAIN},
	        {{0, 1, 7, 9}, 1, 10, KP_OK},
	};
	for (auto &r : rows) {
		Bytes copy = r.in;
		kp_span in = {copy.data(), copy.size()}, message{};
		EXPECT_EQ(kp_noise_frame(&in, r.min, r.max, &message), r.err);
		if (r.err == KP_OK) {
			EXPECT_EQ(message.n, 1u);
			EXPECT_EQ(in.n, 1u);
		} else {
			EXPECT_EQ(in.n, r.in.size());
		}
	}
}

TEST_F(noise, a_frame_opened_twice_or_out_of_order_is_forged)
{
	const Json &t = vectors::list("noise", "transcripts", 5)[size_t{0}];
	ASSERT_TRUE(become(t["responder"], t["payload_2"].bytes(), false));
	ASSERT_EQ(read(t["frame_1"].bytes()), KP_OK);
	write();
	ASSERT_EQ(read(t["frame_3"].bytes()), KP_OK);
	ASSERT_EQ(kp_noise_start(&n, &hs), KP_OK);
	Bytes frame = t["transport_initiator_to_responder"][size_t{1}]["frame"].bytes();
	kp_slice plain;
	EXPECT_EQ(kp_noise_open(&n, {frame.data() + 2, frame.size() - 2}, &plain), KP_E_PROTO);
	done();
}

TEST_F(noise, counters_end)
{
	const Json &t = vectors::list("noise", "transcripts", 5)[size_t{0}];
	ASSERT_TRUE(become(t["responder"], t["payload_2"].bytes(), false));
	ASSERT_EQ(read(t["frame_1"].bytes()), KP_OK);
	write();
	ASSERT_EQ(read(t["frame_3"].bytes()), KP_OK);
	ASSERT_EQ(kp_noise_start(&n, &hs), KP_OK);
	n.tx_n = n.rx_n = UINT64_MAX;
	uint8_t out[32] = {0};
	kp_slice v = kp_slice_of("x", 1), plain;
	EXPECT_EQ(kp_noise_seal(&n, &v, 1, 1, out), KP_E_INTERNAL);
	EXPECT_EQ(kp_noise_open(&n, {out, KP_AEAD_TAG - 1}, &plain), KP_E_PROTO);
	EXPECT_EQ(kp_noise_open(&n, {out, sizeof out}, &plain), KP_E_PROTO);
	done();
}

TEST_F(noise, local_payload_is_what_a_peer_accepts)
{
	const uint8_t seed[32] = {5};
	kp_crypto *c = kp_crypto_new(seed);
	kp_identity id;
	kp_identity_from_seed(c, seed, &id);
	ASSERT_EQ(kp_noise_local_init(&local, c, &id), KP_OK);
	EXPECT_TRUE(local.offers_yamux);
	kp_noise_hs a, b;
	kp_noise_hs_init(&a, c, &local, true);
	kp_noise_hs_init(&b, c, &local, false);
	for (int i = 0; i < 3; i++) {
		kp_noise_hs &from = i == 1 ? b : a, &to = i == 1 ? a : b;
		uint8_t buf[KP_NOISE_HS_OUT_MAX];
		kp_writer w = kp_writer_of(buf, sizeof buf);
		ASSERT_EQ(kp_noise_hs_write(&from, &w), KP_OK);
		ASSERT_EQ(kp_noise_hs_read(&to, {buf + 2, w.n - 2}), KP_OK);
	}
	EXPECT_TRUE(kp_peer_id_eq(&a.peer, &id.id));
	EXPECT_TRUE(kp_peer_id_eq(&b.peer, &id.id));
	EXPECT_TRUE(kp_noise_hs_early_muxer(&a));
	EXPECT_TRUE(kp_noise_hs_early_muxer(&b));
	kp_noise_hs_wipe(&a);
	kp_noise_hs_wipe(&b);
	kp_noise_local_wipe(&local);
	kp_identity_wipe(&id);
	c->ops->free(c);
}

} // namespace
