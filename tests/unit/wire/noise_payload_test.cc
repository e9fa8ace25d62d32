#include "wire/noise_payload.h"

#include "wire/keys.h"
#include "wire/wire_test.h"

static std::vector<std::string> muxers_of(const kp_noise_payload &p)
{
	kp_noise_muxers walk = p.muxers;
	kp_slice name;
	std::vector<std::string> out;
	while (kp_noise_next_muxer(&walk, &name))
		out.push_back(text_of(name));
	return out;
}

static std::vector<std::string> texts_of(const Json &list)
{
	std::vector<std::string> out;
	for (const Json &item : list)
		out.push_back(item.str());
	return out;
}

static void expect_payload(const std::string &hex_payload, const Json &side)
{
	Exact bytes(unhex(hex_payload));
	kp_noise_payload p;
	ASSERT_EQ(kp_noise_payload_parse(bytes.s(), &p), KP_OK);
	EXPECT_EQ(p.has_extensions, side.has("stream_muxers"));
	std::vector<std::string> muxers = muxers_of(p);
	if (p.has_extensions) {
		EXPECT_EQ(muxers, texts_of(side["stream_muxers"]));
	}
	kp_key_pb key;
	EXPECT_EQ(kp_key_pb_parse_public(p.identity_key, &key), KP_OK);

	std::vector<kp_slice> names;
	for (const std::string &m : muxers)
		names.push_back(slice(m));
	Bytes again = written([&](kp_writer *w) {
		kp_noise_payload_write(w, p.identity_key, p.identity_sig, names.data(),
		                       names.size());
	});
	EXPECT_EQ(hex(again), hex_payload);
}

TEST(noise_payload, vectors_transcripts)
{
	size_t ran = 0;
	EXPECT_EQ(vectors::file()["noise"]["signature_prefix"].str(), KP_NOISE_SIG_PREFIX);
	for (const Json &c : vectors::list("noise", "transcripts", 5)) {
		SCOPED_TRACE(c["name"].str());
		expect_payload(c["payload_2"].str(), c["responder"]);
		expect_payload(c["payload_3"].str(), c["initiator"]);
		ran++;
	}
	EXPECT_EQ(ran, 5u);
}

TEST(noise_payload, bad_input)
{
	static const struct {
		const char *hex;
		kp_err err;
		const char *why;
	} rows[] = {
	        {"0a016b120173", KP_OK, "key and signature"},
	        {"0a016b1201732200", KP_OK, "empty extensions"},
	        {"0a016b1a0165120173", KP_OK, "early data skipped"},
	        {"0a016b12017322030a0163", KP_OK, "certhashes skipped"},
	        {"0a016b1201732a0178", KP_OK, "unknown field skipped"},
	        {"", KP_E_PROTO, "empty"},
	        {"0a016b", KP_E_PROTO, "no signature"},
	        {"120173", KP_E_PROTO, "no key"},
	        {"0a00120173", KP_E_PROTO, "empty key"},
	        {"0a016b1200", KP_E_PROTO, "empty signature"},
	        {"0a016b12027300"
	         "00",
	         KP_E_PROTO, "field number 0"},
	        {"0a016b1202", KP_E_PROTO, "cut"},
	        {"0801120173", KP_E_PROTO, "key is a number"},
	        {"0a016b1001", KP_E_PROTO, "signature is a number"},
	        {"0a016b1201732001", KP_E_PROTO, "extensions are a number"},
	        {"0a016b12017322021205", KP_E_PROTO, "cut inside the extensions"},
	        {"0a016b12017322021001", KP_E_PROTO, "muxer is a number"},
	};
	for (const auto &row : rows) {
		SCOPED_TRACE(row.why);
		Exact bytes(unhex(row.hex));
		kp_noise_payload p;
		memset(&p, 0xee, sizeof(p));
		EXPECT_EQ(kp_noise_payload_parse(bytes.s(), &p), row.err);
		if (row.err == KP_OK) {
			EXPECT_EQ(text_of(p.identity_key), "k");
			EXPECT_EQ(text_of(p.identity_sig), "s");
			EXPECT_TRUE(muxers_of(p).empty());
		}
	}
}

TEST(noise_payload, extensions_merge)
{
	Exact bytes(unhex("22031201610a016b2200120173220612016212016322020a00"));
	kp_noise_payload p;
	ASSERT_EQ(kp_noise_payload_parse(bytes.s(), &p), KP_OK);
	EXPECT_EQ(muxers_of(p), (std::vector<std::string>{"a", "b", "c"}));
	EXPECT_EQ(muxers_of(p).size(), 3u); /* a walk leaves the payload as it was */
}

TEST(noise_payload, last_key_and_signature_count)
{
	Exact bytes(unhex("0a01610a0162120163120164"));
	kp_noise_payload p;
	ASSERT_EQ(kp_noise_payload_parse(bytes.s(), &p), KP_OK);
	EXPECT_EQ(text_of(p.identity_key), "b");
	EXPECT_EQ(text_of(p.identity_sig), "d");
}
