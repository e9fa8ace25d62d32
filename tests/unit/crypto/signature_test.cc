/* The vectors of groups signature, private_key_protobuf (public keys) and tls (host signatures),
 * through every backend. */
#include "crypto/backends.h"
#include "crypto/identity.h"
#include "vectors.h"

namespace
{

using vectors::Bytes;
using vectors::Json;

class signature : public backend_test
{
      protected:
	/* KP_E_PROTO also when the key itself is refused. */
	kp_err judge(const Bytes &pub, const Bytes &message, const Bytes &sig)
	{
		kp_pubkey *k = nullptr;
		kp_peer_id id;
		if (kp_pubkey_parse(c, vectors::slice(pub), &k, &id) != KP_OK)
			return KP_E_PROTO;
		kp_err r = ops->verify(k, vectors::slice(message), vectors::slice(sig));
		EXPECT_EQ(ops->verify(k, vectors::slice(message), vectors::slice(sig)), r);
		ops->pubkey_free(k);
		return r;
	}
	kp_err judge(const Json &v)
	{
		return judge(v["public_key"].bytes(), v["message"].bytes(), v["signature"].bytes());
	}
	kp_err judge_key(const Bytes &pub)
	{
		kp_peer_id id;
		return kp_pubkey_parse(c, vectors::slice(pub), nullptr, &id);
	}
};

TEST_P(signature, valid)
{
	for (auto &v : vectors::list("signature", "valid", 26))
		EXPECT_EQ(judge(v), KP_OK) << v["name"].str();
}

TEST_P(signature, every_flipped_byte_is_noticed)
{
	int n = 0;
	for (auto &v : vectors::list("signature", "valid", 26)) {
		if (n++ % 3 != 0)
			continue; /* one message per key: curve arithmetic is slow here */
		Bytes sig = v["signature"].bytes();
		size_t step = sig.size() > 100 ? 17 : 5;
		for (size_t i = 0; i < sig.size(); i += step) {
			Bytes bad = sig;
			bad[i] ^= 0x04;
			EXPECT_EQ(judge(v["public_key"].bytes(), v["message"].bytes(), bad),
			          KP_E_PROTO)
			        << v["name"].str() << " byte " << i;
		}
	}
}

TEST_P(signature, cut_or_longer_is_refused)
{
	for (auto &v : vectors::list("signature", "valid", 26)) {
		Bytes sig = v["signature"].bytes();
		Bytes longer = sig;
		longer.push_back(0);
		EXPECT_EQ(judge(v["public_key"].bytes(), v["message"].bytes(), longer), KP_E_PROTO);
		for (size_t n : {size_t(0), size_t(1), size_t(2), sig.size() / 2, sig.size() - 1}) {
			Bytes cut(sig.begin(), sig.begin() + static_cast<long>(n));
			EXPECT_EQ(judge(v["public_key"].bytes(), v["message"].bytes(), cut),
			          KP_E_PROTO);
		}
	}
}

TEST_P(signature, invalid)
{
	for (auto &v : vectors::list("signature", "invalid", 20))
		EXPECT_EQ(judge(v), KP_E_PROTO) << v["name"].str();
}

/* Bytes behind the DER and high S: implementations differ, we refuse both. */
TEST_P(signature, disputed_are_refused)
{
	for (auto &v : vectors::list("signature", "disputed", 2))
		EXPECT_EQ(judge(v), KP_E_PROTO) << v["name"].str();
}

TEST_P(signature, public_keys)
{
	for (auto &v : vectors::list("private_key_protobuf", "keys", 9))
		EXPECT_EQ(judge_key(v["public_key"].bytes()), KP_OK) << v["name"].str();
	for (auto &v : vectors::list("private_key_protobuf", "invalid_public", 15))
		EXPECT_EQ(judge_key(v["hex"].bytes()), KP_E_PROTO) << v["name"].str();
	/* RSA of 1,024 bits: rust and js verify with it, go and we do not. */
	for (auto &v : vectors::list("private_key_protobuf", "disputed_public", 1))
		EXPECT_EQ(judge_key(v["hex"].bytes()), KP_E_PROTO) << v["name"].str();
}

/* Whatever byte of a public key changes, either it is refused or it is another key. */
TEST_P(signature, changed_keys_do_not_verify)
{
	for (auto &v : vectors::list("signature", "valid", 26)) {
		if (v["message"].str() != "")
			continue;
		Bytes pub = v["public_key"].bytes();
		for (size_t i = 0; i<pub.size(); i += pub.size()> 100 ? 23 : 3) {
			Bytes bad = pub;
			bad[i] ^= 0x08;
			EXPECT_EQ(judge(bad, {}, v["signature"].bytes()), KP_E_PROTO)
			        << v["name"].str() << " byte " << i;
		}
	}
}

TEST_P(signature, tls_host_signatures)
{
	int valid = 0;
	for (auto &v : vectors::list("tls", "certificates", 4)) {
		bool want = v["valid"].boolean();
		valid += want;
		EXPECT_EQ(judge(v["public_key"].bytes(), v["signed_bytes"].bytes(),
		                v["host_signature"].bytes()),
		          want ? KP_OK : KP_E_PROTO)
		        << v["name"].str();
	}
	EXPECT_EQ(valid, 3);
}

FOR_ALL_BACKENDS(signature);

} // namespace
