/* Identities, and the vectors of groups peer_id (keys), private_key_protobuf (private keys) and
 * envelope, through every backend. */
#include "crypto/identity.h"
#include "crypto/backends.h"
#include "vectors.h"
#include "wire/base64.h"
#include "wire/envelope.h"

namespace
{

using vectors::Bytes;

std::string base64(const Bytes &b)
{
	std::string out(KP_BASE64_TEXT_SIZE(b.size()), '\0');
	kp_writer w = kp_writer_of(out.data(), out.size());
	kp_base64_write(&w, KP_BASE64_STD, vectors::slice(b));
	EXPECT_EQ(w.n, out.size());
	return out;
}

std::string text_of(const kp_peer_id &id)
{
	char text[KP_PEER_ID_TEXT_MAX];
	kp_peer_id_text(&id, text);
	return text;
}

class identity : public backend_test
{
      protected:
	kp_err parse(const std::string &text, kp_identity *out)
	{
		const char *why = nullptr;
		kp_err r = kp_identity_parse(c, vectors::slice(text), out, &why);
		EXPECT_TRUE(r == KP_OK || strlen(why) > 10);
		return r;
	}
	kp_err open(const Bytes &envelope, kp_peer_record *out)
	{
		return kp_peer_record_open(c, vectors::slice(envelope), &out->id, &out->seq,
		                           &out->addrs);
	}
};

TEST_P(identity, seeds_of_the_documents)
{
	kp_identity id;
	Bytes seed(32, 0x55);
	kp_identity_from_seed(c, seed.data(), &id);
	EXPECT_EQ(text_of(id.id), "12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms");
	EXPECT_EQ(vectors::hex(id.pubkey_pb, sizeof id.pubkey_pb),
	          "08011220c6822637c7d310ec57627be00ba259d253749f4aaf644470cffbe53a35f73242");
	seed.assign(32, 0x66);
	kp_identity_from_seed(c, seed.data(), &id);
	EXPECT_EQ(text_of(id.id), "12D3KooWDN7K2vo9rDBdpWGjDwMsQJaWvSqJxKZKg5ywyS42P8aq");
	kp_identity_wipe(&id);
	kp_identity zero = {};
	EXPECT_EQ(memcmp(&id, &zero, sizeof id), 0);
}

TEST_P(identity, generated_ones_differ_and_follow_the_seed)
{
	const uint8_t seed[32] = {1, 2, 3};
	kp_crypto *twin = kp_crypto_new_ossl(seed);
	kp_identity a, b, t;
	kp_identity_generate(c, &a);
	kp_identity_generate(c, &b);
	kp_identity_generate(twin, &t);
	EXPECT_FALSE(kp_peer_id_eq(&a.id, &b.id));
	EXPECT_TRUE(kp_peer_id_eq(&a.id, &t.id));
	twin->ops->free(twin);
}

TEST_P(identity, text_round_trips_with_white_space_around)
{
	kp_identity id, back;
	char text[KP_IDENTITY_TEXT_MAX];
	kp_identity_generate(c, &id);
	EXPECT_EQ(kp_identity_text(&id, text), 92u);
	EXPECT_EQ(strlen(text), 92u);
	ASSERT_EQ(parse(std::string(" \r\n\t") + text + "\n\n", &back), KP_OK);
	EXPECT_EQ(memcmp(&id, &back, sizeof id), 0);
	EXPECT_EQ(parse(std::string(text).insert(40, " "), &back), KP_E_INVAL);
	EXPECT_EQ(parse("", &back), KP_E_INVAL);
	EXPECT_EQ(parse(" \n", &back), KP_E_INVAL);
	EXPECT_EQ(parse("CAE", &back), KP_E_INVAL);
	EXPECT_EQ(parse(std::string(5000, 'A'), &back), KP_E_INVAL);
}

TEST_P(identity, signs_so_that_others_verify)
{
	kp_identity id;
	uint8_t sig[64];
	kp_identity_generate(c, &id);
	ASSERT_EQ(kp_identity_sign(c, &id, kp_slice_str("hello"), sig), KP_OK);
	kp_pubkey *k = nullptr;
	kp_peer_id pid;
	ASSERT_EQ(kp_pubkey_parse(c, kp_slice_of(id.pubkey_pb, sizeof id.pubkey_pb), &k, &pid),
	          KP_OK);
	EXPECT_TRUE(kp_peer_id_eq(&pid, &id.id));
	EXPECT_EQ(ops->verify(k, kp_slice_str("hello"), kp_slice_of(sig, 64)), KP_OK);
	EXPECT_EQ(ops->verify(k, kp_slice_str("hellp"), kp_slice_of(sig, 64)), KP_E_PROTO);
	ops->pubkey_free(k);
}

TEST_P(identity, peer_ids_of_keys)
{
	for (auto &v : vectors::list("peer_id", "keys", 12)) {
		kp_peer_id id;
		Bytes pub = v["public_key"].bytes();
		ASSERT_EQ(kp_pubkey_parse(c, vectors::slice(pub), nullptr, &id), KP_OK)
		        << v["name"].str();
		EXPECT_EQ(vectors::hex(kp_peer_id_slice(&id)), v["peer_id"].str());
		EXPECT_EQ(text_of(id), v["base58"].str());
	}
}

TEST_P(identity, private_keys)
{
	int owned = 0;
	kp_identity id;
	for (auto &v : vectors::list("private_key_protobuf", "keys", 9)) {
		kp_err r = parse(base64(v["private_key"].bytes()), &id);
		if (v["key_type"].str() != "Ed25519") {
			EXPECT_EQ(r, KP_E_NOTSUP) << v["name"].str();
			continue;
		}
		owned++;
		ASSERT_EQ(r, KP_OK) << v["name"].str();
		EXPECT_EQ(text_of(id.id), v["peer_id"].str());
		EXPECT_EQ(vectors::hex(id.pubkey_pb, sizeof id.pubkey_pb), v["public_key"].str());
		char text[KP_IDENTITY_TEXT_MAX];
		kp_identity_text(&id, text);
		EXPECT_EQ(text, base64(v["private_key"].bytes()));
	}
	EXPECT_EQ(owned, 3);
	for (auto &v : vectors::list("private_key_protobuf", "old_forms", 1)) {
		ASSERT_EQ(parse(base64(v["private_key"].bytes()), &id), KP_OK);
		char text[KP_IDENTITY_TEXT_MAX];
		kp_identity_text(&id, text);
		EXPECT_EQ(text, base64(v["reencoded"].bytes()));
	}
	for (auto &v : vectors::list("private_key_protobuf", "invalid_private", 16))
		EXPECT_NE(parse(base64(v["hex"].bytes()), &id), KP_OK) << v["name"].str();
	/* A public half that is not the seed's: go and js take it, rust and we do not. */
	for (auto &v : vectors::list("private_key_protobuf", "disputed_private", 1))
		EXPECT_EQ(parse(base64(v["hex"].bytes()), &id), KP_E_INVAL) << v["name"].str();
}

TEST_P(identity, valid_envelopes)
{
	const struct {
		const char *name;
		size_t count;
	} lists[] = {{"valid_standard", 7}, {"valid_routing_state", 5}};
	for (auto &l : lists) {
		for (auto &v : vectors::list("envelope", l.name, l.count)) {
			kp_peer_record rec = {};
			Bytes envelope = v["envelope"].bytes();
			ASSERT_EQ(open(envelope, &rec), KP_OK) << v["name"].str();
			auto &want = v["record"];
			EXPECT_EQ(vectors::hex(kp_peer_id_slice(&rec.id)), want["peer_id"].str());
			EXPECT_EQ(rec.seq, want["seq"].u64());
			kp_slice addr;
			for (auto &a : want["addresses"]) {
				ASSERT_TRUE(kp_peer_record_next(&rec.addrs, &addr));
				EXPECT_EQ(vectors::hex(addr), a.str());
			}
			EXPECT_FALSE(kp_peer_record_next(&rec.addrs, &addr));
		}
	}
}

TEST_P(identity, invalid_envelopes)
{
	int both_forms = 0;
	for (auto &v : vectors::list("envelope", "invalid", 10)) {
		kp_peer_record rec;
		/* Invalid for those who read the standard form only; we read rust's as well. */
		bool ours = v["name"].str() == "routing-state envelope";
		both_forms += ours;
		EXPECT_EQ(open(v["envelope"].bytes(), &rec), ours ? KP_OK : KP_E_PROTO)
		        << v["name"].str();
	}
	EXPECT_EQ(both_forms, 1);
}

TEST_P(identity, disputed_envelopes)
{
	for (auto &v : vectors::list("envelope", "disputed", 2)) {
		kp_peer_record rec;
		/* An unknown address is the reader's to skip; a foreign peer id is refused. */
		bool skip = v["name"].str() == "one address does not parse";
		EXPECT_EQ(open(v["envelope"].bytes(), &rec), skip ? KP_OK : KP_E_PROTO)
		        << v["name"].str();
	}
}

TEST_P(identity, every_changed_byte_of_an_envelope_is_noticed)
{
	auto &v = vectors::list("envelope", "valid_standard", 7)[size_t(0)];
	Bytes good = v["envelope"].bytes();
	for (size_t i = 0; i < good.size(); i++) {
		Bytes bad = good;
		bad[i] ^= 0x01;
		kp_peer_record rec;
		EXPECT_EQ(open(bad, &rec), KP_E_PROTO) << i;
	}
	for (size_t n = 0; n < good.size(); n++) {
		kp_peer_record rec;
		EXPECT_EQ(open(Bytes(good.begin(), good.begin() + static_cast<long>(n)), &rec),
		          KP_E_PROTO);
	}
}

/* Sealing gives the recorded bytes where the key is ours to hold. */
TEST_P(identity, seal_reproduces_the_vectors)
{
	int sealed = 0;
	for (auto &v : vectors::list("envelope", "valid_standard", 7)) {
		if (v["key_type"].str() != "Ed25519")
			continue;
		kp_identity id;
		for (uint8_t fill : {0x55, 0x66}) {
			Bytes seed(32, fill);
			kp_identity_from_seed(c, seed.data(), &id);
			if (vectors::hex(id.pubkey_pb, sizeof id.pubkey_pb) ==
			    v["public_key"].str())
				break;
		}
		std::vector<Bytes> bytes;
		std::vector<kp_slice> addrs;
		for (auto &a : v["record"]["addresses"])
			bytes.push_back(a.bytes());
		for (auto &b : bytes)
			addrs.push_back(vectors::slice(b));
		uint8_t out[512];
		kp_writer w = kp_writer_of(out, sizeof out);
		ASSERT_EQ(kp_peer_record_seal(c, &id, v["record"]["seq"].u64(), addrs.data(),
		                              addrs.size(), &w),
		          KP_OK);
		EXPECT_EQ(vectors::hex(out, w.n), v["envelope"].str()) << v["name"].str();
		kp_writer small = kp_writer_of(out, w.n - 1);
		EXPECT_EQ(kp_peer_record_seal(c, &id, v["record"]["seq"].u64(), addrs.data(),
		                              addrs.size(), &small),
		          KP_E_TOOBIG);
		sealed++;
	}
	EXPECT_EQ(sealed, 4);
}

FOR_ALL_BACKENDS(identity);

} // namespace
