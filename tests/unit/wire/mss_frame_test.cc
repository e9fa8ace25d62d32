#include "wire/mss_frame.h"

#include "wire/wire_test.h"

static Bytes mss_frame(const std::string &text)
{
	Bytes out = written([&](kp_writer *w) { kp_mss_write(w, slice(text)); });
	EXPECT_EQ(out.size(), kp_mss_size(text.size()));
	return out;
}

TEST(mss_frame, vectors_frames)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("multistream", "frames", 18)) {
		SCOPED_TRACE(c["name"].str());
		Bytes bytes = c["hex"].bytes();
		EXPECT_EQ(hex(mss_frame(c["text"].str())), hex(bytes));
		Exact longer(bytes + Bytes{0x80});
		kp_slice in = longer.s(), name;
		ASSERT_EQ(kp_mss_read(&in, &name), KP_OK);
		EXPECT_EQ(text_of(name), c["text"].str());
		EXPECT_EQ(in.n, 1u);

		for (size_t cut = 0; cut < bytes.size(); cut++) {
			Exact part(Bytes(bytes.begin(), bytes.begin() + static_cast<long>(cut)));
			kp_slice untouched = kp_slice_of("x", 1);
			in = part.s();
			EXPECT_EQ(kp_mss_read(&in, &untouched), KP_E_AGAIN);
			EXPECT_EQ(in.n, cut);
			EXPECT_EQ(text_of(untouched), "x");
		}
		ran++;
	}
	EXPECT_EQ(ran, 18u);
}

TEST(mss_frame, vectors_ls_reply)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("multistream", "ls_reply", 1)) {
		std::vector<std::string> texts;
		std::vector<kp_slice> names;
		for (const Json &p : c["protocols"])
			texts.push_back(p.str());
		for (const std::string &t : texts)
			names.push_back(slice(t));
		Bytes out = written(
		        [&](kp_writer *w) { kp_mss_write_ls(w, names.data(), names.size()); });
		EXPECT_EQ(hex(out), c["hex"].str());

		Exact bytes(c["hex"].bytes());
		kp_slice in = bytes.s(), text, name;
		ASSERT_EQ(kp_mss_read(&in, &text), KP_OK);
		EXPECT_EQ(in.n, 0u);
		kp_err err = KP_E_PROTO;
		size_t i = 0;
		for (; kp_mss_next_ls(&text, &name, &err); i++)
			EXPECT_EQ(text_of(name), texts.at(i));
		EXPECT_EQ(err, KP_OK);
		EXPECT_EQ(i, texts.size());
		ran++;
	}
	EXPECT_EQ(ran, 1u);
}

static std::vector<std::string> frames_of(const Bytes &bytes)
{
	Exact exact(bytes);
	kp_slice in = exact.s(), name;
	std::vector<std::string> out;
	while (kp_mss_read(&in, &name) == KP_OK)
		out.push_back(text_of(name));
	EXPECT_EQ(in.n, 0u);
	return out;
}

/* Both sides of each negotiation consist of whole frames that we read and would write alike. */
TEST(mss_frame, vectors_exchanges)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("multistream", "exchanges", 4)) {
		SCOPED_TRACE(c["name"].str());
		for (const char *side : {"dialer_sends", "listener_sends"}) {
			Bytes bytes = c[side].bytes(), again;
			std::vector<std::string> frames = frames_of(bytes);
			ASSERT_GE(frames.size(), 1u);
			EXPECT_EQ(frames[0], KP_MSS_HEADER);
			for (const std::string &f : frames)
				again = again + mss_frame(f);
			EXPECT_EQ(hex(again), hex(bytes));
		}
		ran++;
	}
	EXPECT_EQ(ran, 4u);
}

TEST(mss_frame, vectors_invalid_first_frame)
{
	size_t ran = 0, headers = 0;
	for (const Json &c : vectors::list("multistream", "invalid_first_frame", 9)) {
		SCOPED_TRACE(c["name"].str());
		Exact bytes(c["hex"].bytes());
		kp_slice in = bytes.s(), name;
		if (c["why"].str() == "header differs") {
			/* a good frame; the machine compares its text */
			ASSERT_EQ(kp_mss_read(&in, &name), KP_OK);
			EXPECT_FALSE(kp_slice_eq_str(name, KP_MSS_HEADER));
			headers++;
		} else {
			EXPECT_EQ(kp_mss_read(&in, &name), KP_E_PROTO);
			EXPECT_EQ(in.n, bytes.s().n);
		}
		ran++;
	}
	EXPECT_EQ(headers, 2u);
	EXPECT_EQ(ran, 9u);
}

TEST(mss_frame, bad_input)
{
	static const struct {
		const char *hex;
		kp_err err;
		const char *why;
	} rows[] = {
	        {"", KP_E_AGAIN, "nothing"},
	        {"03", KP_E_AGAIN, "length only"},
	        {"036e61", KP_E_AGAIN, "cut"},
	        {"00", KP_E_PROTO, "length 0"},
	        {"036e6161", KP_E_PROTO, "no newline"},
	        {"8000", KP_E_PROTO, "length padded"},
	        {"83006e610a", KP_E_PROTO, "length padded"},
	        {"80", KP_E_AGAIN, "length cut"},
	        {"8080", KP_E_PROTO, "length of three bytes or more"},
	        {"8108", KP_E_PROTO, "length 1025"},
	        {"ff7f", KP_E_PROTO, "length 16383"},
	        {"8008", KP_E_AGAIN, "length 1024"},
	};
	for (const auto &row : rows) {
		Exact bytes(unhex(row.hex));
		kp_slice in = bytes.s(), name;
		EXPECT_EQ(kp_mss_read(&in, &name), row.err) << row.why;
	}
}

TEST(mss_frame, longest)
{
	std::string text(KP_MSS_NAME_MAX, 'a');
	EXPECT_EQ(frames_of(mss_frame(text) + mss_frame("na")),
	          (std::vector<std::string>{text, "na"}));
	EXPECT_EQ(frames_of(mss_frame("")), std::vector<std::string>{""});
}

/* However the bytes are cut, the same frames come out. */
TEST(mss_frame, split_invariance)
{
	Bytes whole = mss_frame(KP_MSS_HEADER) + mss_frame("/noise") +
	              mss_frame(std::string(300, 'x')) + mss_frame("na");
	const std::vector<std::string> want = frames_of(whole);
	for (size_t step = 1; step <= whole.size(); step++) {
		std::vector<std::string> got;
		size_t begin = 0;
		for (size_t end = step;; end = std::min(end + step, whole.size())) {
			Exact part(Bytes(whole.begin() + static_cast<long>(begin),
			                 whole.begin() +
			                         static_cast<long>(std::min(end, whole.size()))));
			kp_slice in = part.s(), name;
			kp_err err;
			while ((err = kp_mss_read(&in, &name)) == KP_OK)
				got.push_back(text_of(name));
			EXPECT_EQ(err, KP_E_AGAIN);
			begin = std::min(end, whole.size()) - in.n;
			if (end >= whole.size())
				break;
		}
		EXPECT_EQ(got, want) << step;
	}
}

TEST(mss_frame, ls_leaves_out_what_does_not_fit)
{
	std::vector<std::string> texts(40, "/" + std::string(99, 'a'));
	std::vector<kp_slice> names;
	for (const std::string &t : texts)
		names.push_back(slice(t));
	Bytes out = written([&](kp_writer *w) { kp_mss_write_ls(w, names.data(), names.size()); });
	Exact exact(out);
	kp_slice in = exact.s(), text, name;
	ASSERT_EQ(kp_mss_read(&in, &text), KP_OK);
	kp_err err;
	size_t n = 0;
	while (kp_mss_next_ls(&text, &name, &err))
		n++;
	EXPECT_EQ(err, KP_OK);
	EXPECT_EQ(n, 10u);

	EXPECT_EQ(hex(written([](kp_writer *w) { kp_mss_write_ls(w, nullptr, 0); })), "010a");
}

TEST(mss_frame, ls_fills_a_frame_to_the_last_byte)
{
	for (size_t n : {size_t{1020}, size_t{1021}}) {
		std::string text(n, 'a');
		kp_slice name = slice(text);
		Bytes out = written([&](kp_writer *w) { kp_mss_write_ls(w, &name, 1); });
		EXPECT_EQ(out.size(), n == 1020 ? KP_MSS_FRAME_MAX + 2 : 2u);
		kp_slice in = slice(out), all;
		EXPECT_EQ(kp_mss_read(&in, &all), KP_OK);
	}
}

/* py's answer to ls has no inner lengths. */
TEST(mss_frame, ls_malformed)
{
	Exact py(bytes_of("/noise\n/tls/1.0.0\n"));
	kp_slice text = py.s(), name;
	kp_err err = KP_OK;
	EXPECT_FALSE(kp_mss_next_ls(&text, &name, &err));
	EXPECT_EQ(err, KP_E_PROTO);
}
