/* Walking and validating gossipsub RPCs. Messages are in rpc_message_test.cc, building in
 * rpc_build_test.cc. */
#include "wire/rpc.h"

#include "wire/rpc_dump.h"
#include "wire/wire_test.h"

/* ---- the vectors ---- */

static size_t list_size(const Json &object, const char *name)
{
	return object.has(name) ? object[name].size() : 0;
}

static size_t count_ids(const Json &control, const char *kind)
{
	size_t n = 0;
	if (control.has(kind))
		for (const Json &item : control[kind])
			n += item["message_ids"].size();
	return n;
}

static void expect_counts(const kp_rpc_counts &n, const Json &fields)
{
	EXPECT_EQ(n.subopts, list_size(fields, "subscriptions"));
	EXPECT_EQ(n.messages, list_size(fields, "publish"));
	EXPECT_EQ(n.unknown,
	          (fields.has("partial") ? 1u : 0u) + (fields.has("test_extension") ? 1u : 0u));
	if (!fields.has("control"))
		return;
	const Json &c = fields["control"];
	EXPECT_EQ(n.ihave, list_size(c, "ihave"));
	EXPECT_EQ(n.iwant, list_size(c, "iwant"));
	EXPECT_EQ(n.graft, list_size(c, "graft"));
	EXPECT_EQ(n.prune, list_size(c, "prune"));
	EXPECT_EQ(n.idontwant, list_size(c, "idontwant"));
	EXPECT_EQ(n.ihave_ids, count_ids(c, "ihave"));
	EXPECT_EQ(n.iwant_ids, count_ids(c, "iwant"));
	EXPECT_EQ(n.idontwant_ids, count_ids(c, "idontwant"));
}

TEST(rpc, vectors_messages)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("rpc", "messages", 36)) {
		SCOPED_TRACE(c["name"].str());
		Exact payload(c["payload"].bytes());
		kp_rpc_counts n;
		ASSERT_EQ(kp_rpc_validate(payload.s(), &n), KP_OK);
		EXPECT_EQ(rpc_dump(payload.s()), rpc_dump(c["fields"]));
		expect_counts(n, c["fields"]);
		ran++;
	}
	EXPECT_EQ(ran, 36u);
}

static std::string payload_of(const std::string &name)
{
	for (const Json &c : vectors::list("rpc", "messages", 36))
		if (c["name"].str() == name)
			return c["payload"].str();
	ADD_FAILURE() << "no case " << name;
	return "";
}

TEST(rpc, vectors_decode_equal)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("rpc", "decode_equal", 6)) {
		SCOPED_TRACE(c["name"].str());
		Exact one(c["payload"].bytes()), other(unhex(payload_of(c["same_as"].str())));
		ASSERT_EQ(kp_rpc_validate(one.s(), nullptr), KP_OK);
		EXPECT_EQ(rpc_dump(one.s()), rpc_dump(other.s()));
		ran++;
	}
	EXPECT_EQ(ran, 6u);
}

/* Walks without validating first; the walk must find the same fault. */
static kp_err walk_all(kp_slice rpc)
{
	kp_rpc_walk walk = kp_rpc_walk_of(rpc);
	kp_rpc_item item;
	while (kp_rpc_next(&walk, &item)) {
		kp_rpc_message m;
		if (item.kind == KP_RPC_MESSAGE && kp_rpc_message_parse(item.raw, &m) != KP_OK)
			return KP_E_PROTO;
	}
	kp_err err = walk.err;
	EXPECT_FALSE(kp_rpc_next(&walk, &item)); /* an error stays */
	EXPECT_EQ(walk.err, err);
	return err;
}

static void expect_refused(const Bytes &bytes)
{
	Exact payload(bytes);
	kp_rpc_counts n;
	memset(&n, 0xee, sizeof(n));
	kp_rpc_counts before = n;
	EXPECT_EQ(kp_rpc_validate(payload.s(), &n), KP_E_PROTO);
	EXPECT_EQ(memcmp(&n, &before, sizeof(n)), 0);
	EXPECT_EQ(walk_all(payload.s()), KP_E_PROTO);
}

TEST(rpc, vectors_invalid)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("rpc", "invalid", 7)) {
		SCOPED_TRACE(c["name"].str());
		expect_refused(c["payload"].bytes());
		ran++;
	}
	EXPECT_EQ(ran, 7u);
	EXPECT_EQ(vectors::list("rpc", "disputed", 0).size(), 0u);
}

/* ---- bad input ---- */

TEST(rpc, bad_input)
{
	static const struct {
		const char *hex, *why;
	} rows[] = {
	        {"0801", "subscription is a number"},
	        {"1001", "message is a number"},
	        {"1801", "control is a number"},
	        {"0a020a00", "subscribe is bytes"},
	        {"0a021001", "topic of a subscription is a number"},
	        {"0a0112", "subscription cut inside"},
	        {"12020801", "from is a number"},
	        {"12021001", "data is a number"},
	        {"1202"
	         "3001",
	         "key is a number"},
	        {"120112", "message cut inside"},
	        {"12021203", "data past the end of its message"},
	        {"1a01"
	         "0a",
	         "control cut inside"},
	        {"1a020801", "ihave is a number"},
	        {"1a03"
	         "0a0108",
	         "ihave cut inside"},
	        {"1a040a020801", "topic of ihave is a number"},
	        {"1a040a021001", "id of ihave is a number"},
	        {"1a0412020801", "id of iwant is a number"},
	        {"1a041a020801", "topic of graft is a number"},
	        {"1a0422020801", "topic of prune is a number"},
	        {"1a0422021001", "px of prune is a number"},
	        {"1a04"
	         "22021a00",
	         "backoff is bytes"},
	        {"1a06"
	         "220412020801",
	         "px id is a number"},
	        {"1a06"
	         "220412021001",
	         "px record is a number"},
	        {"1a05"
	         "2203120112",
	         "px cut inside"},
	        {"1a042a020801", "id of idontwant is a number"},
	        {"1a023001", "extensions are a number"},
	        {"1a03"
	         "320108",
	         "extensions cut inside"},
	        {"1a0b0a8080808080808080801061", "length 2^60 in control"},
	        {"0a0508011201740b", "group behind a good item"},
	};
	for (const auto &row : rows) {
		SCOPED_TRACE(row.why);
		expect_refused(unhex(row.hex));
	}
}

/* A fault anywhere is found before anything is acted on: every cut of a rich RPC inside a field. */
TEST(rpc, every_cut)
{
	Bytes whole = unhex(payload_of("all control kinds"));
	for (size_t n = 1; n < whole.size(); n++)
		expect_refused(Bytes(whole.begin(), whole.begin() + static_cast<long>(n)));
}

TEST(rpc, unknown_fields_are_skipped_and_counted)
{
	/* top: 4, 15; control: 7, 15; subopt 3, 4; prune 4; px 3; graft 2 */
	Exact bytes(unhex("22017a"
	                  "780a"
	                  "0a09080112017418012001"
	                  "1a1a3a017a780a"
	                  "220c0a017412050a017818052001"
	                  "1a050a01741001"));
	kp_rpc_counts n;
	kp_err err = kp_rpc_validate(bytes.s(), &n);
	ASSERT_EQ(err, KP_OK) << rpc_dump(bytes.s());
	EXPECT_EQ(n.unknown, 4u);
}

TEST(rpc, missing_is_not_empty)
{
	Exact bytes(unhex("0a00"
	                  "0a021200"
	                  "1a08"
	                  "1a001a020a002200"));
	EXPECT_EQ(kp_rpc_validate(bytes.s(), nullptr), KP_OK);
	kp_rpc_walk walk = kp_rpc_walk_of(bytes.s());
	kp_rpc_item item;
	ASSERT_TRUE(kp_rpc_next(&walk, &item));
	EXPECT_EQ(item.kind, KP_RPC_SUBOPT);
	EXPECT_FALSE(item.subscribe);
	EXPECT_EQ(item.topic.p, nullptr);
	ASSERT_TRUE(kp_rpc_next(&walk, &item));
	EXPECT_NE(item.topic.p, nullptr);
	EXPECT_EQ(item.topic.n, 0u);
	ASSERT_TRUE(kp_rpc_next(&walk, &item));
	EXPECT_EQ(item.kind, KP_RPC_GRAFT);
	EXPECT_EQ(item.topic.p, nullptr);
	ASSERT_TRUE(kp_rpc_next(&walk, &item));
	EXPECT_EQ(item.topic.n, 0u);
	EXPECT_NE(item.topic.p, nullptr);
	ASSERT_TRUE(kp_rpc_next(&walk, &item));
	EXPECT_EQ(item.kind, KP_RPC_PRUNE);
	EXPECT_FALSE(item.has_backoff);
	EXPECT_FALSE(kp_rpc_next(&walk, &item));
	EXPECT_EQ(walk.err, KP_OK);
}

TEST(rpc, last_of_a_repeated_field_counts)
{
	Exact bytes(unhex("0a0a0801120161"
	                  "08001201"
	                  "62"));
	kp_rpc_walk walk = kp_rpc_walk_of(bytes.s());
	kp_rpc_item item;
	ASSERT_TRUE(kp_rpc_next(&walk, &item));
	EXPECT_FALSE(item.subscribe);
	EXPECT_EQ(text_of(item.topic), "b");
}

TEST(rpc, ids_of_items_without_ids)
{
	Exact bytes(unhex("1a051a030a0174"));
	kp_rpc_walk walk = kp_rpc_walk_of(bytes.s());
	kp_rpc_item item;
	ASSERT_TRUE(kp_rpc_next(&walk, &item));
	kp_slice id;
	EXPECT_FALSE(kp_rpc_next_id(&item.ids, &id));
}

/* Counting a flood costs one pass and no memory. */
TEST(rpc, millions_of_empty_sub_messages)
{
	Bytes bytes;
	const size_t each = 500000;
	for (size_t i = 0; i < each; i++)
		for (uint8_t b : {0x0a, 0x00, 0x12, 0x00, 0x1a, 0x02, 0x12, 0x00})
			bytes.push_back(b);
	Exact exact(bytes);
	kp_rpc_counts n;
	ASSERT_EQ(kp_rpc_validate(exact.s(), &n), KP_OK);
	EXPECT_EQ(n.subopts, each);
	EXPECT_EQ(n.messages, each);
	EXPECT_EQ(n.iwant, each);
	EXPECT_EQ(n.iwant_ids, 0u);
	EXPECT_EQ(n.control_bytes, 2 * each);
}

TEST(rpc, ids_and_px_are_counted)
{
	Bytes ids;
	for (int i = 0; i < 1000; i++)
		ids = ids + unhex("0a0178");
	Bytes inner = unhex("12") + Bytes{0xb8, 0x17} + ids; /* 3000 bytes */
	Bytes rpc = unhex("1a") + Bytes{0xbb, 0x17} + inner;
	Exact exact(rpc);
	kp_rpc_counts n;
	ASSERT_EQ(kp_rpc_validate(exact.s(), &n), KP_OK);
	EXPECT_EQ(n.iwant, 1u);
	EXPECT_EQ(n.iwant_ids, 1000u);
	EXPECT_EQ(n.control_bytes, 3003u);

	Exact prune(unhex("1a0822"
	                  "06"
	                  "120012001200"));
	ASSERT_EQ(kp_rpc_validate(prune.s(), &n), KP_OK);
	EXPECT_EQ(n.px, 3u);
}

TEST(rpc, a_malformed_peer_of_an_unchecked_prune)
{
	Exact bytes(unhex("12020801")); /* its id is a number */
	kp_slice px = bytes.s();
	kp_rpc_px one;
	EXPECT_FALSE(kp_rpc_next_px(&px, &one));
}

TEST(rpc, largest_backoff_is_passed_on_whole)
{
	Exact bytes(unhex(payload_of("prune backoff 2^64-1")));
	kp_rpc_walk walk = kp_rpc_walk_of(bytes.s());
	kp_rpc_item item;
	ASSERT_TRUE(kp_rpc_next(&walk, &item));
	EXPECT_TRUE(item.has_backoff);
	EXPECT_EQ(item.backoff, UINT64_MAX); /* clamping is the router's */
}
