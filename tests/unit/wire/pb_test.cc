#include "wire/pb.h"

#include "wire/wire_test.h"

TEST(pb, varint_vectors_valid)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("uvarint", "protobuf_varint_valid", 7)) {
		SCOPED_TRACE(c["name"].str());
		Exact bytes(c["hex"].bytes());
		kp_slice in = bytes.s();
		uint64_t v = 99;
		ASSERT_EQ(kp_pb_read_varint(&in, &v), KP_OK);
		EXPECT_EQ(v, c["value"].u64());
		EXPECT_EQ(in.n, 0u);
		ran++;
	}
	EXPECT_EQ(ran, 7u);
}

TEST(pb, varint_vectors_invalid)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("uvarint", "protobuf_varint_invalid", 5)) {
		SCOPED_TRACE(c["name"].str());
		Exact bytes(c["hex"].bytes());
		kp_slice in = bytes.s();
		uint64_t v = 99;
		EXPECT_EQ(kp_pb_read_varint(&in, &v), KP_E_PROTO);
		EXPECT_EQ(v, 99u);
		EXPECT_EQ(in.n, bytes.s().n);
		ran++;
	}
	EXPECT_EQ(ran, 5u);
}

TEST(pb, every_wire_type)
{
	Exact bytes(unhex("0896011102000000000000001a03616263"
	                  "25ffffffff"
	                  "d22900"));
	kp_slice in = bytes.s();
	kp_pb_field f;
	kp_err err = KP_E_PROTO;

	ASSERT_TRUE(kp_pb_next(&in, &f, &err));
	EXPECT_EQ(f.number, 1u);
	EXPECT_EQ(f.type, KP_PB_VARINT);
	EXPECT_EQ(f.value, 150u);
	EXPECT_EQ(f.bytes.p, nullptr);

	ASSERT_TRUE(kp_pb_next(&in, &f, &err));
	EXPECT_EQ(f.number, 2u);
	EXPECT_EQ(f.type, KP_PB_FIXED64);
	EXPECT_EQ(f.value, 2u);

	ASSERT_TRUE(kp_pb_next(&in, &f, &err));
	EXPECT_EQ(f.number, 3u);
	EXPECT_EQ(f.type, KP_PB_LEN);
	EXPECT_EQ(text_of(f.bytes), "abc");
	EXPECT_EQ(f.value, 0u);

	ASSERT_TRUE(kp_pb_next(&in, &f, &err));
	EXPECT_EQ(f.number, 4u);
	EXPECT_EQ(f.type, KP_PB_FIXED32);
	EXPECT_EQ(f.value, 0xffffffffu);

	ASSERT_TRUE(kp_pb_next(&in, &f, &err));
	EXPECT_EQ(f.number, 666u);
	EXPECT_EQ(f.bytes.n, 0u);
	EXPECT_NE(f.bytes.p, nullptr); /* empty is not missing */

	EXPECT_FALSE(kp_pb_next(&in, &f, &err));
	EXPECT_EQ(err, KP_OK);
}

TEST(pb, bad_input)
{
	static const struct {
		const char *hex, *why;
	} rows[] = {
	        {"00", "field number 0, varint"},
	        {"0200", "field number 0, bytes"},
	        {"0b00", "group start"},
	        {"0c00", "group end"},
	        {"0e00", "wire type 6"},
	        {"0f00", "wire type 7"},
	        {"80808080100800", "field number 2^29"},
	        {"ffffffffffffffffff01", "tag of 64 bits"},
	        {"80", "tag cut"},
	        {"08", "varint missing"},
	        {"0880", "varint cut"},
	        {"08ffffffffffffffffff02", "varint over 64 bits"},
	        {"0880808080808080808080", "varint of 11 bytes"},
	        {"0900000000000000", "fixed64 cut"},
	        {"0d000000", "fixed32 cut"},
	        {"0a", "length missing"},
	        {"0a0261", "length past the end"},
	        {"0a80808080808080801061", "length 2^60"},
	        {"0affffffffffffffffff0161", "length 2^64-1"},
	};
	for (const auto &row : rows) {
		SCOPED_TRACE(row.why);
		Exact bytes(unhex(row.hex));
		kp_slice in = bytes.s();
		kp_pb_field f;
		kp_err err = KP_OK;
		EXPECT_FALSE(kp_pb_next(&in, &f, &err));
		EXPECT_EQ(err, KP_E_PROTO);
		EXPECT_EQ(in.n, bytes.s().n);
		EXPECT_EQ(kp_pb_check(bytes.s()), KP_E_PROTO);
		EXPECT_EQ(kp_pb_check(slice(unhex("0801") + unhex(row.hex))), KP_E_PROTO);
	}
	EXPECT_EQ(kp_pb_check(kp_slice_none()), KP_OK);
}

TEST(pb, largest_field_number)
{
	Exact bytes(unhex("f8ffffff0f01"));
	kp_slice in = bytes.s();
	kp_pb_field f;
	kp_err err;
	ASSERT_TRUE(kp_pb_next(&in, &f, &err));
	EXPECT_EQ(f.number, (1u << 29) - 1);
}

TEST(pb, next_bytes_finds_only_its_number)
{
	Exact bytes(unhex("0801120161120019000000000000000012026263"));
	kp_slice rest = bytes.s(), out;
	kp_err err;
	std::string seen;
	while (kp_pb_next_bytes(&rest, 2, &out, &err))
		seen += "[" + text_of(out) + "]";
	EXPECT_EQ(err, KP_OK);
	EXPECT_EQ(seen, "[a][][bc]");

	Exact wrong(unhex("1001"));
	rest = wrong.s();
	EXPECT_FALSE(kp_pb_next_bytes(&rest, 2, &out, &err));
	EXPECT_EQ(err, KP_E_PROTO);
	rest = wrong.s();
	EXPECT_FALSE(kp_pb_next_bytes(&rest, 3, &out, &err));
	EXPECT_EQ(err, KP_OK);
}

TEST(pb, writers_and_sizes_agree)
{
	Bytes data(200, 0xab);
	EXPECT_EQ(hex(written([](kp_writer *w) { kp_pb_write_varint(w, 1, 150); })), "089601");
	EXPECT_EQ(kp_pb_size_varint(1, 150), 3u);
	EXPECT_EQ(hex(written([](kp_writer *w) { kp_pb_write_bytes(w, 16, kp_slice_str("ab")); })),
	          "8201026162");
	EXPECT_EQ(kp_pb_size_bytes(16, 2), 5u);
	EXPECT_EQ(written([&](kp_writer *w) { kp_pb_write_bytes(w, 2, slice(data)); }).size(),
	          kp_pb_size_bytes(2, 200));
	EXPECT_EQ(hex(written([](kp_writer *w) { kp_pb_write_tag_len(w, 3, 300); })), "1aac02");
	EXPECT_EQ(kp_pb_size_tag_len(3, 300), 3u);
}

TEST(pb, opt_tells_missing_from_empty)
{
	EXPECT_EQ(hex(written([](kp_writer *w) { kp_pb_write_opt(w, 2, kp_slice_none()); })), "");
	EXPECT_EQ(hex(written([](kp_writer *w) { kp_pb_write_opt(w, 2, kp_slice_of("", 0)); })),
	          "1200");
	EXPECT_EQ(kp_pb_size_opt(2, kp_slice_none()), 0u);
	EXPECT_EQ(kp_pb_size_opt(2, kp_slice_of("", 0)), 2u);
}
