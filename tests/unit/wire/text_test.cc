/* UTF-8 and JSON. */
#include "wire/json.h"
#include "wire/utf8.h"
#include "wire/wire_test.h"

TEST(utf8, valid)
{
	for (const char *text : {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
	                         "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
	                         "\xf4\x8f\xbf\xbf", "t\xc3\xb6pic"}) {
		Exact s{std::string(text)};
		EXPECT_TRUE(kp_utf8_valid(s.s())) << text;
	}
	EXPECT_TRUE(kp_utf8_valid(kp_slice_none()));
	EXPECT_EQ(kp_utf8_first(kp_slice_none()), 0u);
	EXPECT_TRUE(kp_utf8_valid(kp_slice_of("\0", 1)));
}

TEST(utf8, invalid)
{
	static const struct {
		const char *bytes, *why;
	} rows[] = {
	        {"\x80", "continuation alone"},
	        {"\xbf", "continuation alone"},
	        {"\xc0\x80", "overlong 2"},
	        {"\xc1\xbf", "overlong 2"},
	        {"\xe0\x9f\xbf", "overlong 3"},
	        {"\xf0\x8f\xbf\xbf", "overlong 4"},
	        {"\xed\xa0\x80", "surrogate"},
	        {"\xed\xbf\xbf", "surrogate"},
	        {"\xf4\x90\x80\x80", "too high"},
	        {"\xf5\x80\x80\x80", "too high"},
	        {"\xff", "never"},
	        {"\xfe", "never"},
	        {"\xc3", "cut 2"},
	        {"\xe2\x82", "cut 3"},
	        {"\xf0\x9f\x98", "cut 4"},
	        {"\xc3(", "no continuation"},
	        {"\xe2\x82(", "no continuation"},
	};
	for (const auto &row : rows) {
		Exact s{std::string(row.bytes)};
		EXPECT_FALSE(kp_utf8_valid(s.s())) << row.why;
		EXPECT_EQ(kp_utf8_first(s.s()), 0u) << row.why;
	}
}

/* Every sequence of two bytes, against the definition by code points. */
TEST(utf8, all_pairs)
{
	for (unsigned a = 0; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			uint8_t s[2] = {static_cast<uint8_t>(a), static_cast<uint8_t>(b)};
			bool two_ascii = a < 0x80 && b < 0x80;
			bool one = a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf;
			EXPECT_EQ(kp_utf8_valid(kp_slice_of(s, 2)), two_ascii || one)
			        << a << " " << b;
		}
	}
}

static std::string json(const std::string &s)
{
	Exact exact(s);
	return text_of(written([&](kp_writer *w) { kp_json_str(w, exact.s()); }));
}

TEST(json, strings)
{
	EXPECT_EQ(json(""), "\"\"");
	EXPECT_EQ(json("abc"), "\"abc\"");
	EXPECT_EQ(json("a\"b\\c/"), "\"a\\\"b\\\\c/\"");
	EXPECT_EQ(json("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\"");
	EXPECT_EQ(json(std::string("\0\x01\x1f\x7f", 4)), "\"\\u0000\\u0001\\u001f\\u007f\"");
	EXPECT_EQ(json("t\xc3\xb6pic \xf0\x9f\x98\x80"), "\"t\xc3\xb6pic \xf0\x9f\x98\x80\"");
	EXPECT_EQ(json("a\xff\xc3"), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
	EXPECT_EQ(json("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	EXPECT_EQ(text_of(written([](kp_writer *w) { kp_json_str(w, kp_slice_none()); })), "null");
}

/* Whatever goes in, a JSON parser gets a string out, and of valid UTF-8 the same. */
TEST(json, any_two_bytes_make_valid_json)
{
	for (unsigned a = 0; a < 256; a++) {
		for (unsigned b = 0; b < 256; b += 5) {
			std::string s = {static_cast<char>(a), static_cast<char>(b)};
			Json back = vectors::parse(json(s));
			if (kp_utf8_valid(slice(s))) {
				EXPECT_EQ(back.str(), s);
			}
			EXPECT_TRUE(kp_utf8_valid(slice(back.str())));
		}
	}
}

TEST(json, numbers)
{
	auto u64 = [](uint64_t v) {
		return text_of(written([&](kp_writer *w) { kp_json_u64(w, v); }));
	};
	auto i64 = [](int64_t v) {
		return text_of(written([&](kp_writer *w) { kp_json_i64(w, v); }));
	};
	EXPECT_EQ(u64(0), "0");
	EXPECT_EQ(u64(10), "10");
	EXPECT_EQ(u64(UINT64_MAX), "18446744073709551615");
	EXPECT_EQ(i64(0), "0");
	EXPECT_EQ(i64(-1), "-1");
	EXPECT_EQ(i64(INT64_MAX), "9223372036854775807");
	EXPECT_EQ(i64(INT64_MIN), "-9223372036854775808");
}

TEST(json, an_object)
{
	Bytes out = written([](kp_writer *w) {
		bool first = true, inner = true;
		kp_write_u8(w, '{');
		kp_json_key(w, &first, "a");
		kp_json_bool(w, true);
		kp_json_key(w, &first, "b\"");
		kp_json_base64(w, kp_slice_str("fo"));
		kp_json_key(w, &first, "c");
		kp_write_u8(w, '[');
		kp_json_sep(w, &inner);
		kp_json_bool(w, false);
		kp_json_sep(w, &inner);
		kp_json_hex(w, kp_slice_of("\x00\xfe", 2));
		kp_write_u8(w, ']');
		kp_json_key(w, &first, "d");
		kp_json_base64(w, kp_slice_none());
		kp_json_key(w, &first, "e");
		kp_json_hex(w, kp_slice_none());
		kp_write_u8(w, '}');
	});
	EXPECT_EQ(text_of(out),
	          "{\"a\":true,\"b\\\"\":\"Zm8=\",\"c\":[false,\"00fe\"],\"d\":null,\"e\":null}");
}
