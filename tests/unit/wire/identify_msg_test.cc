#include "wire/identify_msg.h"

#include "wire/multiaddr.h"
#include "wire/varint.h"
#include "wire/wire_test.h"

/* A message read and merged, and what the vectors say in the same shape. */
struct Identify {
	std::string key = "-", observed = "-", version = "-", agent = "-", record = "-";
	std::vector<std::string> addrs, protocols;

	void merge(kp_slice msg)
	{
		kp_identify_field f;
		while (kp_identify_next(&msg, &f)) {
			switch (f.kind) {
			case KP_IDENTIFY_PUBLIC_KEY:
				key = hex(f.value);
				break;
			case KP_IDENTIFY_LISTEN_ADDR:
				addrs.push_back(hex(f.value));
				break;
			case KP_IDENTIFY_PROTOCOL:
				protocols.push_back(text_of(f.value));
				break;
			case KP_IDENTIFY_OBSERVED_ADDR:
				observed = hex(f.value);
				break;
			case KP_IDENTIFY_PROTOCOL_VERSION:
				version = text_of(f.value);
				break;
			case KP_IDENTIFY_AGENT_VERSION:
				agent = text_of(f.value);
				break;
			case KP_IDENTIFY_SIGNED_RECORD:
				record = hex(f.value);
				break;
			}
		}
		EXPECT_EQ(msg.n, 0u);
	}

	static Identify of(const Json &fields)
	{
		Identify i;
		i.key = fields["public_key"].text_or("-");
		i.observed = fields["observed_addr"].text_or("-");
		i.version = fields["protocol_version"].text_or("-");
		i.agent = fields["agent_version"].text_or("-");
		i.record = fields["signed_peer_record"].text_or("-");
		for (const Json &a : fields["listen_addrs"])
			i.addrs.push_back(a.str());
		for (const Json &p : fields["protocols"])
			i.protocols.push_back(p.str());
		return i;
	}

	std::string dump() const
	{
		std::string out = key + "|" + observed + "|" + version + "|" + agent + "|" + record;
		for (const std::string &a : addrs)
			out += "|a:" + a;
		for (const std::string &p : protocols)
			out += "|p:" + p;
		return out;
	}

	Bytes write(kp_err want = KP_OK) const
	{
		auto opt = [](const std::string &h, const Bytes &b) {
			return h == "-" ? kp_slice_none() : slice(b);
		};
		Bytes key_b = key == "-" ? Bytes() : unhex(key);
		Bytes observed_b = observed == "-" ? Bytes() : unhex(observed);
		Bytes record_b = record == "-" ? Bytes() : unhex(record);
		std::vector<Bytes> addr_bytes;
		for (const std::string &a : addrs)
			addr_bytes.push_back(unhex(a));
		std::vector<kp_slice> addr_slices, protocol_slices;
		for (const Bytes &b : addr_bytes)
			addr_slices.push_back(slice(b));
		for (const std::string &p : protocols)
			protocol_slices.push_back(slice(p));
		kp_identify_msg m = {};
		m.public_key = opt(key, key_b);
		m.listen_addrs = addr_slices.data();
		m.n_listen_addrs = addr_slices.size();
		m.protocols = protocol_slices.data();
		m.n_protocols = protocol_slices.size();
		m.observed_addr = opt(observed, observed_b);
		m.protocol_version = version == "-" ? kp_slice_none() : slice(version);
		m.agent_version = agent == "-" ? kp_slice_none() : slice(agent);
		m.signed_record = opt(record, record_b);
		return written([&](kp_writer *w) {
			kp_err err = kp_identify_write(w, &m);
			if (want != KP_OK || !w->full) {
				EXPECT_EQ(err, want);
			} else {
				EXPECT_EQ(err, KP_E_TOOBIG);
			}
		});
	}
};

/* The message behind a length prefix. */
static Bytes unframed(const Bytes &framed)
{
	kp_slice in = slice(framed);
	uint64_t n = 0;
	EXPECT_EQ(kp_varint_read(&in, &n), KP_OK);
	EXPECT_EQ(n, in.n);
	return bytes_of(in);
}

TEST(identify_msg, vectors_messages)
{
	size_t ran = 0, same = 0;
	for (const Json &c : vectors::list("identify", "messages", 13)) {
		SCOPED_TRACE(c["name"].str());
		Exact payload(c["payload"].bytes());
		kp_identify_counts counts;
		ASSERT_EQ(kp_identify_validate(payload.s(), &counts), KP_OK);
		Identify got, want = Identify::of(c["fields"]);
		got.merge(payload.s());
		EXPECT_EQ(got.dump(), want.dump());
		EXPECT_EQ(counts.listen_addrs, want.addrs.size());
		EXPECT_EQ(counts.protocols, want.protocols.size());

		Bytes framed = want.write();
		if (c["encoders"].lists("go")) { /* those write ascending, as we do */
			EXPECT_EQ(hex(framed), c["framed"].str());
			same++;
		}
		Identify back;
		Exact again(unframed(framed));
		back.merge(again.s());
		EXPECT_EQ(back.dump(), want.dump());
		ran++;
	}
	EXPECT_EQ(same, 8u);
	EXPECT_EQ(ran, 13u);
}

TEST(identify_msg, unknown_address_is_the_readers_to_skip)
{
	size_t good = 0, bad = 0;
	for (const Json &c : vectors::list("identify", "messages", 13)) {
		Identify i = Identify::of(c["fields"]);
		for (const std::string &a : i.addrs) {
			kp_maddr m;
			kp_err err = kp_maddr_parse_bytes(slice(unhex(a)), &m);
			(err == KP_OK ? good : bad)++;
			if (err != KP_OK) {
				EXPECT_EQ(err, KP_E_NOTSUP);
			}
		}
	}
	EXPECT_EQ(bad, 2u);
	EXPECT_GT(good, 10u);
}

TEST(identify_msg, several_messages_merge)
{
	Exact first(unhex("0a016b12017822"
	                  "016f"
	                  "1a0170")),
	        second(unhex("120179"
	                     "1a0171"
	                     "22016e"
	                     "42017a"));
	ASSERT_EQ(kp_identify_validate(first.s(), nullptr), KP_OK);
	ASSERT_EQ(kp_identify_validate(second.s(), nullptr), KP_OK);
	Identify i;
	i.merge(first.s());
	i.merge(second.s());
	EXPECT_EQ(i.dump(), "6b|6e|-|-|7a|a:78|a:79|p:p|p:q");
}

TEST(identify_msg, bad_input)
{
	static const struct {
		const char *hex;
		kp_err err;
		const char *why;
	} rows[] = {
	        {"", KP_OK, "empty"},
	        {"3a0178", KP_OK, "field 7"},
	        {"3801", KP_OK, "field 7, a number"},
	        {"4801", KP_OK, "field 9"},
	        {"0a", KP_E_PROTO, "cut"},
	        {"0a026b", KP_E_PROTO, "length past the end"},
	        {"0801", KP_E_PROTO, "key is a number"},
	        {"1001", KP_E_PROTO, "address is a number"},
	        {"1d00000000", KP_E_PROTO, "protocol is fixed32"},
	        {"4001", KP_E_PROTO, "record is a number"},
	        {"0f", KP_E_PROTO, "wire type 7"},
	};
	for (const auto &row : rows) {
		SCOPED_TRACE(row.why);
		Exact bytes(unhex(row.hex));
		kp_identify_counts counts = {77, 77};
		EXPECT_EQ(kp_identify_validate(bytes.s(), &counts), row.err);
		EXPECT_EQ(counts.protocols, row.err == KP_OK ? 0u : 77u);
	}
}

TEST(identify_msg, the_walk_skips_what_it_does_not_know)
{
	Exact bytes(unhex("3a0178"    /* field 7 */
	                  "4a0178"    /* field 9 */
	                  "0801"      /* the key as a number */
	                  "32016b")); /* the agent */
	kp_slice rest = bytes.s();
	kp_identify_field f;
	ASSERT_TRUE(kp_identify_next(&rest, &f));
	EXPECT_EQ(f.kind, KP_IDENTIFY_AGENT_VERSION);
	EXPECT_EQ(text_of(f.value), "k");
	EXPECT_FALSE(kp_identify_next(&rest, &f));
}

/* A message of very many addresses: counting comes first, nothing is stored on the way. */
TEST(identify_msg, four_thousand_protocols_are_counted)
{
	Bytes many;
	for (int i = 0; i < 4000; i++)
		many = many + unhex("1a00"
		                    "1200");
	Exact exact(many);
	kp_identify_counts counts;
	ASSERT_EQ(kp_identify_validate(exact.s(), &counts), KP_OK);
	EXPECT_EQ(counts.protocols, 4000u);
	EXPECT_EQ(counts.listen_addrs, 4000u);
}

TEST(identify_msg, writes_at_most_4096_bytes)
{
	Identify i;
	i.key = hex(Bytes(36, 1));
	i.agent = "agent";
	i.record = hex(Bytes(300, 2));
	for (int n = 0; n < 1000; n++)
		i.addrs.push_back(hex(Bytes(8, static_cast<uint8_t>(n))));
	Bytes out = unframed(i.write());
	EXPECT_LE(out.size(), KP_IDENTIFY_WRITE_MAX);
	EXPECT_GT(out.size(), KP_IDENTIFY_WRITE_MAX - 10);
	Identify back;
	back.merge(slice(out));
	EXPECT_EQ(back.key, i.key);
	EXPECT_EQ(back.agent, "agent");
	EXPECT_EQ(back.record, "-"); /* addresses come first */
	EXPECT_EQ(back.addrs.size(), (4096u - 38 - 7) / 10);
	EXPECT_EQ(back.addrs[0], i.addrs[0]);

	i.addrs.resize(100);
	Identify with_record;
	with_record.merge(slice(unframed(i.write())));
	EXPECT_EQ(with_record.record, i.record);
	EXPECT_EQ(with_record.addrs.size(), 100u);
}

TEST(identify_msg, an_address_and_a_record_fill_it_to_the_last_byte)
{
	for (size_t over : {0u, 1u}) {
		Identify i, back;
		i.addrs.push_back(hex(Bytes(4093 + over, 1)));
		Bytes out = unframed(i.write());
		EXPECT_EQ(out.size(), over == 0 ? 4096u : 0u);

		Identify r;
		r.addrs.push_back(hex(Bytes(8, 1)));
		r.record = hex(Bytes(4083 + over, 2));
		out = unframed(r.write());
		EXPECT_EQ(out.size(), over == 0 ? 4096u : 10u);
	}
}

TEST(identify_msg, too_many_protocols_is_our_error)
{
	Identify i;
	i.protocols.assign(100, std::string(60, 'p'));
	EXPECT_EQ(i.write(KP_E_TOOBIG).size(), 0u);
	i.protocols.assign(1, std::string(4093, 'p'));
	EXPECT_EQ(unframed(i.write()).size(), 4096u);
	i.protocols.assign(1, std::string(4094, 'p'));
	EXPECT_EQ(i.write(KP_E_TOOBIG).size(), 0u);
}
