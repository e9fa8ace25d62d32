#include "wire/peer_id.h"

#include "wire/keys.h"
#include "wire/wire_test.h"

static std::string id_text(const kp_peer_id &id)
{
	char out[KP_PEER_ID_TEXT_MAX];
	size_t n = kp_peer_id_text(&id, out);
	EXPECT_EQ(out[n], '\0');
	return std::string(out, n);
}

/* All bytes 0xee, to see which ones a function leaves. */
static kp_peer_id id_filled()
{
	kp_peer_id id;
	memset(&id, 0xee, sizeof(id));
	return id;
}

static void expect_same_id_from_text(const std::string &text, const kp_peer_id &id)
{
	Exact exact(text);
	kp_peer_id out = id_filled();
	ASSERT_EQ(kp_peer_id_parse_text(exact.s(), &out), KP_OK) << text;
	EXPECT_TRUE(kp_peer_id_eq(&out, &id)) << text;
}

TEST(peer_id, vectors_keys)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("peer_id", "keys", 12)) {
		SCOPED_TRACE(c["name"].str());
		Exact pubkey(c["public_key"].bytes());
		Exact bytes(c["peer_id"].bytes());
		kp_peer_id id = id_filled(), parsed = id_filled();
		ASSERT_EQ(kp_peer_id_from_pubkey(pubkey.s(), sha256_openssl, &id), KP_OK);
		EXPECT_EQ(hex(kp_peer_id_slice(&id)), c["peer_id"].str());
		ASSERT_EQ(kp_peer_id_parse_bytes(bytes.s(), &parsed), KP_OK);
		EXPECT_TRUE(kp_peer_id_eq(&id, &parsed));
		EXPECT_EQ(memcmp(&id, &parsed, sizeof(id)), 0);

		EXPECT_EQ(id_text(id), c["base58"].str());
		expect_same_id_from_text(c["base58"].str(), id);
		expect_same_id_from_text(c["cidv1"].str(), id);
		expect_same_id_from_text(c["cidv1_base36"].str(), id);

		kp_slice inline_key;
		bool holds = kp_peer_id_inline_key(&id, &inline_key);
		EXPECT_EQ(holds, c["multihash"].str() == "identity");
		if (holds) {
			EXPECT_EQ(hex(inline_key), c["public_key"].str());
		}

		kp_key_pb key;
		ASSERT_EQ(kp_key_pb_parse_public(pubkey.s(), &key), KP_OK);
		EXPECT_EQ(hex(key.data), c["public_key_data"].str());
		EXPECT_STREQ(kp_key_type_text(key.type), c["key_type"].str().c_str());
		ran++;
	}
	EXPECT_EQ(ran, 12u);
}

TEST(peer_id, vectors_text_forms)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("peer_id", "text_forms", 2)) {
		SCOPED_TRACE(c["name"].str());
		Exact bytes(c["peer_id"].bytes());
		kp_peer_id id;
		ASSERT_EQ(kp_peer_id_parse_bytes(bytes.s(), &id), KP_OK);
		EXPECT_EQ(id_text(id), c["base58"].str());
		expect_same_id_from_text(c["base58"].str(), id);
		expect_same_id_from_text(c["cidv1"].str(), id);
		ran++;
	}
	EXPECT_EQ(ran, 2u);
}

static void expect_bytes_refused(const Json &c)
{
	SCOPED_TRACE(c["name"].str());
	Exact bytes(c["hex"].bytes());
	kp_peer_id id = id_filled(), before = id;
	EXPECT_EQ(kp_peer_id_parse_bytes(bytes.s(), &id), KP_E_PROTO);
	EXPECT_EQ(memcmp(&id, &before, sizeof(id)), 0);
}

TEST(peer_id, vectors_invalid_bytes)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("peer_id", "invalid_bytes", 12)) {
		expect_bytes_refused(c);
		ran++;
	}
	/* our choice: a sha2-256 digest has 32 bytes */
	for (const Json &c : vectors::list("peer_id", "disputed_bytes", 1)) {
		expect_bytes_refused(c);
		ran++;
	}
	EXPECT_EQ(ran, 13u);
}

TEST(peer_id, vectors_invalid_text)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("peer_id", "invalid_text", 14)) {
		SCOPED_TRACE(c["name"].str());
		Exact text(c["text"].str());
		kp_peer_id id = id_filled(), before = id;
		EXPECT_EQ(kp_peer_id_parse_text(text.s(), &id), KP_E_INVAL);
		EXPECT_EQ(memcmp(&id, &before, sizeof(id)), 0);
		ran++;
	}
	EXPECT_EQ(ran, 14u);
	EXPECT_EQ(vectors::list("peer_id", "disputed_text", 0).size(), 0u);
}

TEST(peer_id, every_other_multibase_of_the_same_cid)
{
	const Json &c = vectors::list("peer_id", "keys", 12)[size_t{0}];
	kp_peer_id id;
	ASSERT_EQ(kp_peer_id_parse_bytes(slice(c["peer_id"].bytes()), &id), KP_OK);
	expect_same_id_from_text("f0172" + c["peer_id"].str(), id);
	std::string upper = c["cidv1"].str();
	for (char &x : upper)
		x = static_cast<char>(toupper(x));
	expect_same_id_from_text(upper, id);
}

TEST(peer_id, long_and_odd_texts)
{
	kp_peer_id id;
	for (const std::string &text :
	     {std::string(80, '1'), std::string(5000, '1'), std::string(300, 'z'),
	      "b" + std::string(400, 'a'), std::string("Qm"), std::string("1"), std::string("Q"),
	      std::string("b"), std::string("k"), std::string("\0\0", 2), std::string("Qx"),
	      std::string("f01721199") /* a CID of no multihash that is an id */,
	      std::string("12D3KooW\xff")}) {
		Exact exact(text);
		EXPECT_EQ(kp_peer_id_parse_text(exact.s(), &id), KP_E_INVAL) << text;
	}
}

TEST(peer_id, longest_identity_has_the_longest_text)
{
	Bytes bytes = Bytes{0, 42} + Bytes(42, 0xff);
	kp_peer_id id;
	ASSERT_EQ(kp_peer_id_parse_bytes(slice(bytes), &id), KP_OK);
	EXPECT_EQ(id.n, 44);
	std::string text = id_text(id);
	EXPECT_LT(text.size(), static_cast<size_t>(KP_PEER_ID_TEXT_MAX));
	expect_same_id_from_text(text, id);
}

TEST(peer_id, nobody)
{
	kp_peer_id none = {}, some;
	ASSERT_EQ(kp_peer_id_parse_bytes(slice(Bytes{0, 1, 7}), &some), KP_OK);
	EXPECT_TRUE(kp_peer_id_none(&none));
	EXPECT_FALSE(kp_peer_id_none(&some));
	EXPECT_FALSE(kp_peer_id_eq(&none, &some));
	EXPECT_EQ(id_text(none), "");
	kp_slice key;
	EXPECT_FALSE(kp_peer_id_inline_key(&none, &key));
}

TEST(peer_id, only_strict_keys_make_ids)
{
	kp_peer_id id = id_filled(), before = id;
	/* an Ed25519 key with a padded length: would be a second id of the same peer */
	Bytes padded = unhex("080112a000") + Bytes(32, 1);
	EXPECT_EQ(kp_peer_id_from_pubkey(slice(padded), sha256_openssl, &id), KP_E_PROTO);
	EXPECT_EQ(memcmp(&id, &before, sizeof(id)), 0);
}
