#include "wire/varint.h"

#include "wire/wire_test.h"

TEST(varint, vectors_valid)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("uvarint", "valid", 31)) {
		SCOPED_TRACE(c["name"].str());
		uint64_t value = c["value"].u64();
		Bytes bytes = c["hex"].bytes();
		EXPECT_EQ(hex(written([&](kp_writer *w) { kp_varint_write(w, value); })),
		          hex(bytes));
		EXPECT_EQ(kp_varint_size(value), bytes.size());

		Exact longer(bytes + Bytes{0x55});
		kp_slice in = longer.s();
		uint64_t v = ~value;
		ASSERT_EQ(kp_varint_read(&in, &v), KP_OK);
		EXPECT_EQ(v, value);
		EXPECT_EQ(in.n, 1u);

		for (size_t cut = 0; cut < bytes.size(); cut++) {
			Exact part(Bytes(bytes.begin(), bytes.begin() + static_cast<long>(cut)));
			in = part.s();
			EXPECT_EQ(kp_varint_read(&in, &v), KP_E_AGAIN);
			EXPECT_EQ(in.n, cut);
		}
		ran++;
	}
	EXPECT_EQ(ran, 31u);
}

TEST(varint, vectors_invalid)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("uvarint", "invalid", 18)) {
		SCOPED_TRACE(c["name"].str());
		Exact bytes(c["hex"].bytes());
		/* nine bytes that all say "more" cannot become a uvarint any more */
		bool more = c["why"].str() == "truncated" && bytes.s().n < KP_VARINT_MAX_SIZE;
		kp_slice in = bytes.s();
		uint64_t v = 7;
		EXPECT_EQ(kp_varint_read(&in, &v), more ? KP_E_AGAIN : KP_E_PROTO);
		EXPECT_EQ(in.p, bytes.s().p);
		EXPECT_EQ(in.n, bytes.s().n);
		EXPECT_EQ(v, 7u);
		ran++;
	}
	EXPECT_EQ(ran, 18u);
}

TEST(varint, says_proto_as_soon_as_it_shows)
{
	Bytes bytes(9, 0x80);
	for (size_t n = 0; n <= bytes.size(); n++) {
		kp_slice in = kp_slice_of(bytes.data(), n);
		uint64_t v;
		EXPECT_EQ(kp_varint_read(&in, &v), n == 9 ? KP_E_PROTO : KP_E_AGAIN) << n;
	}
}

TEST(varint, writes_64_bits_for_protobuf)
{
	Bytes out = written([](kp_writer *w) { kp_varint_write(w, UINT64_MAX); });
	EXPECT_EQ(hex(out), "ffffffffffffffffff01");
	EXPECT_EQ(kp_varint_size(UINT64_MAX), 10u);
	EXPECT_EQ(kp_varint_size(KP_VARINT_MAX_VALUE), KP_VARINT_MAX_SIZE);
}
