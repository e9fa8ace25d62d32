#include "wire/rpc.h"

#include "wire/rpc_dump.h"
#include "wire/varint.h"
#include "wire/wire_test.h"

/* A payload on the heap with exactly the room that the header asks for. */
struct Room {
	Bytes bytes;
	uint8_t *data;

	Room(const Bytes &payload, size_t tail)
	    : bytes(KP_RPC_PUBLISH_HEADROOM + payload.size() + tail, 0xee)
	{
		data = bytes.data() + KP_RPC_PUBLISH_HEADROOM;
		if (!payload.empty())
			memcpy(data, payload.data(), payload.size());
	}
};

static kp_slice opt_slice(const Json &c, const Bytes &b)
{
	return c.is_null() ? kp_slice_none() : slice(b);
}

/* The fields of a message in a vector, with the bytes they need. */
struct Publish {
	Bytes from, data, seqno, topic, signature, key;
	kp_rpc_publish m = {};

	explicit Publish(const Json &c)
	{
		auto take = [&](const char *name) {
			return c.has(name) ? c[name].bytes() : Bytes();
		};
		from = take("from");
		data = take("data");
		seqno = take("seqno");
		signature = take("signature");
		key = take("key");
		topic = bytes_of(c["topic"].str());
		m.from = opt_slice(c["from"], from);
		m.seqno = opt_slice(c["seqno"], seqno);
		m.topic = slice(topic);
		m.signature = opt_slice(c["signature"], signature);
		m.key = opt_slice(c["key"], key);
		m.data_n = data.size();
	}
	Publish(const Publish &) = delete;
};

/* Signs and frames as the router does: both on the same buffer. */
static void expect_published(const Json &c, const std::string &covered, const std::string &framed,
                             const std::string &message)
{
	Publish p(c);
	Room room(p.data, kp_rpc_publish_tail_size(&p.m));
	if (!covered.empty()) {
		kp_slice s = kp_rpc_publish_signed(&p.m, room.data);
		EXPECT_EQ(hex(s), covered);
	}
	kp_slice frame, inner;
	kp_rpc_publish_frame(&p.m, room.data, &frame, &inner);
	EXPECT_EQ(hex(frame), framed);
	EXPECT_EQ(frame.n, kp_rpc_publish_frame_size(&p.m));
	if (!message.empty()) {
		EXPECT_EQ(hex(inner), message);
	}
	EXPECT_EQ(hex(room.data, p.data.size()), hex(p.data)); /* the payload stayed where it was */
	kp_rpc_publish_frame(&p.m, room.data, &frame, nullptr);
	EXPECT_EQ(hex(frame), framed);

	uint8_t head[KP_RPC_FORWARD_HEAD_MAX];
	size_t n = kp_rpc_forward_head(inner.n, head);
	EXPECT_EQ(hex(head, n) + hex(inner), framed);
}

TEST(rpc_publish, vectors_signed)
{
	size_t ran = 0, absent = 0;
	for (const Json &c : vectors::list("pubsub", "signed", 15)) {
		SCOPED_TRACE(c["name"].str());
		ran++;
		if (!c.has("data")) {
			absent++; /* we always send field 2 */
			continue;
		}
		expect_published(c, c["signed_bytes"].str(), c["rpc_framed"].str(),
		                 c["message"].str());
	}
	EXPECT_EQ(absent, 1u);
	EXPECT_EQ(ran, 15u);
}

TEST(rpc_publish, vectors_unsigned)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("pubsub", "unsigned", 2)) {
		SCOPED_TRACE(c["name"].str());
		Publish p(c);
		Room room(p.data, kp_rpc_publish_tail_size(&p.m));
		kp_slice frame, inner;
		kp_rpc_publish_frame(&p.m, room.data, &frame, &inner);
		EXPECT_EQ(hex(inner), c["message"].str());
		ran++;
	}
	EXPECT_EQ(ran, 2u);
}

TEST(rpc_publish, headroom_holds_the_largest_head)
{
	Bytes from(46, 1), payload, seqno(8, 2), topic = bytes_of("t");
	kp_rpc_publish m = {};
	m.from = slice(from);
	m.seqno = slice(seqno);
	m.topic = slice(topic);
	for (size_t n : {size_t{0}, size_t{127}, size_t{128}, size_t{16384}, size_t{1} << 21}) {
		payload.assign(n, 7);
		m.data_n = n;
		Room room(payload, kp_rpc_publish_tail_size(&m));
		kp_slice s = kp_rpc_publish_signed(&m, room.data);
		EXPECT_GE(s.p, room.bytes.data());
		kp_slice frame;
		kp_rpc_publish_frame(&m, room.data, &frame, nullptr);
		EXPECT_GE(frame.p, room.bytes.data());
		EXPECT_EQ(frame.p + frame.n, room.bytes.data() + room.bytes.size());
		uint64_t len = 0;
		ASSERT_EQ(kp_varint_read(&frame, &len), KP_OK);
		EXPECT_EQ(len, frame.n);
		EXPECT_EQ(kp_rpc_validate(frame, nullptr), KP_OK);
	}
}

TEST(rpc_publish, forward_head_sizes)
{
	for (size_t n : {size_t{0}, size_t{1}, size_t{125}, size_t{126}, size_t{127}, size_t{128},
	                 size_t{16380}, size_t{65536}, size_t{1} << 30}) {
		uint8_t head[KP_RPC_FORWARD_HEAD_MAX];
		size_t head_n = kp_rpc_forward_head(n, head);
		kp_slice in = kp_slice_of(head, head_n);
		uint64_t rpc = 0, message = 0;
		ASSERT_EQ(kp_varint_read(&in, &rpc), KP_OK);
		EXPECT_EQ(rpc, in.n + n);
		EXPECT_EQ(kp_slice_take(&in, 1).p[0], 0x12);
		ASSERT_EQ(kp_varint_read(&in, &message), KP_OK);
		EXPECT_EQ(message, n);
		EXPECT_EQ(in.n, 0u);
	}
}

/* ---- subscriptions and control ---- */

/* A builder over an exactly sized heap buffer. */
struct Built {
	Bytes buf;
	kp_rpc_builder b;

	explicit Built(size_t limit) : buf(limit + KP_RPC_BUILDER_ROOM, 0xee)
	{
		kp_rpc_begin(&b, buf.data(), buf.size(), limit);
		EXPECT_TRUE(kp_rpc_builder_empty(&b));
	}
	Bytes end()
	{
		EXPECT_FALSE(kp_rpc_builder_empty(&b));
		return bytes_of(kp_rpc_end(&b));
	}
};

/* Ids with the bytes they point at. */
struct Ids {
	std::vector<Bytes> bytes;
	std::vector<kp_slice> ids;

	explicit Ids(const Json &list)
	{
		for (const Json &id : list)
			bytes.push_back(id.bytes());
		for (const Bytes &b : bytes)
			ids.push_back(slice(b));
	}
	Ids(size_t count, size_t size)
	{
		for (size_t i = 0; i < count; i++)
			bytes.push_back(Bytes(size, static_cast<uint8_t>(i)));
		for (const Bytes &b : bytes)
			ids.push_back(slice(b));
	}
	Ids(const Ids &) = delete;
};

static bool put_prune(kp_rpc_builder *b, const Json &c)
{
	std::vector<Bytes> bytes;
	std::vector<kp_rpc_px> px;
	bytes.reserve(100);
	if (c.has("peers")) {
		for (const Json &p : c["peers"]) {
			kp_rpc_px one = {kp_slice_none(), kp_slice_none()};
			bytes.push_back(p["peer_id"].bytes());
			one.id = slice(bytes.back());
			if (p.has("signed_peer_record")) {
				bytes.push_back(p["signed_peer_record"].bytes());
				one.record = slice(bytes.back());
			}
			px.push_back(one);
		}
	}
	kp_rpc_prune prune = {};
	prune.topic = slice(c["topic"].str());
	prune.has_backoff = c.has("backoff");
	prune.backoff = prune.has_backoff ? c["backoff"].u64() : 0;
	prune.px = px.data();
	prune.n_px = px.size();
	return kp_rpc_put_prune(b, &prune);
}

/* False = something in it that we never write. */
static bool put_all(kp_rpc_builder *b, const Json &fields)
{
	if (fields.has("publish") || fields.has("partial") || fields.has("test_extension"))
		return false;
	if (fields.has("subscriptions")) {
		for (const Json &s : fields["subscriptions"]) {
			if (s.has("requests_partial"))
				return false;
			EXPECT_TRUE(kp_rpc_put_subopt(b, s["subscribe"].boolean(),
			                              slice(s["topic"].str())));
		}
	}
	if (!fields.has("control"))
		return !kp_rpc_builder_empty(b);
	const Json &c = fields["control"];
	if (c.has("extensions"))
		return false;
	auto each = [&](const char *kind, auto put) {
		if (c.has(kind))
			for (const Json &item : c[kind])
				put(item);
	};
	each("ihave", [&](const Json &item) {
		Ids ids(item["message_ids"]);
		EXPECT_EQ(kp_rpc_put_ihave(b, slice(item["topic"].str()), ids.ids.data(),
		                           ids.ids.size()),
		          ids.ids.size());
	});
	each("iwant", [&](const Json &item) {
		Ids ids(item["message_ids"]);
		EXPECT_EQ(kp_rpc_put_iwant(b, ids.ids.data(), ids.ids.size()), ids.ids.size());
	});
	each("graft", [&](const Json &item) {
		EXPECT_TRUE(kp_rpc_put_graft(b, slice(item["topic"].str())));
	});
	each("prune", [&](const Json &item) { EXPECT_TRUE(put_prune(b, item)); });
	each("idontwant", [&](const Json &item) {
		Ids ids(item["message_ids"]);
		EXPECT_EQ(kp_rpc_put_idontwant(b, ids.ids.data(), ids.ids.size()), ids.ids.size());
	});
	return !kp_rpc_builder_empty(b);
}

TEST(rpc_builder, vectors_messages)
{
	size_t ran = 0, built_n = 0, published = 0, clamped = 0;
	for (const Json &c : vectors::list("rpc", "messages", 36)) {
		SCOPED_TRACE(c["name"].str());
		const Json &fields = c["fields"];
		ran++;
		if (fields.has("publish") && fields.size() == 1) {
			expect_published(fields["publish"][size_t{0}], "", c["framed"].str(), "");
			published++;
			continue;
		}
		Bytes framed = c["framed"].bytes();
		Built built(2000);
		if (!put_all(&built.b, fields))
			continue;
		if (c["name"].str() == "prune backoff 2^64-1") {
			EXPECT_EQ(hex(built.end()), "101a0e220c0a017418ffffffffffffff0f");
			clamped++; /* js could not read the whole RPC */
			continue;
		}
		EXPECT_EQ(hex(built.end()), hex(framed));
		built_n++;

		/* exactly as much space as it needs, and one byte less */
		Built exact(framed.size());
		EXPECT_TRUE(put_all(&exact.b, fields));
		EXPECT_EQ(hex(exact.end()), hex(framed));
	}
	EXPECT_EQ(ran, 36u);
	EXPECT_EQ(published, 3u);
	EXPECT_EQ(clamped, 1u);
	EXPECT_EQ(built_n, 19u);
}

TEST(rpc_builder, each_put_is_all_or_nothing)
{
	Ids ids(1, 10);
	kp_rpc_prune prune = {kp_slice_str("topic"), true, 60, nullptr, 0};
	auto put = [&](int what, kp_rpc_builder *b) -> bool {
		switch (what) {
		case 0:
			return kp_rpc_put_subopt(b, true, kp_slice_str("topic"));
		case 1:
			return kp_rpc_put_graft(b, kp_slice_str("topic"));
		case 2:
			return kp_rpc_put_prune(b, &prune);
		case 3:
			return kp_rpc_put_ihave(b, kp_slice_str("topic"), ids.ids.data(), 1) == 1;
		case 4:
			return kp_rpc_put_iwant(b, ids.ids.data(), 1) == 1;
		default:
			return kp_rpc_put_idontwant(b, ids.ids.data(), 1) == 1;
		}
	};
	for (int what = 0; what < 6; what++) {
		Built big(1000);
		ASSERT_TRUE(put(what, &big.b));
		size_t need = big.end().size();
		for (size_t limit = 1; limit <= need; limit++) {
			Built b(limit);
			EXPECT_EQ(put(what, &b.b), limit == need) << what << " " << limit;
			EXPECT_EQ(kp_rpc_builder_empty(&b.b), limit != need);
		}
		/* the second of two does not fit: the first goes out alone */
		Built one(need + 3);
		ASSERT_TRUE(put(what, &one.b));
		EXPECT_FALSE(put(what, &one.b));
		EXPECT_EQ(one.end().size(), need);
	}
}

/* A list of ids of any size leaves in RPCs that each keep to the limit, nothing lost or doubled. */
TEST(rpc_builder, ids_are_split)
{
	Ids all(700, 20);
	for (size_t limit :
	     {size_t{60}, size_t{127}, size_t{128}, size_t{129}, size_t{1000}, size_t{16000}}) {
		size_t sent = 0, rpcs = 0;
		while (sent < all.ids.size()) {
			Built b(limit);
			size_t n = kp_rpc_put_ihave(&b.b, kp_slice_str("topic"),
			                            all.ids.data() + sent, all.ids.size() - sent);
			ASSERT_GT(n, 0u);
			Bytes framed = b.end();
			EXPECT_LE(framed.size(), limit);
			Exact exact(framed);
			kp_slice in = exact.s();
			uint64_t len = 0;
			ASSERT_EQ(kp_varint_read(&in, &len), KP_OK);
			ASSERT_EQ(len, in.n);
			kp_rpc_walk walk = kp_rpc_walk_of(in);
			kp_rpc_item item;
			ASSERT_TRUE(kp_rpc_next(&walk, &item));
			EXPECT_EQ(text_of(item.topic), "topic");
			kp_slice id;
			for (size_t i = 0; kp_rpc_next_id(&item.ids, &id); i++)
				EXPECT_EQ(hex(id), hex(all.bytes.at(sent + i)));
			EXPECT_FALSE(kp_rpc_next(&walk, &item));
			sent += n;
			rpcs++;
		}
		EXPECT_EQ(sent, 700u);
		EXPECT_EQ(rpcs == 1, limit == 16000); /* about 700 Karak ids fit one */
	}
}

TEST(rpc_builder, no_ids_write_nothing)
{
	Built b(100);
	EXPECT_EQ(kp_rpc_put_ihave(&b.b, kp_slice_str("t"), nullptr, 0), 0u);
	EXPECT_EQ(kp_rpc_put_iwant(&b.b, nullptr, 0), 0u);
	EXPECT_TRUE(kp_rpc_builder_empty(&b.b));
}

TEST(rpc_builder, subscriptions_and_control_share_an_rpc)
{
	/* sizes around where the length of control and of the RPC grow by a byte */
	for (size_t topic_n = 1; topic_n < 140; topic_n++) {
		std::string topic(topic_n, 't');
		Built b(4000);
		ASSERT_TRUE(kp_rpc_put_subopt(&b.b, true, slice(topic)));
		ASSERT_TRUE(kp_rpc_put_subopt(&b.b, false, kp_slice_str("u")));
		ASSERT_TRUE(kp_rpc_put_graft(&b.b, slice(topic)));
		ASSERT_TRUE(kp_rpc_put_graft(&b.b, kp_slice_str("u")));
		Exact exact(b.end());
		kp_slice in = exact.s();
		uint64_t len = 0;
		ASSERT_EQ(kp_varint_read(&in, &len), KP_OK);
		ASSERT_EQ(len, in.n);
		std::string t = hex(bytes_of(topic));
		EXPECT_EQ(rpc_dump(in), "0{" + t + " on}{75 off} 4{" + t + "}{75} ");
	}
}

TEST(rpc_builder, limit_and_capacity)
{
	Bytes buf(100);
	kp_rpc_builder b;
	kp_rpc_begin(&b, buf.data(), buf.size(), 1000);
	EXPECT_EQ(b.limit, 100u - KP_RPC_BUILDER_ROOM);
	kp_rpc_begin(&b, buf.data(), buf.size(), 20);
	EXPECT_EQ(b.limit, 20u);
}

TEST(rpc_builder_death, subscriptions_come_first)
{
	Built b(100);
	ASSERT_TRUE(kp_rpc_put_graft(&b.b, kp_slice_str("t")));
	EXPECT_DEATH(kp_rpc_put_subopt(&b.b, true, kp_slice_str("t")), "items_n == 0");
}
