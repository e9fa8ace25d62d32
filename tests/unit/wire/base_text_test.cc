/* base58, base36, base32, base64 and multibase. */
#include "wire/base32.h"
#include "wire/base58.h"
#include "wire/base64.h"
#include "wire/multibase.h"
#include "wire/wire_test.h"

static std::string base58(const Bytes &b)
{
	char out[KP_BASE58_TEXT_MAX];
	size_t n = kp_base58_encode(slice(b), out, sizeof(out));
	return std::string(out, n);
}

/* Decodes into exactly sized heap space; "!" and the code when refused. */
template <typename F>
static std::string decoded(F f, const std::string &text, size_t cap = 256)
{
	Exact exact(text);
	Bytes out(cap);
	uint8_t none;
	size_t n = 12345;
	kp_err err = f(exact.s(), cap > 0 ? out.data() : &none, cap, &n);
	if (err != KP_OK) {
		EXPECT_EQ(n, 12345u);
		return "!" + std::to_string(err);
	}
	EXPECT_LE(n, cap);
	return hex(out.data(), n);
}

static const std::string inval = "!" + std::to_string(KP_E_INVAL);
static const std::string toobig = "!" + std::to_string(KP_E_TOOBIG);

TEST(base58, known_texts)
{
	static const struct {
		const char *hex, *text;
	} rows[] = {
	        {"00", "1"},
	        {"0000", "11"},
	        {"61", "2g"},
	        {"626262", "a3gV"},
	        {"636363", "aPEr"},
	        {"00010966776006953d5567439e5e39f86a0d273beed61967f6",
	         "16UwLL9Risc3QfPqBUvKofHmBQ7wMtjvM"},
	        {"516b6fcd0f", "ABnLTmg"},
	        {"00000000000000000000", "1111111111"},
	        {"0000287fb4cd", "11233QC4"},
	};
	for (const auto &row : rows) {
		EXPECT_EQ(base58(unhex(row.hex)), row.text);
		EXPECT_EQ(decoded(kp_base58_decode, row.text), row.hex);
	}
	EXPECT_EQ(base58({}), "");
}

TEST(base58, bad_input)
{
	EXPECT_EQ(decoded(kp_base58_decode, ""), inval);
	for (char c : std::string("0OIl +/_-\n\xff\0", 12))
		EXPECT_EQ(decoded(kp_base58_decode, std::string("2g") + c), inval) << int(c);
	EXPECT_EQ(decoded(kp_base58_decode, std::string(201, '1')), toobig);
	EXPECT_EQ(decoded(kp_base58_decode, std::string(200, 'z')), toobig);
	EXPECT_EQ(decoded(kp_base58_decode, "a3gV", 3), "626262");
	EXPECT_EQ(decoded(kp_base58_decode, "a3gV", 2), toobig);
	EXPECT_EQ(decoded(kp_base58_decode, "11", 1), toobig);
	EXPECT_EQ(decoded(kp_base58_decode, "1", 0), toobig);
}

TEST(base58, all_lengths_round_trip)
{
	for (size_t n = 1; n <= KP_BASE58_BYTES_MAX; n++) {
		for (uint8_t fill : {0x00, 0x01, 0x7f, 0xff}) {
			Bytes b(n, fill);
			std::string text = base58(b);
			ASSERT_FALSE(text.empty());
			ASSERT_LE(text.size(), KP_BASE58_TEXT_MAX);
			EXPECT_EQ(decoded(kp_base58_decode, text, n), hex(b));
			Bytes small(text.size() - 1);
			EXPECT_EQ(kp_base58_encode(slice(b), reinterpret_cast<char *>(small.data()),
			                           small.size()),
			          0u);
		}
	}
}

TEST(base36, known_texts)
{
	EXPECT_EQ(decoded(kp_base36_decode, "0"), "00");
	EXPECT_EQ(decoded(kp_base36_decode, "z"), "23");
	EXPECT_EQ(decoded(kp_base36_decode, "Z"), "23");
	EXPECT_EQ(decoded(kp_base36_decode, "00zz"), "0000050f");
	EXPECT_EQ(decoded(kp_base36_decode, "-"), inval);
	EXPECT_EQ(decoded(kp_base36_decode, ""), inval);
}

/* RFC 4648, section 10, lower case and without padding. */
TEST(base32, rfc_texts)
{
	static const struct {
		const char *plain, *text;
	} rows[] = {{"", ""},
	            {"f", "my"},
	            {"fo", "mzxq"},
	            {"foo", "mzxw6"},
	            {"foob", "mzxw6yq"},
	            {"fooba", "mzxw6ytb"},
	            {"foobar", "mzxw6ytboi"}};
	for (const auto &row : rows) {
		std::string plain = row.plain, text = row.text;
		Bytes out = written([&](kp_writer *w) { kp_base32_write(w, slice(plain)); });
		EXPECT_EQ(text_of(out), text);
		EXPECT_EQ(text.size(), KP_BASE32_TEXT_SIZE(plain.size()));
		EXPECT_EQ(plain.size(), KP_BASE32_BYTES_SIZE(text.size()));
		EXPECT_EQ(decoded(kp_base32_decode, text, plain.size()), hex(bytes_of(plain)));
		for (char &c : text)
			c = static_cast<char>(toupper(c));
		EXPECT_EQ(decoded(kp_base32_decode, text, plain.size()), hex(bytes_of(plain)));
	}
}

TEST(base32, bad_input)
{
	for (const char *text : {"m", "mzx", "mzxw6y", "my======", "mz", "mzxr", "mzxw7", "0y",
	                         "1y", "8y", "9y", "m ", "m\xff"})
		EXPECT_EQ(decoded(kp_base32_decode, text), inval) << text;
	EXPECT_EQ(decoded(kp_base32_decode, "mzxw6", 2), toobig);
}

TEST(base64, rfc_texts)
{
	static const struct {
		const char *plain, *text;
	} rows[] = {{"", ""},
	            {"f", "Zg=="},
	            {"fo", "Zm8="},
	            {"foo", "Zm9v"},
	            {"foob", "Zm9vYg=="},
	            {"fooba", "Zm9vYmE="},
	            {"foobar", "Zm9vYmFy"}};
	for (const auto &row : rows) {
		std::string plain = row.plain, text = row.text;
		std::string bare = text.substr(0, text.find('='));
		for (kp_base64_form form :
		     {KP_BASE64_STD, KP_BASE64_STD_BARE, KP_BASE64_URL_BARE}) {
			const std::string &want = form == KP_BASE64_STD ? text : bare;
			Bytes out = written(
			        [&](kp_writer *w) { kp_base64_write(w, form, slice(plain)); });
			EXPECT_EQ(text_of(out), want);
			auto decode = [&](kp_slice s, uint8_t *p, size_t cap, size_t *n) {
				return kp_base64_decode(form, s, p, cap, n);
			};
			EXPECT_EQ(decoded(decode, want, plain.size()), hex(bytes_of(plain)));
		}
		EXPECT_EQ(KP_BASE64_TEXT_SIZE(plain.size()), text.size());
	}
}

TEST(base64, alphabets)
{
	Bytes b = unhex("fbefbeffffff");
	auto text = [&](kp_base64_form form) {
		return text_of(written([&](kp_writer *w) { kp_base64_write(w, form, slice(b)); }));
	};
	EXPECT_EQ(text(KP_BASE64_STD), "++++////");
	EXPECT_EQ(text(KP_BASE64_URL_BARE), "----____");
	uint8_t out[6];
	size_t n;
	EXPECT_EQ(kp_base64_decode(KP_BASE64_STD, kp_slice_str("----____"), out, 6, &n),
	          KP_E_INVAL);
	EXPECT_EQ(kp_base64_decode(KP_BASE64_URL_BARE, kp_slice_str("++++////"), out, 6, &n),
	          KP_E_INVAL);
	ASSERT_EQ(kp_base64_decode(KP_BASE64_URL_BARE, kp_slice_str("----____"), out, 6, &n),
	          KP_OK);
	EXPECT_EQ(hex(out, n), hex(b));
}

TEST(base64, bad_input)
{
	auto std_form = [](kp_slice s, uint8_t *p, size_t cap, size_t *n) {
		return kp_base64_decode(KP_BASE64_STD, s, p, cap, n);
	};
	auto bare_form = [](kp_slice s, uint8_t *p, size_t cap, size_t *n) {
		return kp_base64_decode(KP_BASE64_URL_BARE, s, p, cap, n);
	};
	for (const char *text : {"Z", "Zg", "Zg=", "Zg===", "====", "===", "==", "=", "Zh==",
	                         "Zm9=", "Zm9v\n", " Zm9", "Zm=v", "Z===", "Zm9vZ===", "Zm9\xff"})
		EXPECT_EQ(decoded(std_form, text), inval) << text;
	for (const char *text : {"Z", "Zh", "Zm9", "Zg==", "Zm9vZ"})
		EXPECT_EQ(decoded(bare_form, text), inval) << text;
	EXPECT_EQ(decoded(std_form, "Zm9v", 2), toobig);
}

TEST(multibase, every_base)
{
	for (const char *text : {"f626262", "F626262", "bmjrge", "BMJRGE", "k3u736", "K3U736",
	                         "za3gV", "mYmJi", "uYmJi"})
		EXPECT_EQ(decoded(kp_multibase_decode, text, 3), "626262") << text;
	EXPECT_EQ(decoded(kp_multibase_decode, "f"), "");
	EXPECT_EQ(decoded(kp_multibase_decode, "u"), "");
}

TEST(multibase, bad_input)
{
	for (const char *text :
	     {"", "x00", "f6", "fxy", "f0g", "b1", "k", "z", "z0", "u=", "M", "Uxx", "\xff"})
		EXPECT_EQ(decoded(kp_multibase_decode, text), inval) << text;
	EXPECT_EQ(decoded(kp_multibase_decode, "f626262", 2), toobig);
}
