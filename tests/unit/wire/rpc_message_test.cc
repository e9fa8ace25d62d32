/* One pubsub message: parsing, and the bytes its signature covers. */
#include "wire/peer_id.h"
#include "wire/rpc.h"
#include "wire/rpc_dump.h"
#include "wire/varint.h"
#include "wire/wire_test.h"

static const std::string prefix_hex = hex(bytes_of(std::string(KP_RPC_SIGN_PREFIX)));

/* What the signature covers, or the code. */
static std::string covered(const kp_rpc_message &m)
{
	if (m.unknown) {
		kp_writer w = kp_writer_of(nullptr, 0);
		EXPECT_EQ(kp_rpc_message_write_signed(&w, &m), KP_E_PROTO);
		EXPECT_EQ(w.n, 0u);
		return "unknown";
	}
	Bytes out = written(
	        [&](kp_writer *w) { EXPECT_EQ(kp_rpc_message_write_signed(w, &m), KP_OK); });
	EXPECT_EQ(out.size(), kp_rpc_message_signed_size(&m));
	return hex(out);
}

/* The only message of a framed RPC. */
static Bytes message_of(const Bytes &framed)
{
	Exact exact(framed);
	kp_slice in = exact.s();
	uint64_t n = 0;
	EXPECT_EQ(kp_varint_read(&in, &n), KP_OK);
	EXPECT_EQ(n, in.n);
	kp_rpc_counts counts;
	EXPECT_EQ(kp_rpc_validate(in, &counts), KP_OK);
	EXPECT_EQ(counts.messages, 1u);
	kp_rpc_walk walk = kp_rpc_walk_of(in);
	kp_rpc_item item;
	EXPECT_TRUE(kp_rpc_next(&walk, &item));
	EXPECT_EQ(item.kind, KP_RPC_MESSAGE);
	Bytes raw = bytes_of(item.raw);
	EXPECT_FALSE(kp_rpc_next(&walk, &item));
	return raw;
}

TEST(pubsub, vectors_signed)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("pubsub", "signed", 15)) {
		SCOPED_TRACE(c["name"].str());
		Exact raw(c["message"].bytes());
		kp_rpc_message m;
		ASSERT_EQ(kp_rpc_message_parse(raw.s(), &m), KP_OK);
		EXPECT_EQ(message_dump(m), message_dump(c));
		EXPECT_FALSE(m.unknown);
		EXPECT_TRUE(m.canonical);
		EXPECT_EQ(covered(m), c["signed_bytes"].str());
		EXPECT_EQ(prefix_hex + hex(m.signed_fields), c["signed_bytes"].str());
		EXPECT_EQ(hex(message_of(c["rpc_framed"].bytes())), c["message"].str());
		kp_peer_id from;
		ASSERT_EQ(kp_peer_id_parse_bytes(m.from, &from), KP_OK);
		char text[KP_PEER_ID_TEXT_MAX];
		kp_peer_id_text(&from, text);
		EXPECT_EQ(text, c["from_text"].str());
		ran++;
	}
	EXPECT_EQ(ran, 15u);
}

TEST(pubsub, vectors_unsigned)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("pubsub", "unsigned", 2)) {
		SCOPED_TRACE(c["name"].str());
		Exact raw(c["message"].bytes());
		kp_rpc_message m;
		ASSERT_EQ(kp_rpc_message_parse(raw.s(), &m), KP_OK);
		EXPECT_EQ(message_dump(m), message_dump(c));
		EXPECT_TRUE(m.canonical);
		ran++;
	}
	EXPECT_EQ(ran, 2u);
}

/* All of them are well-formed; what a verifier needs to refuse them must be there to see. */
TEST(pubsub, vectors_invalid)
{
	size_t ran = 0, structure = 0, order = 0, signature = 0;
	for (const Json &c : vectors::list("pubsub", "invalid", 23)) {
		SCOPED_TRACE(c["name"].str());
		std::string why = c["why"].str(), name = c["name"].str();
		Exact raw(c["message"].bytes());
		kp_rpc_message m;
		ASSERT_EQ(kp_rpc_message_parse(raw.s(), &m), KP_OK);
		EXPECT_EQ(hex(message_of(c["rpc_framed"].bytes())), c["message"].str());
		kp_peer_id from;
		bool from_ok = kp_peer_id_parse_bytes(m.from, &from) == KP_OK;
		kp_slice inline_key;
		ran++;
		if (why == "unknown field") {
			EXPECT_TRUE(m.unknown);
			structure++;
		} else if (why == "no from" || why == "from is not a peer id") {
			EXPECT_FALSE(from_ok);
			structure++;
		} else if (why == "no signature" || why == "empty signature") {
			EXPECT_EQ(m.signature.n, 0u);
			structure++;
		} else if (why == "no from, no seqno, no signature") {
			EXPECT_TRUE(m.from.p == nullptr && m.seqno.p == nullptr &&
			            m.signature.p == nullptr);
			structure++;
		} else if (why == "no seqno") {
			EXPECT_EQ(m.seqno.p, nullptr);
			structure++;
		} else if (why == "seqno is not 8 bytes") {
			EXPECT_NE(m.seqno.n, 8u);
			structure++;
		} else if (why == "from does not contain the key") {
			EXPECT_TRUE(from_ok && !kp_peer_id_inline_key(&from, &inline_key));
			EXPECT_EQ(m.key.p, nullptr);
			structure++;
		} else if (why == "key does not match from" || why == "key does not parse" ||
		           why == "key is empty") {
			kp_peer_id id;
			EXPECT_NE(m.key.p, nullptr);
			EXPECT_TRUE(kp_peer_id_from_pubkey(m.key, sha256_openssl, &id) != KP_OK ||
			            !kp_peer_id_eq(&id, &from));
			structure++;
		} else if (why == "not canonical") {
			/* signed as sent: what we verify against is the ascending form */
			EXPECT_FALSE(m.canonical);
			EXPECT_EQ(m.signed_fields.p, nullptr);
			EXPECT_NE(covered(m), prefix_hex + c["message"].str().substr(
			                                           0, covered(m).size() - 28));
			order++;
		} else {
			EXPECT_TRUE(m.canonical); /* only the signature is wrong */
			signature++;
		}
	}
	EXPECT_EQ(structure, 15u);
	EXPECT_EQ(order, 1u);
	EXPECT_EQ(signature, 7u);
	EXPECT_EQ(ran, 23u);
}

TEST(pubsub, vectors_disputed)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("pubsub", "disputed", 5)) {
		SCOPED_TRACE(c["name"].str());
		std::string name = c["name"].str();
		Exact raw(c["message"].bytes());
		kp_rpc_message m;
		ASSERT_EQ(kp_rpc_message_parse(raw.s(), &m), KP_OK);
		ran++;
		if (name == "seqno empty, signature valid") {
			EXPECT_NE(m.seqno.p, nullptr);
			EXPECT_EQ(m.seqno.n, 0u);
		} else if (name == "unknown field 7 after the signature, not signed") {
			EXPECT_EQ(covered(m), "unknown"); /* go drops it: so do we */
		} else if (name == "fields in descending order, signed in canonical order" ||
		           name == "data twice, the last is the signed one") {
			/* all stock peers deliver it: the covered bytes are those of the canonical
			 * form */
			EXPECT_FALSE(m.canonical);
			EXPECT_EQ(m.signed_fields.p, nullptr);
			std::string want = prefix_hex;
			want += hex(written([&](kp_writer *w) {
				kp_write_u8(w, 0x0a);
				kp_varint_write(w, m.from.n);
				kp_write_slice(w, m.from);
				kp_write_u8(w, 0x12);
				kp_varint_write(w, m.data.n);
				kp_write_slice(w, m.data);
				kp_write_u8(w, 0x1a);
				kp_varint_write(w, m.seqno.n);
				kp_write_slice(w, m.seqno);
				kp_write_u8(w, 0x22);
				kp_varint_write(w, m.topic.n);
				kp_write_slice(w, m.topic);
			}));
			EXPECT_EQ(covered(m), want);
			EXPECT_EQ(text_of(m.data), c["name"].str()[0] == 'd' ? "bad27" : "bad25");
		} else {
			EXPECT_EQ(name, "Secp256k1 high S");
			EXPECT_TRUE(m.canonical);
		}
	}
	EXPECT_EQ(ran, 5u);
}

TEST(pubsub, bad_input)
{
	static const struct {
		const char *hex, *why;
	} rows[] = {
	        {"0801", "from is a number"},       {"1001", "data is a number"},
	        {"1801", "seqno is a number"},      {"2001", "topic is a number"},
	        {"2801", "signature is a number"},  {"3001", "key is a number"},
	        {"1d00000000", "seqno is fixed32"}, {"0a", "cut"},
	        {"0a0261", "length past the end"},  {"0000", "field number 0"},
	        {"0a016112", "second field cut"},   {"3b", "group"},
	};
	for (const auto &row : rows) {
		SCOPED_TRACE(row.why);
		Exact raw(unhex(row.hex));
		kp_rpc_message m, before;
		memset(&m, 0xee, sizeof(m));
		before = m;
		EXPECT_EQ(kp_rpc_message_parse(raw.s(), &m), KP_E_PROTO);
		EXPECT_EQ(memcmp(&m, &before, sizeof(m)), 0);
	}
}

static kp_rpc_message parsed(const Bytes &b)
{
	kp_rpc_message m;
	EXPECT_EQ(kp_rpc_message_parse(slice(b), &m), KP_OK);
	return m;
}

TEST(pubsub, canonical_and_signed_fields)
{
	static const struct {
		const char *hex;
		bool canonical;
		const char *signed_fields; /* "-": must be rebuilt */
		const char *why;
	} rows[] = {
	        {"", true, "-", "empty"},
	        {"0a01661201642201742a0173320178", true, "0a0166120164220174", "no seqno"},
	        {"2a0173", true, "-", "only a signature"},
	        {"2a01730a0166120164220174", false, "0a0166120164220174", "signature first"},
	        {"0a01662a0173120164", false, "-", "signature in between"},
	        {"1201640a0166", false, "-", "descending"},
	        {"0a01660a0166", false, "-", "from twice"},
	        {"0a01662a01732a0173", false, "0a0166", "signature twice"},
	        {"0a810066120164", false, "-", "padded length"},
	        {"0a01662a810073", false, "0a0166", "padded length of the signature"},
	        {"8a000166", false, "-", "padded tag"},
	        {"0a01663a01782a0173", false, "0a0166", "unknown field behind"},
	        {"0a01663a0178120164", false, "-", "unknown field in between"},
	        {"38010a0166", false, "0a0166", "unknown number in front"},
	        {"32017812"
	         "0164",
	         false, "120164", "key before data"},
	};
	for (const auto &row : rows) {
		SCOPED_TRACE(row.why);
		Bytes raw = unhex(row.hex);
		kp_rpc_message m = parsed(raw);
		EXPECT_EQ(m.canonical, row.canonical);
		EXPECT_EQ(opt_hex(m.signed_fields), row.signed_fields);
		if (row.signed_fields[0] != '-' && !m.unknown) {
			EXPECT_EQ(covered(m), prefix_hex + row.signed_fields);
		}
	}
}

TEST(pubsub, absent_and_empty_data_sign_differently)
{
	Bytes absent = unhex("0a0166220174"), empty = unhex("0a01661200220174");
	EXPECT_EQ(covered(parsed(absent)), prefix_hex + hex(absent));
	EXPECT_EQ(covered(parsed(empty)), prefix_hex + hex(empty));
	EXPECT_EQ(covered(parsed(unhex("220174"
	                               "0a0166"))),
	          prefix_hex + hex(absent));
	EXPECT_EQ(covered(parsed(unhex("2201741200"
	                               "0a0166"))),
	          prefix_hex + hex(empty));
}

TEST(pubsub, prefix_length)
{
	EXPECT_EQ(strlen(KP_RPC_SIGN_PREFIX), KP_RPC_SIGN_PREFIX_N);
}
