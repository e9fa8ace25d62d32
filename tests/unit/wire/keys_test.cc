#include "wire/keys.h"

#include <set>

#include "wire/wire_test.h"

static Bytes key_written(const kp_key_pb &k)
{
	Bytes out = written([&](kp_writer *w) { kp_key_pb_write(w, k.type, k.data); });
	EXPECT_EQ(out.size(), kp_key_pb_size(k.type, k.data.n));
	return out;
}

TEST(keys, vectors_keys)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("private_key_protobuf", "keys", 9)) {
		SCOPED_TRACE(c["name"].str());
		Exact priv(c["private_key"].bytes()), pub(c["public_key"].bytes());
		kp_key_pb k;
		ASSERT_EQ(kp_key_pb_parse_private(priv.s(), &k), KP_OK);
		EXPECT_STREQ(kp_key_type_text(k.type), c["key_type"].str().c_str());
		EXPECT_EQ(hex(k.data), c["private_key_data"].str());
		EXPECT_EQ(hex(key_written(k)), c["private_key"].str());
		ASSERT_EQ(kp_key_pb_parse_public(pub.s(), &k), KP_OK);
		EXPECT_STREQ(kp_key_type_text(k.type), c["key_type"].str().c_str());
		EXPECT_EQ(hex(key_written(k)), c["public_key"].str());
		ran++;
	}
	EXPECT_EQ(ran, 9u);
}

TEST(keys, vectors_old_form)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("private_key_protobuf", "old_forms", 1)) {
		Exact priv(c["private_key"].bytes());
		kp_key_pb k;
		ASSERT_EQ(kp_key_pb_parse_private(priv.s(), &k), KP_OK);
		EXPECT_EQ(k.data.n, 64u);
		EXPECT_EQ(hex(key_written(k)), c["reencoded"].str());
		ran++;
	}
	EXPECT_EQ(ran, 1u);
}

using Parse = kp_err (*)(kp_slice, kp_key_pb *);

/* Every case of the list is refused, but for those whose fault only arithmetic or DER shows. */
static size_t refuse(const Json &cases, Parse parse, const std::set<std::string> &for_crypto)
{
	size_t ran = 0, passed = 0;
	for (const Json &c : cases) {
		SCOPED_TRACE(c["name"].str());
		Exact bytes(c["hex"].bytes());
		kp_key_pb k = {KP_KEY_RSA, kp_slice_none()};
		bool crypto = for_crypto.count(c["name"].str()) > 0;
		EXPECT_EQ(parse(bytes.s(), &k), crypto ? KP_OK : KP_E_PROTO);
		if (!crypto) {
			EXPECT_EQ(k.data.p, nullptr);
		}
		passed += crypto;
		ran++;
	}
	EXPECT_EQ(passed, for_crypto.size());
	return ran;
}

TEST(keys, vectors_invalid_private)
{
	EXPECT_EQ(refuse(vectors::list("private_key_protobuf", "invalid_private", 16),
	                 kp_key_pb_parse_private,
	                 {"Secp256k1 zero", "Secp256k1 group order", "ECDSA garbage", "RSA cut",
	                  "RSA 1024 bits"}),
	          16u);
	EXPECT_EQ(refuse(vectors::list("private_key_protobuf", "disputed_private", 1),
	                 kp_key_pb_parse_private, {"Ed25519 64 bytes, wrong public half"}),
	          1u);
}

TEST(keys, vectors_invalid_public)
{
	EXPECT_EQ(refuse(vectors::list("private_key_protobuf", "invalid_public", 15),
	                 kp_key_pb_parse_public,
	                 {"Secp256k1 not on the curve", "ECDSA cut", "ECDSA point not on the curve",
	                  "RSA cut", "RSA data is an Ed25519 key"}),
	          15u);
	EXPECT_EQ(refuse(vectors::list("private_key_protobuf", "disputed_public", 1),
	                 kp_key_pb_parse_public, {"RSA 1024 bits"}),
	          1u);
}

TEST(keys, only_the_deterministic_form)
{
	std::string data = hex(Bytes(32, 7));
	static const struct {
		const char *before, *after, *why;
	} rows[] = {
	        {"08811220", "", "type padded"},
	        {"0881001220", "", "type padded"},
	        {"080112a000", "", "length padded"},
	        {"8800011220", "", "tag padded"},
	        {"08011220", "1800", "unknown field behind"},
	        {"180008011220", "", "unknown field before"},
	        {"080008011220", "", "type twice"},
	        {"0800120008011220", "", "another key before"},
	        {"08011220", "0801", "type again behind"},
	        {"0801", "", "no data"},
	        {"08011020", "", "data is a number"},
	        {"0a010112", "", "type is bytes"},
	        {"08041220", "", "type 4"},
	        {"08ffffffffffffffffff011220", "", "type -1"},
	};
	for (const auto &row : rows) {
		SCOPED_TRACE(row.why);
		Exact bytes(unhex(std::string(row.before) + data + row.after));
		kp_key_pb k;
		EXPECT_EQ(kp_key_pb_parse_public(bytes.s(), &k), KP_E_PROTO);
	}
	/* data before type */
	kp_key_pb k;
	EXPECT_EQ(kp_key_pb_parse_public(slice(unhex("1220" + data + "0801")), &k), KP_E_PROTO);
	EXPECT_EQ(kp_key_pb_parse_public(slice(unhex("08011220" + data)), &k), KP_OK);
}

/* Only 64 bytes, and 96 with equal halves, however much the rest looks like the old form. */
TEST(keys, private_ed25519_lengths)
{
	for (size_t n = 0; n <= 130; n++) {
		Bytes data(n, 7);
		Bytes pb = key_written({KP_KEY_ED25519, slice(data)});
		kp_key_pb k;
		EXPECT_EQ(kp_key_pb_parse_private(slice(pb), &k),
		          n == 64 || n == 96 ? KP_OK : KP_E_PROTO)
		        << n;
	}
}

TEST(keys, der_sizes_are_bounded)
{
	for (kp_key_type type : {KP_KEY_RSA, KP_KEY_ECDSA}) {
		for (size_t n : {size_t{0}, size_t{1}, size_t{KP_PUBKEY_DATA_MAX},
		                 size_t{KP_PUBKEY_DATA_MAX} + 1, size_t{KP_PRIVKEY_DATA_MAX},
		                 size_t{KP_PRIVKEY_DATA_MAX} + 1}) {
			Bytes data(n, 0x30);
			Bytes pb = key_written({type, slice(data)});
			kp_key_pb k;
			EXPECT_EQ(kp_key_pb_parse_public(slice(pb), &k),
			          n > 0 && n <= KP_PUBKEY_DATA_MAX ? KP_OK : KP_E_PROTO);
			EXPECT_EQ(kp_key_pb_parse_private(slice(pb), &k),
			          n > 0 && n <= KP_PRIVKEY_DATA_MAX ? KP_OK : KP_E_PROTO);
		}
	}
}
