/* Every allocation that OpenSSL makes for us fails once: no crash, no leak (under ASan), an honest
 * answer, and the same call works afterwards. */
#include "crypto/crypto.h"
#include "vectors.h"
#include "wire/keys.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <cstdlib>
#include <functional>
#include <set>

namespace
{

thread_local long fail_in = 0; /* the allocation that fails, counted down; 0 = none */
thread_local bool has_failed = false;

bool fails_now()
{
	if (fail_in == 0 || --fail_in != 0)
		return false;
	has_failed = true;
	return true;
}

void *test_malloc(size_t n, const char *, int)
{
	return fails_now() ? nullptr : std::malloc(n);
}

void *test_realloc(void *p, size_t n, const char *, int)
{
	return fails_now() ? nullptr : std::realloc(p, n);
}

void test_free(void *p, const char *, int)
{
	std::free(p);
}

/* Works only before OpenSSL's first allocation, that is before main. */
const bool installed = CRYPTO_set_mem_functions(test_malloc, test_realloc, test_free) == 1;

class ossl_memory : public ::testing::Test
{
      protected:
	kp_crypto *c = nullptr;
	const kp_crypto_ops *ops = nullptr;

	void SetUp() override
	{
		const uint8_t seed[32] = {1};
		ASSERT_TRUE(installed) << "OpenSSL was used before main";
		c = kp_crypto_new_ossl(seed);
		ops = c->ops;
	}
	void TearDown() override
	{
		if (c != nullptr)
			c->ops->free(c);
	}
	/* Runs f with the 1st, 2nd, … allocation failing until none is left to fail. OpenSSL gets
	 * by without some; `otherwise` says which answers are fine for the rest. */
	void sweep(const std::set<kp_err> &otherwise, const std::function<kp_err()> &f,
	           kp_err want = KP_OK)
	{
		EXPECT_EQ(f(), want); /* what OpenSSL fetches once and keeps */
		for (long at = 1; at < 2000; at++) {
			has_failed = false;
			fail_in = at;
			kp_err r = f();
			fail_in = 0;
			if (!has_failed) {
				EXPECT_EQ(r, want);
				EXPECT_GT(at, 1);
				return;
			}
			EXPECT_TRUE(r == want || otherwise.count(r) == 1) << r << " at " << at;
		}
		FAIL() << "no end";
	}
};

TEST_F(ossl_memory, table)
{
	const uint8_t seed[32] = {1};
	sweep({KP_E_NOMEM}, [&] {
		kp_crypto *made = kp_crypto_new_ossl(seed);
		if (made == nullptr)
			return KP_E_NOMEM;
		made->ops->free(made);
		return KP_OK;
	});
}

TEST_F(ossl_memory, aead)
{
	const uint8_t key[32] = {1};
	sweep({KP_E_NOMEM}, [&] {
		kp_aead *a = ops->aead_new(c, key);
		ops->aead_free(a);
		return a != nullptr ? KP_OK : KP_E_NOMEM;
	});
}

/* Frames, the handshake's cipher and the random stream never allocate. Hashes do in OpenSSL 3.0, a
 * hundred bytes, and assert that they got them. */
TEST_F(ossl_memory, what_runs_per_frame_allocates_nothing)
{
	const uint8_t key[32] = {1};
	uint8_t out[116], h[32];
	kp_aead *a = ops->aead_new(c, key);
	kp_slice v[2] = {kp_slice_of(key, 32), kp_slice_of(key, 10)};
	for (int round = 0; round < 2; round++) {
		has_failed = false;
		fail_in = round == 0 ? 0 : 1;
		EXPECT_EQ(ops->aead_seal(a, 1, v[1], v, 2, out), KP_OK);
		EXPECT_EQ(ops->aead_open(a, 1, v[1], out, 58), KP_OK);
		ops->aead_seal_once(c, key, 1, v[1], v[0], out);
		EXPECT_EQ(ops->aead_open_once(c, key, 1, v[1], out, 48), KP_OK);
		ops->random(c, h, 32);
		fail_in = 0;
		EXPECT_FALSE(has_failed);
	}
	ops->aead_free(a);
}

TEST_F(ossl_memory, x25519)
{
	const uint8_t secret[32] = {1}, pub[32] = {9};
	uint8_t out[32];
	sweep({KP_E_NOMEM, KP_E_PROTO}, [&] { return ops->x25519(secret, pub, out); });
}

TEST_F(ossl_memory, sign)
{
	uint8_t seed[32] = {1}, pub[32], sig[64];
	ops->ed25519_public(seed, pub);
	sweep({KP_E_NOMEM}, [&] { return ops->ed25519_sign(seed, pub, kp_slice_str("x"), sig); });
}

TEST_F(ossl_memory, keys_and_signatures)
{
	int keys = 0;
	for (auto &v : vectors::list("signature", "valid", 26)) {
		if (v["message"].str() != "")
			continue; /* one of each key */
		keys++;
		SCOPED_TRACE(v["name"].str());
		vectors::Bytes pub = v["public_key"].bytes(), sig = v["signature"].bytes();
		kp_key_pb pb;
		ASSERT_EQ(kp_key_pb_parse_public(vectors::slice(pub), &pb), KP_OK);
		kp_pubkey *k = nullptr;
		/* Many of OpenSSL's functions do not tell want of memory from a bad input. */
		sweep({KP_E_NOMEM, KP_E_PROTO}, [&] {
			kp_err r = ops->pubkey_new(c, pb.type, pb.data, &k);
			if (r == KP_OK)
				ops->pubkey_free(k);
			return r;
		});
		ASSERT_EQ(ops->pubkey_new(c, pb.type, pb.data, &k), KP_OK);
		sweep({KP_E_NOMEM, KP_E_PROTO},
		      [&] { return ops->verify(k, kp_slice_none(), vectors::slice(sig)); });
		/* But a bad signature never becomes a good one. */
		sweep(
		        {KP_E_NOMEM},
		        [&] { return ops->verify(k, kp_slice_str("x"), vectors::slice(sig)); },
		        KP_E_PROTO);
		ops->pubkey_free(k);
	}
	EXPECT_GE(keys, 4);
}

} // namespace
