#include "wire/msgid.h"

#include "wire/wire_test.h"

static std::string karak(const Bytes &data)
{
	Exact exact(data);
	uint8_t out[KP_MSGID_KARAK_MAX];
	size_t n = kp_msgid_karak(exact.s(), out);
	return std::string(out, out + n);
}

TEST(msgid, vectors_karak)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("message_id", "karak_siphash", 22)) {
		SCOPED_TRACE(c["name"].str());
		Bytes data = c["data"].bytes();
		EXPECT_EQ(data.size(), c["length"].u64());
		EXPECT_EQ(karak(data), c["id_text"].str());
		EXPECT_EQ(hex(bytes_of(karak(data))), c["id"].str());
		ran++;
	}
	EXPECT_EQ(ran, 22u);
}

TEST(msgid, vectors_wrong_results)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("message_id", "wrong_results", 3)) {
		EXPECT_NE(karak(c["data"].bytes()), c["id_text"].str()) << c["name"].str();
		ran++;
	}
	EXPECT_EQ(ran, 3u);
}

TEST(msgid, vectors_from_seqno)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("message_id", "from_seqno", 6)) {
		SCOPED_TRACE(c["name"].str());
		Bytes from = c["from"].bytes(), seqno = c["seqno"].bytes();
		Bytes id = written(
		        [&](kp_writer *w) { kp_msgid_from_seqno(w, slice(from), slice(seqno)); });
		EXPECT_EQ(hex(id), c["id"].str());
		ran++;
	}
	EXPECT_EQ(ran, 6u);
	EXPECT_EQ(written([](kp_writer *w) {
		          kp_msgid_from_seqno(w, kp_slice_none(), kp_slice_none());
	          }).size(),
	          0u);
}

TEST(msgid, vectors_sha256)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("message_id", "sha256", 4)) {
		SCOPED_TRACE(c["name"].str());
		Bytes data = c["data"].bytes();
		uint8_t digest[32];
		sha256_openssl(slice(data).p, data.size(), digest);
		EXPECT_EQ(hex(written([&](kp_writer *w) { kp_msgid_sha256(w, digest); })),
		          c["id"].str());
		ran++;
	}
	EXPECT_EQ(ran, 4u);
}

TEST(msgid, karak_of_a_missing_payload_is_that_of_an_empty_one)
{
	uint8_t out[KP_MSGID_KARAK_MAX];
	size_t n = kp_msgid_karak(kp_slice_none(), out);
	EXPECT_EQ(std::string(out, out + n), "13646096770106105413");
}
