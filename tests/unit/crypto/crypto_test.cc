#include "crypto/backends.h"

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace
{

using bytes = std::vector<uint8_t>;

bytes unhex(const std::string &text)
{
	bytes out;
	for (size_t i = 0; i + 1 < text.size(); i += 2)
		out.push_back(static_cast<uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
	return out;
}

kp_slice view(const bytes &b)
{
	return kp_slice_of(b.data(), b.size());
}

class crypto : public backend_test
{
      protected:
	kp_err verify(const bytes &pub, const bytes &msg, const bytes &sig)
	{
		kp_pubkey *k = nullptr;
		EXPECT_EQ(ops->pubkey_new(c, KP_KEY_ED25519, view(pub), &k), KP_OK);
		kp_err r = ops->verify(k, view(msg), view(sig));
		EXPECT_EQ(ops->verify(k, view(msg), view(sig)), r); /* the memo's second answer */
		ops->pubkey_free(k);
		return r;
	}
};

TEST_P(crypto, sha256_whole_and_in_parts)
{
	const bytes want =
	        unhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	bytes out(32);
	ops->sha256("abc", 3, out.data());
	EXPECT_EQ(out, want);
	for (int round = 0; round < 2; round++) {
		const kp_slice v[] = {kp_slice_str("a"), kp_slice_none(), kp_slice_str("bc")};
		bytes parts(32);
		ops->sha256_parts(c, v, 3, parts.data());
		EXPECT_EQ(parts, want);
	}
	ops->sha256(nullptr, 0, out.data());
	EXPECT_EQ(out, unhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

/* RFC 4231, cases 2 and 6, and the empty corners that HKDF meets. */
TEST_P(crypto, hmac_sha256)
{
	bytes out(32);
	std::string text = "what do ya want for nothing?";
	ops->hmac_sha256(c, reinterpret_cast<const uint8_t *>("Jefe"), 4, text.data(), text.size(),
	                 out.data());
	EXPECT_EQ(out, unhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
	bytes long_key(131, 0xaa);
	text = "Test Using Larger Than Block-Size Key - Hash Key First";
	ops->hmac_sha256(c, long_key.data(), long_key.size(), text.data(), text.size(), out.data());
	EXPECT_EQ(out, unhex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
	ops->hmac_sha256(c, nullptr, 0, nullptr, 0, out.data());
	EXPECT_EQ(out, unhex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"));
}

/* RFC 7748 section 5.2. */
TEST_P(crypto, x25519)
{
	bytes k = unhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
	bytes u = unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
	bytes out(32);
	ASSERT_EQ(ops->x25519(k.data(), u.data(), out.data()), KP_OK);
	EXPECT_EQ(out, unhex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"));
	bytes nine(32);
	nine[0] = 9;
	ops->x25519_public(nine.data(), out.data());
	EXPECT_EQ(out, unhex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
}

TEST_P(crypto, x25519_pairs_agree)
{
	bytes as(32), ap(32), bs(32), bp(32), ab(32), ba(32);
	ASSERT_EQ(ops->x25519_pair(c, as.data(), ap.data()), KP_OK);
	ASSERT_EQ(ops->x25519_pair(c, bs.data(), bp.data()), KP_OK);
	EXPECT_NE(as, bs);
	ASSERT_EQ(ops->x25519(as.data(), bp.data(), ab.data()), KP_OK);
	ASSERT_EQ(ops->x25519(bs.data(), ap.data(), ba.data()), KP_OK);
	EXPECT_EQ(ab, ba);
}

TEST_P(crypto, x25519_refuses_an_all_zero_result)
{
	bytes k(32, 0x42), out(32, 0xff);
	const char *low_order[] = {
	        "0000000000000000000000000000000000000000000000000000000000000000",
	        "0100000000000000000000000000000000000000000000000000000000000000",
	        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	for (const char *u : low_order)
		EXPECT_EQ(ops->x25519(k.data(), unhex(u).data(), out.data()), KP_E_PROTO) << u;
}

TEST_P(crypto, aead_round_trips_of_all_shapes)
{
	bytes key(32, 7);
	kp_aead *tx = ops->aead_new(c, key.data()), *rx = ops->aead_new(c, key.data());
	uint64_t counter = 0;
	for (size_t n : {0ul, 1ul, 15ul, 16ul, 17ul, 63ul, 64ul, 65ul, 1000ul, 16384ul, 65519ul}) {
		bytes plain(n);
		for (size_t i = 0; i < n; i++)
			plain[i] = static_cast<uint8_t>(i * 31 + n);
		bytes ad(n % 40, 3), whole(n + 16);
		kp_slice one = view(plain);
		ASSERT_EQ(ops->aead_seal(tx, counter, view(ad), &one, 1, whole.data()), KP_OK);
		/* Gathered from three uneven parts it is the same. */
		size_t a = n / 3, b = n / 3 + (n > 5 ? 5 : 0);
		const kp_slice v[] = {kp_slice_of(plain.data(), a), kp_slice_none(),
		                      kp_slice_of(plain.data() + a, b - a),
		                      kp_slice_of(plain.data() + b, n - b)};
		bytes gathered(n + 16);
		ASSERT_EQ(ops->aead_seal(tx, counter, view(ad), v, 4, gathered.data()), KP_OK);
		EXPECT_EQ(whole, gathered);
		bytes once(n + 16);
		ops->aead_seal_once(c, key.data(), counter, view(ad), one, once.data());
		EXPECT_EQ(whole, once);
		ASSERT_EQ(ops->aead_open(rx, counter, view(ad), whole.data(), whole.size()), KP_OK);
		whole.resize(n);
		EXPECT_EQ(whole, plain);
		ASSERT_EQ(ops->aead_open_once(c, key.data(), counter, view(ad), once.data(),
		                              once.size()),
		          KP_OK);
		once.resize(n);
		EXPECT_EQ(once, plain);
		counter = counter * 1000003 + 1;
	}
	ops->aead_free(tx);
	ops->aead_free(rx);
	ops->aead_free(nullptr);
}

TEST_P(crypto, aead_refuses_every_change_and_works_on_afterwards)
{
	bytes key(32, 9), ad(5, 1), plain(40, 2), box(56);
	kp_aead *a = ops->aead_new(c, key.data());
	kp_slice one = view(plain);
	ASSERT_EQ(ops->aead_seal(a, 5, view(ad), &one, 1, box.data()), KP_OK);
	for (size_t i = 0; i < box.size(); i++) {
		bytes bad = box;
		bad[i] ^= 0x10;
		EXPECT_EQ(ops->aead_open(a, 5, view(ad), bad.data(), bad.size()), KP_E_PROTO);
		bad = box;
		bad[i] ^= 0x10;
		EXPECT_EQ(ops->aead_open_once(c, key.data(), 5, view(ad), bad.data(), bad.size()),
		          KP_E_PROTO);
	}
	for (size_t n = 0; n < box.size(); n++) {
		bytes cut(box.begin(), box.begin() + static_cast<long>(n));
		EXPECT_EQ(ops->aead_open(a, 5, view(ad), cut.data(), n), KP_E_PROTO);
	}
	bytes copy = box;
	EXPECT_EQ(ops->aead_open(a, 6, view(ad), copy.data(), copy.size()), KP_E_PROTO);
	copy = box;
	EXPECT_EQ(ops->aead_open(a, 5, kp_slice_none(), copy.data(), copy.size()), KP_E_PROTO);
	copy = box;
	EXPECT_EQ(ops->aead_open(a, 5, view(ad), copy.data(), copy.size()), KP_OK);
	copy.resize(40);
	EXPECT_EQ(copy, plain);
	EXPECT_EQ(ops->aead_open(a, UINT64_MAX, view(ad), box.data(), box.size()), KP_E_PROTO);
	ops->aead_free(a);
}

/* The first block of ChaCha20 under the zero key: half of it is the next key, half the output. */
TEST(crypto_random, is_the_chacha20_stream_of_the_seed)
{
	const uint8_t seed[32] = {0};
	kp_crypto *c = kp_crypto_new_ossl(seed);
	bytes out(32);
	c->ops->random(c, out.data(), out.size());
	EXPECT_EQ(out, unhex("da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"));
	c->ops->free(c);
}

TEST_P(crypto, random_is_deterministic_and_never_repeats)
{
	const uint8_t seed[32] = {1, 2, 3}, fresh[32] = {4};
	kp_crypto *twin = kp_crypto_new_ossl(seed);
	std::set<bytes> seen;
	for (size_t i = 0; i < 200; i++) {
		size_t n = 16 + i % 100;
		bytes a(n), b(n);
		ops->random(c, a.data(), n);
		twin->ops->random(twin, b.data(), n);
		EXPECT_EQ(a, b);
		EXPECT_TRUE(seen.insert(bytes(a.begin(), a.begin() + 16)).second);
	}
	ops->random(c, nullptr, 0); /* steps the key too */
	twin->ops->random(twin, nullptr, 0);
	bytes a(16), b(16);
	ops->reseed(c, fresh);
	ops->random(c, a.data(), 16);
	twin->ops->random(twin, b.data(), 16);
	EXPECT_NE(a, b);
	twin->ops->reseed(twin, fresh);
	twin->ops->random(twin, b.data(), 16);
	EXPECT_NE(a, b); /* one draw later */
	twin->ops->free(twin);
}

/* RFC 8032 section 7.1, test 2. */
TEST_P(crypto, ed25519_public_and_sign)
{
	bytes seed = unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
	bytes pub(32), sig(64), msg = {0x72};
	ops->ed25519_public(seed.data(), pub.data());
	EXPECT_EQ(pub, unhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"));
	ASSERT_EQ(ops->ed25519_sign(seed.data(), pub.data(), view(msg), sig.data()), KP_OK);
	EXPECT_EQ(sig, unhex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
	                     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"));
	EXPECT_EQ(verify(pub, msg, sig), KP_OK);
}

/* Around the sizes where the backends hand over to each other. */
TEST_P(crypto, ed25519_of_all_sizes_signs_as_openssl_does)
{
	const uint8_t any[32] = {8};
	kp_crypto *ossl = kp_crypto_new_ossl(any);
	bytes seed(32, 0x21), pub(32), sig(64), want(64);
	ops->ed25519_public(seed.data(), pub.data());
	for (size_t n : {0ul, 1ul, 1000ul, 2047ul, 2048ul, 2049ul, 12287ul, 12288ul, 12289ul,
	                 65535ul, 65536ul, 65537ul, 1000000ul}) {
		bytes msg(n, 5);
		ASSERT_EQ(ops->ed25519_sign(seed.data(), pub.data(), view(msg), sig.data()), KP_OK);
		ossl->ops->ed25519_sign(seed.data(), pub.data(), view(msg), want.data());
		EXPECT_EQ(sig, want) << n;
		EXPECT_EQ(verify(pub, msg, sig), KP_OK) << n;
		sig[40] ^= 1;
		EXPECT_EQ(verify(pub, msg, sig), KP_E_PROTO) << n;
		sig[40] ^= 1;
		if (n > 0) {
			msg[n - 1] ^= 1;
			EXPECT_EQ(verify(pub, msg, sig), KP_E_PROTO) << n;
		}
	}
	ossl->ops->free(ossl);
}

/* Made with an implementation of our own: what go, rust and OpenSSL accept (small order, mixed
 * order, not canonical), and what they refuse although a check with the cofactor would pass. A
 * backend that differs would split the network, or have us blame peers that forward such messages.
 */
const struct edge {
	const char *name;
	kp_err want;
	const char *pub, *msg, *sig;
} edges[] = {
        {"mixed A, cofactor", KP_E_PROTO,
         "c71431358fba330b0a2a1ca672269f5a2842a1e00b3063467d9b4c2c18390765", "6d697865642030",
         "47d2490567e9dfaa43d1ebe640326de41e713a8fafd1b1b72f0c891d7eab8225"
         "08c7d0b499919a2cb5fb0c8ba0a4bb4d8961e0b0feef31937762f62d27222507"},
        {"mixed A, plain", KP_OK,
         "c71431358fba330b0a2a1ca672269f5a2842a1e00b3063467d9b4c2c18390765", "6d697865642031",
         "6fb4fc2026be0799a8a461cb467c580f6994752131274fb8f04d608bee16c1d7"
         "e232bcf5dbf2a188e9fd4c60fb1db12a09dc3a9799a934faf935b00d7efc8a02"},
        {"mixed R cofactor only", KP_E_PROTO,
         "b076512cb9983376f27047e466b05c0e910bba1248e04abf1b9d91bf5bb3cc7b", "6d697865642052",
         "9d1d3ae790636fbfaf278ad6e13dd68d02143c0b319a80d095f9815841a8ced2"
         "9c0e68a93703cc185176873989fe74595d81f9f7beef6857b14a55770c079802"},
        {"A identity", KP_OK, "0100000000000000000000000000000000000000000000000000000000000000",
         "736d616c6c2041",
         "ce55aa91dfa1b52bcc0a726bb8ce8556bd198f98bd3ae744157f9637ed9af5b8"
         "c2e6564a96c77b6d4eebc63685fb3592f404657e9bda84d0ace18f0d288a4704"},
        {"A order 8", KP_OK, "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
         "736d616c6c204138203330",
         "b41cc63065ecf9aa819963b0394b9cc366f8de3808bc8638641aaa4ea7b302f0"
         "46ecd24999540467911af4a6f122d010aac0eeba13f30dd7439745c0f05a3000"},
        {"R identity", KP_OK, "b076512cb9983376f27047e466b05c0e910bba1248e04abf1b9d91bf5bb3cc7b",
         "736d616c6c2052",
         "0100000000000000000000000000000000000000000000000000000000000000"
         "b373222d05b8035a32e046e0f9507958df0e4d0a7de125e5ecbecac7c59b7303"},
        {"A identity, not canonical", KP_OK,
         "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
         "6e6f6e63616e6f6e6963616c2041",
         "f43fcdfa325f20986245f3ca1f2923ecbbe796a1b8c3bc1bfb88ad9f127f5e47"
         "f617659d1949aadb8943849a81f349e861adee43725e18a41924babb9f23cd08"},
        {"R identity not canonical", KP_E_PROTO,
         "b076512cb9983376f27047e466b05c0e910bba1248e04abf1b9d91bf5bb3cc7b",
         "6e6f6e63616e6f6e6963616c2052",
         "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
         "656e8969085a911617750e9d0e5f8dd1398d8298192bb40b72800f295443750e"},
        {"plain good", KP_OK, "b076512cb9983376f27047e466b05c0e910bba1248e04abf1b9d91bf5bb3cc7b",
         "7320706c7573206c",
         "bf95a568682f381843a8cfdc89baf805ddfc3c01341e0aefdfbf5f4b2c7e7b56"
         "e76b54a59199c1eb74ac15c38efc68d414128d3ebe806e41c1291ef46b104306"},
        {"S+L", KP_E_PROTO, "b076512cb9983376f27047e466b05c0e910bba1248e04abf1b9d91bf5bb3cc7b",
         "7320706c7573206c",
         "bf95a568682f381843a8cfdc89baf805ddfc3c01341e0aefdfbf5f4b2c7e7b56"
         "d43f4a02acfcd3434b490d666df647e914128d3ebe806e41c1291ef46b104316"},
};

TEST_P(crypto, ed25519_edges_are_judged_as_stock_peers_do)
{
	for (auto &e : edges)
		EXPECT_EQ(verify(unhex(e.pub), unhex(e.msg), unhex(e.sig)), e.want) << e.name;
	EXPECT_EQ(KP_COUNT_OF(edges), 10u);
}

TEST_P(crypto, ed25519_same_verdict_as_openssl_for_mangled_signatures)
{
	const uint8_t any[32] = {8};
	kp_crypto *ossl = kp_crypto_new_ossl(any);
	for (auto &e : edges) {
		bytes pub = unhex(e.pub), msg = unhex(e.msg), sig = unhex(e.sig);
		kp_pubkey *mine = nullptr, *theirs = nullptr;
		ASSERT_EQ(ops->pubkey_new(c, KP_KEY_ED25519, view(pub), &mine), KP_OK);
		ASSERT_EQ(ossl->ops->pubkey_new(ossl, KP_KEY_ED25519, view(pub), &theirs), KP_OK);
		for (size_t bit = 0; bit < 512; bit += 7) {
			bytes bad = sig;
			bad[bit / 8] = static_cast<uint8_t>(bad[bit / 8] ^ (1u << (bit % 8)));
			EXPECT_EQ(ops->verify(mine, view(msg), view(bad)),
			          ossl->ops->verify(theirs, view(msg), view(bad)));
		}
		ops->pubkey_free(mine);
		ossl->ops->pubkey_free(theirs);
	}
	ossl->ops->free(ossl);
}

TEST_P(crypto, key_types_that_do_not_exist)
{
	kp_pubkey *k = nullptr;
	bytes data(32, 1);
	EXPECT_EQ(ops->pubkey_new(c, static_cast<kp_key_type>(4), view(data), &k), KP_E_PROTO);
	EXPECT_EQ(k, nullptr);
	ops->pubkey_free(nullptr);
}

/* Strict RSA DER: every change of a byte of the frame around the modulus is refused. */
TEST_P(crypto, rsa_frame_is_strict)
{
	bytes spki = unhex("30820122300d06092a864886f70d01010105000382010f003082010a0282010100");
	size_t head = spki.size();
	bytes modulus(256, 0xd5);
	spki.insert(spki.end(), modulus.begin(), modulus.end());
	for (uint8_t b : {0x02, 0x03, 0x01, 0x00, 0x01})
		spki.push_back(b);
	auto judge = [&](const bytes &data) {
		kp_pubkey *k = nullptr;
		kp_err r = ops->pubkey_new(c, KP_KEY_RSA, view(data), &k);
		ops->pubkey_free(k);
		return r;
	};
	EXPECT_EQ(judge(spki), KP_OK);
	for (size_t i = 0; i < head; i++)
		for (uint8_t flip : {0x01, 0x80, 0xff}) {
			if (i == head - 1 && flip == 1)
				continue; /* the sign byte: a modulus of 2,049 bits */
			bytes bad = spki;
			bad[i] = static_cast<uint8_t>(bad[i] ^ flip);
			EXPECT_EQ(judge(bad), KP_E_PROTO) << i;
		}
	for (size_t n = 0; n < spki.size(); n++)
		EXPECT_EQ(judge(bytes(spki.begin(), spki.begin() + static_cast<long>(n))),
		          KP_E_PROTO);
	bytes tail = spki;
	tail.push_back(0);
	EXPECT_EQ(judge(tail), KP_E_PROTO);
	bytes even = spki;
	even[head + 255] = 0xd4;
	EXPECT_EQ(judge(even), KP_E_PROTO);
	for (uint8_t e : {0x00, 0x02}) { /* 0x010000 and 0x010002 */
		bytes bad = spki;
		bad.back() = e;
		EXPECT_EQ(judge(bad), KP_E_PROTO);
	}
}

/* Sizes at the limits, built with minimal DER. */
TEST_P(crypto, rsa_size_limits)
{
	auto der = [](uint8_t tag, bytes body) {
		bytes out = {tag};
		if (body.size() >= 0x100) {
			out.push_back(0x82);
			out.push_back(static_cast<uint8_t>(body.size() >> 8));
		} else if (body.size() >= 0x80) {
			out.push_back(0x81);
		}
		out.push_back(static_cast<uint8_t>(body.size()));
		out.insert(out.end(), body.begin(), body.end());
		return out;
	};
	auto judge = [&](size_t bits, bytes e) {
		bytes n((bits + 7) / 8, 0xb7);
		n[0] = static_cast<uint8_t>(1u << ((bits - 1) % 8));
		if (n[0] & 0x80)
			n.insert(n.begin(), 0);
		bytes key = der(0x02, n), exp = der(0x02, e);
		key.insert(key.end(), exp.begin(), exp.end());
		bytes bits_body = der(0x30, key);
		bits_body.insert(bits_body.begin(), 0);
		bytes spki = unhex("300d06092a864886f70d0101010500");
		bytes bit_string = der(0x03, bits_body);
		spki.insert(spki.end(), bit_string.begin(), bit_string.end());
		spki = der(0x30, spki);
		kp_pubkey *k = nullptr;
		kp_err r = ops->pubkey_new(c, KP_KEY_RSA, view(spki), &k);
		ops->pubkey_free(k);
		return r;
	};
	const bytes f4 = {1, 0, 1};
	EXPECT_EQ(judge(512, f4), KP_E_PROTO);
	EXPECT_EQ(judge(2047, f4), KP_E_PROTO);
	EXPECT_EQ(judge(2048, f4), KP_OK);
	EXPECT_EQ(judge(2049, f4), KP_OK);
	EXPECT_EQ(judge(4096, f4), KP_OK);
	EXPECT_EQ(judge(8192, f4), KP_OK);
	EXPECT_EQ(judge(8193, f4), KP_E_PROTO);
	EXPECT_EQ(judge(16384, f4), KP_E_PROTO);
	EXPECT_EQ(judge(2048, {3}), KP_OK);
	EXPECT_EQ(judge(2048, {1}), KP_E_PROTO);
	EXPECT_EQ(judge(2048, {0}), KP_E_PROTO);
	EXPECT_EQ(judge(2048, {0x7f, 0xff, 0xff, 0xff}), KP_OK);
	EXPECT_EQ(judge(2048, {0x00, 0x80, 0x00, 0x00, 0x01}), KP_E_PROTO);
	EXPECT_EQ(judge(2048, {0x81, 0x01}), KP_E_PROTO);       /* negative */
	EXPECT_EQ(judge(2048, {0x00, 0x01, 0x01}), KP_E_PROTO); /* not minimal */
}

TEST_P(crypto, one_key_verifies_on_several_threads)
{
	if (GetParam() == backend::memo)
		GTEST_SKIP() << "the memo is for one thread";
	bytes seed(32, 0x31), pub(32), sig(64), msg(700, 1);
	ops->ed25519_public(seed.data(), pub.data());
	ops->ed25519_sign(seed.data(), pub.data(), view(msg), sig.data());
	kp_pubkey *k = nullptr;
	ASSERT_EQ(ops->pubkey_new(c, KP_KEY_ED25519, view(pub), &k), KP_OK);
	std::atomic<int> wrong{0};
	std::vector<std::thread> threads;
	for (int t = 0; t < 3; t++)
		threads.emplace_back([&] {
			bytes own(64), bad = sig;
			bad[3] ^= 1;
			for (int i = 0; i < 50; i++) {
				wrong += ops->verify(k, view(msg), view(sig)) != KP_OK;
				wrong += ops->verify(k, view(msg), view(bad)) != KP_E_PROTO;
				ops->ed25519_sign(seed.data(), pub.data(), view(msg), own.data());
				wrong += own != sig;
			}
		});
	for (auto &t : threads)
		t.join();
	EXPECT_EQ(wrong.load(), 0);
	ops->pubkey_free(k);
}

FOR_ALL_BACKENDS(crypto);

TEST(crypto_table, names_say_what_is_inside)
{
	const uint8_t seed[32] = {0};
	kp_crypto *a = kp_crypto_new_ossl(seed), *b = kp_crypto_new(seed);
	EXPECT_STREQ(a->ops->name, "openssl");
#ifdef KP2P_SODIUM
	EXPECT_STREQ(b->ops->name, "openssl+sodium");
#else
	EXPECT_STREQ(b->ops->name, "openssl");
#endif
	a->ops->free(a);
	b->ops->free(b);
	b = kp_crypto_new(seed);
	b->ops->free(nullptr);
	b->ops->free(b);
}

TEST(crypto_table, equal)
{
	EXPECT_TRUE(kp_crypto_equal("abc", "abc", 3));
	EXPECT_FALSE(kp_crypto_equal("abc", "abd", 3));
	EXPECT_TRUE(kp_crypto_equal("a", "b", 0));
}

TEST(crypto_memo, remembers_verdicts_across_nodes_and_forgets_nothing_that_matters)
{
	kp_verify_memo *memo = kp_verify_memo_new();
	const uint8_t one[32] = {1}, two[32] = {2};
	kp_crypto *a = kp_crypto_new_memo(one, memo), *b = kp_crypto_new_memo(two, memo);
	bytes seed(32, 0x31), pub(32), sig(64), msg(700, 1);
	a->ops->ed25519_public(seed.data(), pub.data());
	a->ops->ed25519_sign(seed.data(), pub.data(), view(msg), sig.data());
	kp_pubkey *ka = nullptr, *kb = nullptr;
	ASSERT_EQ(a->ops->pubkey_new(a, KP_KEY_ED25519, view(pub), &ka), KP_OK);
	ASSERT_EQ(b->ops->pubkey_new(b, KP_KEY_ED25519, view(pub), &kb), KP_OK);
	bytes bad = sig, other = msg;
	bad[0] ^= 1;
	other[0] ^= 1;
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(a->ops->verify(ka, view(msg), view(sig)), KP_OK);
		EXPECT_EQ(b->ops->verify(kb, view(msg), view(sig)), KP_OK);
		EXPECT_EQ(b->ops->verify(kb, view(msg), view(bad)), KP_E_PROTO);
		EXPECT_EQ(a->ops->verify(ka, view(other), view(sig)), KP_E_PROTO);
	}
	EXPECT_EQ(kp_verify_memo_count(memo), 3u);
	a->ops->pubkey_free(ka);
	b->ops->pubkey_free(kb);
	a->ops->free(a);
	b->ops->free(b);
	kp_verify_memo_free(memo);
	kp_verify_memo_free(nullptr);
}

} // namespace
