#include "wire/envelope.h"

#include "wire/keys.h"
#include "wire/multiaddr.h"
#include "wire/wire_test.h"

static std::vector<std::string> addrs_of(kp_slice rest)
{
	std::vector<std::string> out;
	kp_slice addr;
	while (kp_peer_record_next(&rest, &addr))
		out.push_back(hex(addr));
	return out;
}

static Bytes record_written(const kp_peer_record &r)
{
	std::vector<Bytes> copies;
	for (const std::string &a : addrs_of(r.addrs))
		copies.push_back(unhex(a));
	std::vector<kp_slice> addrs;
	for (const Bytes &a : copies)
		addrs.push_back(slice(a));
	return written([&](kp_writer *w) {
		kp_peer_record_write(w, &r.id, r.seq, addrs.data(), addrs.size());
	});
}

static void expect_valid(const Json &c, kp_record_form form)
{
	Exact bytes(c["envelope"].bytes());
	kp_envelope e;
	ASSERT_EQ(kp_envelope_parse(bytes.s(), &e), KP_OK);
	EXPECT_EQ(hex(e.public_key), c["public_key"].str());
	EXPECT_EQ(hex(e.payload_type), c["payload_type"].str());
	EXPECT_EQ(hex(e.payload), c["payload"].str());
	EXPECT_EQ(hex(e.signature), c["signature"].str());
	kp_record_form found;
	ASSERT_TRUE(kp_envelope_form(&e, &found));
	EXPECT_EQ(found, form);
	EXPECT_EQ(text_of(kp_record_domain(form)), c["domain"].str());

	Bytes covered = written([&](kp_writer *w) {
		kp_envelope_write_signed(w, kp_record_domain(form), e.payload_type, e.payload);
	});
	EXPECT_EQ(hex(covered), c["signed_bytes"].str());
	EXPECT_EQ(covered.size(),
	          kp_envelope_signed_size(kp_record_domain(form), e.payload_type, e.payload));
	Bytes again = written([&](kp_writer *w) { kp_envelope_write(w, &e); });
	EXPECT_EQ(hex(again), c["envelope"].str());
	EXPECT_EQ(again.size(), kp_envelope_size(&e));

	kp_peer_record r;
	ASSERT_EQ(kp_peer_record_parse(e.payload, &r), KP_OK);
	EXPECT_EQ(hex(kp_peer_id_slice(&r.id)), c["record"]["peer_id"].str());
	EXPECT_EQ(r.seq, c["record"]["seq"].u64());
	std::vector<std::string> addrs;
	for (const Json &a : c["record"]["addresses"])
		addrs.push_back(a.str());
	EXPECT_EQ(addrs_of(r.addrs), addrs);
	EXPECT_EQ(hex(record_written(r)), c["payload"].str());
}

TEST(envelope, vectors_valid)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("envelope", "valid_standard", 7)) {
		SCOPED_TRACE(c["name"].str());
		expect_valid(c, KP_RECORD_STANDARD);
		ran++;
	}
	for (const Json &c : vectors::list("envelope", "valid_routing_state", 5)) {
		SCOPED_TRACE(c["name"].str());
		expect_valid(c, KP_RECORD_ROUTING_STATE);
		ran++;
	}
	EXPECT_EQ(ran, 12u);
}

TEST(envelope, parameter_sets)
{
	const Json &g = vectors::file()["envelope"];
	EXPECT_EQ(text_of(kp_record_domain(KP_RECORD_STANDARD)), g["standard"]["domain"].str());
	EXPECT_EQ(hex(kp_record_payload_type(KP_RECORD_STANDARD)),
	          g["standard"]["payload_type"].str());
	EXPECT_EQ(text_of(kp_record_domain(KP_RECORD_ROUTING_STATE)),
	          g["routing_state"]["domain"].str());
	EXPECT_EQ(hex(kp_record_payload_type(KP_RECORD_ROUTING_STATE)),
	          g["routing_state"]["payload_type"].str());
}

/* What the parser can see of the invalid ones; the others are well-formed and fail in crypto/. */
TEST(envelope, vectors_invalid)
{
	size_t ran = 0, malformed = 0, no_form = 0;
	for (const Json &c : vectors::list("envelope", "invalid", 10)) {
		SCOPED_TRACE(c["name"].str());
		std::string name = c["name"].str();
		Exact bytes(c["envelope"].bytes());
		kp_envelope e;
		bool bad = name == "signature missing" || name == "public key missing" ||
		           name == "cut" || name == "empty";
		ASSERT_EQ(kp_envelope_parse(bytes.s(), &e), bad ? KP_E_PROTO : KP_OK);
		malformed += bad;
		ran++;
		if (bad)
			continue;
		kp_record_form form;
		bool known = kp_envelope_form(&e, &form);
		EXPECT_EQ(known, name != "payload type changed");
		no_form += !known;
		if (name == "routing-state envelope") {
			EXPECT_EQ(
			        form,
			        KP_RECORD_ROUTING_STATE); /* only the standard form was asked for */
		}
	}
	EXPECT_EQ(malformed, 4u);
	EXPECT_EQ(no_form, 1u);
	EXPECT_EQ(ran, 10u);
}

TEST(envelope, vectors_disputed)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("envelope", "disputed", 2)) {
		SCOPED_TRACE(c["name"].str());
		Exact bytes(c["envelope"].bytes());
		kp_envelope e;
		kp_peer_record r;
		ASSERT_EQ(kp_envelope_parse(bytes.s(), &e), KP_OK);
		ASSERT_EQ(kp_peer_record_parse(e.payload, &r), KP_OK);
		kp_peer_id signer;
		ASSERT_EQ(kp_peer_id_from_pubkey(e.public_key, sha256_openssl, &signer), KP_OK);
		size_t good = 0, bad = 0;
		for (const std::string &a : addrs_of(r.addrs)) {
			kp_maddr m;
			(kp_maddr_parse_bytes(slice(unhex(a)), &m) == KP_OK ? good : bad)++;
		}
		if (c["name"].str() == "one address does not parse") {
			EXPECT_EQ(bad, 1u); /* we skip it, as go and py */
			EXPECT_GE(good, 1u);
			EXPECT_TRUE(kp_peer_id_eq(&signer, &r.id));
		} else {
			EXPECT_FALSE(kp_peer_id_eq(&signer, &r.id)); /* for crypto/ to refuse */
		}
		ran++;
	}
	EXPECT_EQ(ran, 2u);
}

TEST(envelope, bad_input)
{
	static const struct {
		const char *hex;
		kp_err err;
		const char *why;
	} rows[] = {
	        {"0a016b12017403017000", KP_E_PROTO, "wire type 3"},
	        {"0a016b1201741a01702a0173", KP_OK, "whole"},
	        {"2a01731a01701201740a016b", KP_OK, "descending"},
	        {"0a016b12001a002a0173", KP_OK, "type and payload empty"},
	        {"0a016b1201741a01702a01733001", KP_OK, "unknown field"},
	        {"0a016b12017422"
	         "01781a01702a0173",
	         KP_OK, "field 4"},
	        {"0a016b1a01702a0173", KP_E_PROTO, "no type"},
	        {"0a016b1201742a0173", KP_E_PROTO, "no payload"},
	        {"0a001201741a01702a0173", KP_E_PROTO, "empty key"},
	        {"0a016b1201741a01702a00", KP_E_PROTO, "empty signature"},
	        {"08011201741a01702a0173", KP_E_PROTO, "key is a number"},
	        {"0a016b1201741a01702801", KP_E_PROTO, "signature is a number"},
	};
	for (const auto &row : rows) {
		SCOPED_TRACE(row.why);
		Exact bytes(unhex(row.hex));
		kp_envelope e;
		EXPECT_EQ(kp_envelope_parse(bytes.s(), &e), row.err);
	}
}

TEST(peer_record, bad_input)
{
	const std::string id = "0a03000107"; /* identity multihash of one byte */
	static const struct {
		const char *tail;
		kp_err err;
		const char *why;
	} rows[] = {
	        {"", KP_OK, "no seq"},
	        {"1001", KP_OK, "seq"},
	        {"1001"
	         "1a00",
	         KP_OK, "address entry without address"},
	        {"1001"
	         "1a020a00",
	         KP_OK, "empty address"},
	        {"1001"
	         "1a021201",
	         KP_E_PROTO, "entry cut inside"},
	        {"1001"
	         "1801",
	         KP_E_PROTO, "entry is a number"},
	        {"12"
	         "0101",
	         KP_E_PROTO, "seq is bytes"},
	        {"0801", KP_E_PROTO, "peer id is a number"},
	        {"0a0112", KP_E_PROTO, "last peer id is bad"},
	        {"1080", KP_E_PROTO, "cut"},
	};
	for (const auto &row : rows) {
		SCOPED_TRACE(row.why);
		Exact bytes(unhex(id + row.tail));
		kp_peer_record r;
		EXPECT_EQ(kp_peer_record_parse(bytes.s(), &r), row.err);
	}
	kp_peer_record r;
	EXPECT_EQ(kp_peer_record_parse(kp_slice_none(), &r), KP_E_PROTO);
	EXPECT_EQ(kp_peer_record_parse(slice(unhex("1001")), &r), KP_E_PROTO);
}

TEST(peer_record, walks_addresses_only)
{
	/* entries: none, "a", empty, then "b" before "c" in one entry, and an entry of something
	 * else */
	Exact bytes(unhex("0a030001071a001a030a01611a020a001005"
	                  "1a060a01620a01631a0112"
	                  "00"));
	kp_peer_record r;
	EXPECT_EQ(kp_peer_record_parse(bytes.s(), &r), KP_E_PROTO); /* the last entry is cut */
	Exact good(unhex("0a030001071a001a030a01611a020a0010051a060a01620a01631a021200"));
	ASSERT_EQ(kp_peer_record_parse(good.s(), &r), KP_OK);
	EXPECT_EQ(addrs_of(r.addrs), (std::vector<std::string>{"61", "", "63"}));
	EXPECT_EQ(r.seq, 5u);
}

TEST(peer_record, largest_seq)
{
	kp_peer_record r = {};
	ASSERT_EQ(kp_peer_id_parse_bytes(slice(Bytes{0, 1, 7}), &r.id), KP_OK);
	r.seq = UINT64_MAX;
	r.addrs = kp_slice_of("", 0);
	Bytes out = record_written(r);
	kp_peer_record back;
	ASSERT_EQ(kp_peer_record_parse(slice(out), &back), KP_OK);
	EXPECT_EQ(back.seq, UINT64_MAX);
}
