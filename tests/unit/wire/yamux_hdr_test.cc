#include "wire/yamux_hdr.h"

#include "wire/wire_test.h"

/* Reads the header at the front of bytes and writes it again. */
static void expect_header(const Bytes &bytes, const Json &want)
{
	ASSERT_GE(bytes.size(), size_t{KP_YAMUX_HDR_SIZE});
	Exact exact(Bytes(bytes.begin(), bytes.begin() + KP_YAMUX_HDR_SIZE));
	kp_yamux_hdr h;
	ASSERT_EQ(kp_yamux_hdr_parse(exact.s().p, &h), KP_OK);
	EXPECT_EQ(h.type, want["type"].u64());
	EXPECT_EQ(h.flags, want["flags"].u64());
	EXPECT_EQ(h.stream, want["stream_id"].u64());
	EXPECT_EQ(h.length, want["length"].u64());
	uint8_t out[KP_YAMUX_HDR_SIZE];
	kp_yamux_hdr_write(&h, out);
	EXPECT_EQ(hex(out, sizeof(out)), hex(exact.s()));
}

TEST(yamux_hdr, vectors_headers)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("yamux", "headers", 45)) {
		SCOPED_TRACE(c["name"].str());
		expect_header(c["hex"].bytes(), c);
		ran++;
	}
	EXPECT_EQ(ran, 45u);
}

TEST(yamux_hdr, vectors_invalid)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("yamux", "invalid", 4)) {
		SCOPED_TRACE(c["name"].str());
		Exact bytes(c["hex"].bytes());
		kp_yamux_hdr h, before;
		memset(&h, 0xee, sizeof(h));
		before = h;
		EXPECT_EQ(kp_yamux_hdr_parse(bytes.s().p, &h), KP_E_PROTO);
		EXPECT_EQ(memcmp(&h, &before, sizeof(h)), 0);
		ran++;
	}
	EXPECT_EQ(ran, 4u);
}

static size_t expect_frames(const Json &cases)
{
	size_t ran = 0;
	for (const Json &c : cases) {
		SCOPED_TRACE(c["name"].str());
		EXPECT_EQ(c["frames"].size(), c["parsed"].size());
		for (size_t i = 0; i < c["frames"].size(); i++) {
			Bytes frame = c["frames"][i].bytes();
			const Json &want = c["parsed"][i];
			expect_header(frame, want);
			EXPECT_EQ(hex(Bytes(frame.begin() + KP_YAMUX_HDR_SIZE, frame.end())),
			          want["body"].str());
		}
		ran++;
	}
	return ran;
}

TEST(yamux_hdr, vectors_frames)
{
	EXPECT_EQ(expect_frames(vectors::list("yamux", "frames", 7)), 7u);
	EXPECT_EQ(expect_frames(vectors::list("yamux", "as_sent", 16)), 16u);
}

TEST(yamux_hdr, unknown_flags_are_kept)
{
	uint8_t bytes[12] = {0, 0, 0xff, 0xf0, 0, 0, 0, 1, 0, 0, 0, 0}, out[12];
	kp_yamux_hdr h;
	ASSERT_EQ(kp_yamux_hdr_parse(bytes, &h), KP_OK);
	EXPECT_EQ(h.flags, 0xfff0);
	kp_yamux_hdr_write(&h, out);
	EXPECT_EQ(memcmp(bytes, out, 12), 0);
}
