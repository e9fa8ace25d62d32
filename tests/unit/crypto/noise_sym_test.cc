/* SymmetricState driven through the recorded handshakes, both sides, and the frames that each side
 * must refuse; then the transport keys over the recorded frames. */
#include "crypto/noise_sym.h"
#include "crypto/backends.h"
#include "crypto/identity.h"
#include "vectors.h"
#include "wire/noise_payload.h"

namespace
{

using vectors::Bytes;
using vectors::Json;

/* The message in a frame, after a check of its length prefix. */
Bytes body_of(const Json &frame)
{
	Bytes f = frame.bytes();
	EXPECT_GE(f.size(), 2u);
	EXPECT_EQ(f.size() - 2, static_cast<size_t>(f[0] << 8 | f[1]));
	return Bytes(f.begin() + 2, f.end());
}

struct keys {
	Bytes secret, pub; /* static */
	Bytes esecret, epub;
	explicit keys(const Json &side)
	    : secret(side["static_private"].bytes()), pub(side["static_public"].bytes()),
	      esecret(side["ephemeral_private"].bytes()), epub(side["ephemeral_public"].bytes())
	{
	}
};

class noise : public backend_test
{
      protected:
	std::string hash(const kp_noise_sym &s)
	{
		return vectors::hex(s.h, sizeof s.h);
	}
	bool mix_dh(kp_noise_sym *s, const Bytes &secret, const Bytes &pub)
	{
		uint8_t shared[32];
		if (ops->x25519(secret.data(), pub.data(), shared) != KP_OK)
			return false;
		kp_noise_sym_mix_key(s, shared);
		return true;
	}
	/* Opens n bytes off the front of the message (0: the rest), appends the plaintext to out.
	 */
	bool open(kp_noise_sym *s, Bytes *message, size_t n, Bytes *out)
	{
		if (n == 0)
			n = message->size();
		if (message->size() < n)
			return false;
		kp_slice plain;
		if (kp_noise_sym_open(s, message->data(), n, &plain) != KP_OK)
			return false;
		out->assign(plain.p, plain.p + plain.n);
		message->erase(message->begin(), message->begin() + static_cast<long>(n));
		return true;
	}
	Bytes seal(kp_noise_sym *s, const Bytes &plain)
	{
		Bytes out(plain.size() + KP_AEAD_TAG);
		out.resize(kp_noise_sym_seal(s, vectors::slice(plain), out.data()));
		return out;
	}
	/* The check of an identity payload against the static key it came with. */
	bool payload_ok(const Bytes &payload, const Bytes &remote_static, kp_peer_id *id)
	{
		kp_noise_payload p;
		kp_pubkey *k = nullptr;
		if (kp_noise_payload_parse(vectors::slice(payload), &p) != KP_OK ||
		    kp_pubkey_parse(c, p.identity_key, &k, id) != KP_OK)
			return false;
		std::string prefix = KP_NOISE_SIG_PREFIX;
		Bytes message(prefix.begin(), prefix.end());
		message.insert(message.end(), remote_static.begin(), remote_static.end());
		kp_err r = ops->verify(k, vectors::slice(message), p.identity_sig);
		ops->pubkey_free(k);
		return r == KP_OK;
	}
	static Bytes join(std::initializer_list<Bytes> parts)
	{
		Bytes out;
		for (auto &p : parts)
			out.insert(out.end(), p.begin(), p.end());
		return out;
	}

	bool responder_reads_1(kp_noise_sym *s, Bytes m, Bytes *remote_e)
	{
		kp_noise_sym_init(s, c);
		if (m.size() < 32)
			return false;
		remote_e->assign(m.begin(), m.begin() + 32);
		kp_noise_sym_mix_hash(s, vectors::slice(*remote_e));
		Bytes payload;
		m.erase(m.begin(), m.begin() + 32);
		kp_slice plain;
		return kp_noise_sym_open(s, m.data(), m.size(), &plain) == KP_OK;
	}
	Bytes responder_writes_2(kp_noise_sym *s, const keys &own, const Bytes &remote_e,
	                         const Bytes &payload)
	{
		kp_noise_sym_mix_hash(s, vectors::slice(own.epub)); /* e */
		EXPECT_TRUE(mix_dh(s, own.esecret, remote_e));      /* ee */
		Bytes boxed_s = seal(s, own.pub);                   /* s */
		EXPECT_TRUE(mix_dh(s, own.secret, remote_e));       /* es */
		return join({own.epub, boxed_s, seal(s, payload)});
	}
	Bytes initiator_writes_1(kp_noise_sym *s, const keys &own)
	{
		kp_noise_sym_init(s, c);
		kp_noise_sym_mix_hash(s, vectors::slice(own.epub));
		return join({own.epub, seal(s, {})});
	}
	bool initiator_reads_2(kp_noise_sym *s, const keys &own, Bytes m, Bytes *remote_e,
	                       Bytes *remote_s, Bytes *payload)
	{
		if (m.size() < 32)
			return false;
		remote_e->assign(m.begin(), m.begin() + 32);
		m.erase(m.begin(), m.begin() + 32);
		kp_noise_sym_mix_hash(s, vectors::slice(*remote_e));
		return mix_dh(s, own.esecret, *remote_e) && open(s, &m, 48, remote_s) &&
		       mix_dh(s, own.esecret, *remote_s) && open(s, &m, 0, payload);
	}
	bool responder_reads_3(kp_noise_sym *s, const keys &own, Bytes m, Bytes *remote_s,
	                       Bytes *payload)
	{
		return open(s, &m, 48, remote_s) && mix_dh(s, own.esecret, *remote_s) &&
		       open(s, &m, 0, payload);
	}
	void check_transport(const uint8_t key[32], const Json &frames)
	{
		kp_aead *tx = ops->aead_new(c, key), *rx = ops->aead_new(c, key);
		for (auto &f : frames) {
			Bytes plain = f["plaintext"].bytes(), want = body_of(f["frame"]);
			kp_slice v = vectors::slice(plain);
			Bytes out(plain.size() + KP_AEAD_TAG);
			ASSERT_EQ(ops->aead_seal(tx, f["nonce"].u64(), kp_slice_none(), &v, 1,
			                         out.data()),
			          KP_OK);
			EXPECT_EQ(out, want);
			ASSERT_EQ(ops->aead_open(rx, f["nonce"].u64(), kp_slice_none(), out.data(),
			                         out.size()),
			          KP_OK);
			out.resize(plain.size());
			EXPECT_EQ(out, plain);
		}
		ops->aead_free(tx);
		ops->aead_free(rx);
	}
	void check_largest(const uint8_t key[32], const Json &f)
	{
		Bytes plain(f["plaintext_length"].u64(), f["plaintext_byte"].bytes()[0]);
		size_t body = plain.size() + KP_AEAD_TAG;
		Bytes frame(2 + body);
		frame[0] = static_cast<uint8_t>(body >> 8);
		frame[1] = static_cast<uint8_t>(body);
		kp_slice v = vectors::slice(plain);
		kp_aead *tx = ops->aead_new(c, key);
		ASSERT_EQ(ops->aead_seal(tx, f["nonce"].u64(), kp_slice_none(), &v, 1,
		                         frame.data() + 2),
		          KP_OK);
		ops->aead_free(tx);
		EXPECT_EQ(frame.size(), f["frame_length"].u64());
		uint8_t digest[32];
		ops->sha256(frame.data(), frame.size(), digest);
		EXPECT_EQ(vectors::hex(digest, 32), f["frame_sha256"].str());
	}
};

TEST_P(noise, transcripts)
{
	size_t frames = 0;
	for (auto &t : vectors::list("noise", "transcripts", 5)) {
		SCOPED_TRACE(t["name"].str());
		keys ik(t["initiator"]), rk(t["responder"]);
		kp_noise_sym i, r;
		Bytes e, s, payload, remote_e;
		kp_noise_sym_init(&i, c);
		EXPECT_EQ(hash(i), t["h_after_prologue"].str());

		Bytes m1 = initiator_writes_1(&i, ik);
		EXPECT_EQ(m1, body_of(t["frame_1"]));
		ASSERT_TRUE(responder_reads_1(&r, m1, &remote_e));
		EXPECT_EQ(hash(i), t["h_after_1"].str());
		EXPECT_EQ(hash(r), t["h_after_1"].str());

		Bytes m2 = responder_writes_2(&r, rk, remote_e, t["payload_2"].bytes());
		EXPECT_EQ(m2, body_of(t["frame_2"]));
		ASSERT_TRUE(initiator_reads_2(&i, ik, m2, &e, &s, &payload));
		EXPECT_EQ(s, rk.pub);
		EXPECT_EQ(payload, t["payload_2"].bytes());
		EXPECT_EQ(hash(i), t["h_after_2"].str());
		EXPECT_EQ(hash(r), t["h_after_2"].str());
		kp_peer_id id;
		char text[KP_PEER_ID_TEXT_MAX];
		ASSERT_TRUE(payload_ok(payload, s, &id));
		kp_peer_id_text(&id, text);
		EXPECT_EQ(text, t["responder"]["peer_id"].str());

		Bytes boxed_s = seal(&i, ik.pub);
		ASSERT_TRUE(mix_dh(&i, ik.secret, e)); /* se */
		Bytes m3 = join({boxed_s, seal(&i, t["payload_3"].bytes())});
		EXPECT_EQ(m3, body_of(t["frame_3"]));
		ASSERT_TRUE(responder_reads_3(&r, rk, m3, &s, &payload));
		ASSERT_TRUE(payload_ok(payload, s, &id));
		kp_peer_id_text(&id, text);
		EXPECT_EQ(text, t["initiator"]["peer_id"].str());
		EXPECT_EQ(hash(i), t["handshake_hash"].str());
		EXPECT_EQ(hash(r), t["handshake_hash"].str());
		EXPECT_EQ(vectors::hex(i.ck, 32), t["chaining_key"].str());

		uint8_t i2r[2][32], r2i[2][32];
		kp_noise_sym_split(&i, i2r[0], r2i[0]);
		kp_noise_sym_split(&r, i2r[1], r2i[1]);
		for (int side = 0; side < 2; side++) {
			EXPECT_EQ(vectors::hex(i2r[side], 32),
			          t["key_initiator_to_responder"].str());
			EXPECT_EQ(vectors::hex(r2i[side], 32),
			          t["key_responder_to_initiator"].str());
		}
		check_transport(i2r[0], t["transport_initiator_to_responder"]);
		check_transport(r2i[0], t["transport_responder_to_initiator"]);
		check_largest(i2r[0], t["largest_frame_initiator_to_responder"]);
		frames += t["transport_initiator_to_responder"].size() +
		          t["transport_responder_to_initiator"].size() + 1;
	}
	EXPECT_EQ(frames, 45u);
}

TEST_P(noise, rejected_first_messages)
{
	for (auto &v : vectors::list("noise", "rejected_first_message", 2)) {
		kp_noise_sym r;
		Bytes e;
		EXPECT_FALSE(responder_reads_1(&r, body_of(v["frame_1"]), &e)) << v["name"].str();
	}
}

TEST_P(noise, rejected_by_responder)
{
	auto &t = vectors::list("noise", "transcripts", 5)[size_t(0)];
	auto &cases = vectors::file()["noise"]["rejected_by_responder"]["cases"];
	ASSERT_EQ(cases.size(), 14u);
	for (auto &v : cases) {
		keys rk(t["responder"]);
		kp_noise_sym r;
		Bytes e, s, payload;
		kp_peer_id id;
		ASSERT_TRUE(responder_reads_1(&r, body_of(t["frame_1"]), &e));
		responder_writes_2(&r, rk, e, t["payload_2"].bytes());
		EXPECT_FALSE(responder_reads_3(&r, rk, body_of(v["frame_3"]), &s, &payload) &&
		             payload_ok(payload, s, &id))
		        << v["name"].str();
	}
}

TEST_P(noise, rejected_by_initiator)
{
	auto &t = vectors::list("noise", "transcripts", 5)[size_t(0)];
	auto &cases = vectors::file()["noise"]["rejected_by_initiator"]["cases"];
	ASSERT_EQ(cases.size(), 8u);
	int other_peers = 0;
	for (auto &v : cases) {
		keys ik(t["initiator"]);
		kp_noise_sym i;
		Bytes e, s, payload;
		kp_peer_id id, dialled;
		initiator_writes_1(&i, ik);
		bool ok = initiator_reads_2(&i, ik, body_of(v["frame_2"]), &e, &s, &payload) &&
		          payload_ok(payload, s, &id);
		if (v["name"].str() == "another peer than was dialed") {
			ASSERT_TRUE(ok); /* a good handshake with somebody else */
			ASSERT_EQ(
			        kp_peer_id_parse_text(
			                vectors::slice(t["responder"]["peer_id"].str()), &dialled),
			        KP_OK);
			EXPECT_FALSE(kp_peer_id_eq(&id, &dialled));
			other_peers++;
		} else {
			EXPECT_FALSE(ok) << v["name"].str();
		}
	}
	EXPECT_EQ(other_peers, 1);
}

/* A bad message changes neither hash nor counter, so nothing is half done. */
TEST_P(noise, a_refused_message_leaves_the_state_alone)
{
	kp_noise_sym tx, rx;
	const uint8_t ikm[32] = {9};
	kp_noise_sym_init(&tx, c);
	kp_noise_sym_init(&rx, c);
	kp_noise_sym_mix_key(&tx, ikm);
	kp_noise_sym_mix_key(&rx, ikm);
	for (int round = 0; round < 3; round++) {
		Bytes box = seal(&tx, Bytes(20, 7)), out;
		kp_noise_sym before = rx;
		for (size_t n = 1; n < box.size(); n += 5) {
			Bytes bad = box;
			bad[n] ^= 1;
			EXPECT_FALSE(open(&rx, &bad, 0, &out));
			Bytes cut(box.begin(), box.begin() + static_cast<long>(n));
			EXPECT_FALSE(open(&rx, &cut, 0, &out));
		}
		EXPECT_EQ(hash(rx), hash(before));
		EXPECT_EQ(rx.n, before.n);
		ASSERT_TRUE(open(&rx, &box, 0, &out));
		EXPECT_EQ(out, Bytes(20, 7));
		EXPECT_EQ(hash(rx), hash(tx));
	}
	uint8_t a[32], b[32];
	kp_noise_sym_split(&tx, a, b);
	kp_noise_sym zero = {};
	EXPECT_EQ(memcmp(&tx, &zero, sizeof tx), 0);
	kp_noise_sym_wipe(&rx);
}

FOR_ALL_BACKENDS(noise);

} // namespace
