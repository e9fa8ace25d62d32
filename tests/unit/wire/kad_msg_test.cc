#include "wire/kad_msg.h"

#include <algorithm>

#include "wire/varint.h"
#include "wire/wire_test.h"

/* A message with everything copied out, in the shape of the vectors. */
struct Kad {
	struct Peer {
		std::string id;
		std::vector<std::string> addrs;
		uint64_t connection;
	};

	uint64_t type = 0;
	std::string key;
	int64_t level = 0;
	bool has_record = false;
	std::string record_key, value, time, publisher;
	uint64_t ttl = 0;
	std::vector<Peer> closer, providers;

	static std::vector<Peer> peers(kp_kad_peers walk)
	{
		std::vector<Peer> out;
		kp_kad_peer p;
		while (kp_kad_next_peer(&walk, &p)) {
			Peer copy = {hex(kp_peer_id_slice(&p.id)),
			             {},
			             static_cast<uint64_t>(p.connection)};
			kp_slice addr;
			while (kp_kad_next_addr(&p.addrs, &addr))
				copy.addrs.push_back(hex(addr));
			out.push_back(copy);
		}
		return out;
	}

	static Kad of(const kp_kad_msg &m)
	{
		Kad k;
		k.type = static_cast<uint64_t>(m.type);
		k.key = hex(m.key);
		k.level = m.cluster_level;
		k.has_record = m.has_record;
		k.record_key = hex(m.record.key);
		k.value = hex(m.record.value);
		k.time = text_of(m.record.time_received);
		k.publisher = hex(m.record.publisher);
		k.ttl = m.record.ttl;
		k.closer = peers(m.closer);
		k.providers = peers(m.providers);
		return k;
	}

	static std::vector<Peer> peers(const Json &list)
	{
		std::vector<Peer> out;
		for (const Json &p : list) {
			Peer copy = {p["id"].str(), {}, p["connection"].u64()};
			for (const Json &a : p["addrs"])
				copy.addrs.push_back(a.str());
			out.push_back(copy);
		}
		return out;
	}

	static Kad of(const Json &fields)
	{
		Kad k;
		k.type = fields["type"].u64();
		k.key = fields["key"].str();
		k.level = fields["cluster_level_raw"].number();
		k.closer = peers(fields["closer_peers"]);
		k.providers = peers(fields["provider_peers"]);
		const Json &r = fields["record"];
		k.has_record = !r.is_null();
		if (k.has_record) {
			k.record_key = r["key"].str();
			k.value = r["value"].str();
			k.time = r["time_received"].str();
			k.publisher = r["publisher"].str();
			k.ttl = r["ttl"].u64();
		}
		return k;
	}

	static std::string dump(const std::vector<Peer> &list)
	{
		std::string out;
		for (const Peer &p : list) {
			out += " {" + p.id + " " + std::to_string(p.connection);
			for (const std::string &a : p.addrs)
				out += " " + a;
			out += "}";
		}
		return out;
	}

	std::string dump() const
	{
		std::string out =
		        std::to_string(type) + " key=" + key + " level=" + std::to_string(level);
		if (has_record)
			out += " record=" + record_key + "," + value + "," + time + "," +
			       publisher + "," + std::to_string(ttl);
		return out + " closer" + dump(closer) + " providers" + dump(providers);
	}

	Bytes write(kp_err want = KP_OK) const;
};

/* Peers in the form the writer takes, with the bytes they point at. */
struct PeersOut {
	std::vector<kp_peer_id> ids;
	std::vector<Bytes> bytes;
	std::vector<std::vector<kp_slice>> addrs;
	std::vector<kp_kad_peer_out> out;

	explicit PeersOut(const std::vector<Kad::Peer> &peers)
	    : ids(peers.size()), addrs(peers.size())
	{
		for (const Kad::Peer &p : peers)
			for (const std::string &a : p.addrs)
				bytes.push_back(unhex(a));
		size_t next = 0;
		for (size_t i = 0; i < peers.size(); i++) {
			EXPECT_EQ(kp_peer_id_parse_bytes(slice(unhex(peers[i].id)), &ids[i]),
			          KP_OK);
			for (size_t a = 0; a < peers[i].addrs.size(); a++)
				addrs[i].push_back(slice(bytes[next++]));
			out.push_back({&ids[i], addrs[i].data(), addrs[i].size(),
			               static_cast<kp_kad_conn>(peers[i].connection)});
		}
	}
};

Bytes Kad::write(kp_err want) const
{
	Bytes key_b = unhex(key), rkey_b = unhex(record_key), value_b = unhex(value),
	      publisher_b = unhex(publisher);
	kp_kad_record r = {slice(rkey_b), slice(value_b), slice(time), slice(publisher_b),
	                   static_cast<uint32_t>(ttl)};
	PeersOut c(closer), p(providers);
	kp_kad_out m = {};
	m.type = static_cast<kp_kad_type>(type);
	m.cluster_level = static_cast<int32_t>(level);
	m.key = slice(key_b);
	m.record = has_record ? &r : nullptr;
	m.closer = c.out.data();
	m.n_closer = c.out.size();
	m.providers = p.out.data();
	m.n_providers = p.out.size();
	return written([&](kp_writer *w) {
		kp_err err = kp_kad_write(w, &m);
		EXPECT_EQ(err, w->full ? KP_E_TOOBIG : want);
	});
}

static Bytes kad_unframed(const Bytes &framed)
{
	kp_slice in = slice(framed);
	uint64_t n = 0;
	EXPECT_EQ(kp_varint_read(&in, &n), KP_OK);
	EXPECT_EQ(n, in.n);
	return bytes_of(in);
}

/* rust kad 0.48 writes field 10 before field 2; nobody else has it anywhere but last. */
static bool ascending(const Json &c)
{
	return !c["encoders"].lists("rust kad 0.48") || c["encoders"].size() > 1 ||
	       c["fields"]["cluster_level_raw"].number() == 0;
}

TEST(kad_msg, vectors_messages)
{
	size_t ran = 0, same = 0;
	for (const Json &c : vectors::list("kad", "messages", 48)) {
		SCOPED_TRACE(c["name"].str());
		Exact payload(c["payload"].bytes());
		kp_kad_msg m;
		ASSERT_EQ(kp_kad_parse(payload.s(), &m), KP_OK);
		Kad got = Kad::of(m), want = Kad::of(c["fields"]);
		EXPECT_EQ(got.dump(), want.dump());
		EXPECT_EQ(m.n_closer, want.closer.size());
		EXPECT_EQ(m.n_providers, want.providers.size());

		Bytes framed = want.write();
		if (ascending(c)) {
			EXPECT_EQ(hex(framed), c["framed"].str());
			same++;
		}
		Exact again(kad_unframed(framed));
		ASSERT_EQ(kp_kad_parse(again.s(), &m), KP_OK);
		EXPECT_EQ(Kad::of(m).dump(), want.dump());
		ran++;
	}
	EXPECT_EQ(ran, 48u);
	EXPECT_EQ(same, 37u);
}

static const std::string id1 = "03000107"; /* length, identity multihash of one byte */

TEST(kad_msg, bad_input)
{
	static const struct {
		std::string hex;
		kp_err err;
		const char *why;
	} rows[] = {
	        {"", KP_OK, "empty is PUT_VALUE"},
	        {"0804", KP_OK, "type only"},
	        {"0806", KP_E_PROTO, "type 6"},
	        {"08ffffffffffffffffff01", KP_E_PROTO, "type -1"},
	        {"0a0104", KP_E_PROTO, "type is bytes"},
	        {"1001", KP_E_PROTO, "key is a number"},
	        {"1801", KP_E_PROTO, "record is a number"},
	        {"1a020801", KP_E_PROTO, "record key is a number"},
	        {"1a0212", KP_E_PROTO, "record cut"},
	        {"1a021205", KP_E_PROTO, "record value cut"},
	        {"1a04ca300130", KP_E_PROTO, "ttl is bytes"},
	        {"4001", KP_E_PROTO, "closer is a number"},
	        {"42020801", KP_E_PROTO, "peer id is a number"},
	        {"42021001", KP_E_PROTO, "address is a number"},
	        {"42031a0131", KP_E_PROTO, "connection is bytes"},
	        {"42020a05", KP_E_PROTO, "peer cut"},
	        {"4a020a05", KP_E_PROTO, "provider cut"},
	        {"4801", KP_E_PROTO, "providers are a number"},
	        {"520101", KP_E_PROTO, "level is bytes"},
	        {"0880", KP_E_PROTO, "cut"},
	        {"7a0178", KP_OK, "unknown field"},
	        {"1a027001", KP_OK, "unknown field of a record"},
	};
	for (const auto &row : rows) {
		SCOPED_TRACE(row.why);
		Exact bytes(unhex(row.hex));
		kp_kad_msg m;
		EXPECT_EQ(kp_kad_parse(bytes.s(), &m), row.err);
	}
}

TEST(kad_msg, size_limit)
{
	Bytes big = unhex("12") + Bytes{0xfd, 0x7f} + Bytes(16381, 'k');
	kp_kad_msg m;
	EXPECT_EQ(big.size(), size_t{KP_KAD_MSG_MAX});
	EXPECT_EQ(kp_kad_parse(slice(big), &m), KP_OK);
	EXPECT_EQ(kp_kad_parse(slice(big + unhex("0804")), &m), KP_E_TOOBIG);
}

TEST(kad_msg, unusable_entries_are_skipped_and_counted)
{
	Exact bytes(unhex("4207"
	                  "0a" +
	                  id1 +
	                  "1801" /* good */
	                  "4205"
	                  "0a" +
	                  id1 +  /* good, no connection */
	                  "4200" /* no id */
	                  "4203"
	                  "0a0112" /* bad id */
	                  "4207"
	                  "0a" +
	                  id1 +
	                  "1804" /* unknown connection */
	                  "4210"
	                  "0a" +
	                  id1 +
	                  "18ffffffffffffffffff01"
	                  "4a05"
	                  "0a" +
	                  id1));
	kp_kad_msg m;
	ASSERT_EQ(kp_kad_parse(bytes.s(), &m), KP_OK);
	EXPECT_EQ(m.n_closer, 6u);
	EXPECT_EQ(m.n_providers, 1u);
	Kad k = Kad::of(m);
	EXPECT_EQ(Kad::dump(k.closer), " {000107 1} {000107 0}");
	EXPECT_EQ(Kad::dump(k.providers), " {000107 0}");
}

TEST(kad_msg, record_fields_merge_and_ttl_saturates)
{
	Exact bytes(unhex("1a030a0161"
	                  "1a06"
	                  "12017612017a"
	                  "1a08"
	                  "c830ffffffffff01"));
	kp_kad_msg m;
	ASSERT_EQ(kp_kad_parse(bytes.s(), &m), KP_OK);
	EXPECT_TRUE(m.has_record);
	EXPECT_EQ(text_of(m.record.key), "a");
	EXPECT_EQ(text_of(m.record.value), "z");
	EXPECT_EQ(m.record.ttl, UINT32_MAX);
	EXPECT_EQ(m.record.publisher.p, nullptr);
}

/* The walk relies on nothing: a list that nobody has checked ends where it is wrong. */
TEST(kad_msg, malformed_entries_of_an_unchecked_list)
{
	Exact bytes(unhex("42020801" /* the id is a number */
	                  "4205"
	                  "0a03000161"));
	kp_kad_peers walk = {bytes.s(), 8};
	kp_kad_peer peer;
	ASSERT_TRUE(kp_kad_next_peer(&walk, &peer));
	EXPECT_EQ(hex(kp_peer_id_slice(&peer.id)), "000161");
	EXPECT_FALSE(kp_kad_next_peer(&walk, &peer));
}

TEST(kad_msg, negative_level)
{
	Kad k;
	k.type = KP_KAD_PING;
	k.level = -2;
	Bytes out = kad_unframed(k.write());
	EXPECT_EQ(hex(out), "080550feffffffffffffffff01");
	kp_kad_msg m;
	ASSERT_EQ(kp_kad_parse(slice(out), &m), KP_OK);
	EXPECT_EQ(m.cluster_level, -2);
}

static Kad::Peer fat_peer(size_t addr_bytes)
{
	return {"000107", {hex(Bytes(addr_bytes, 4))}, 1};
}

/* Our side of amplification: an answer never exceeds what rust reads. */
TEST(kad_msg, peers_that_do_not_fit_are_left_out)
{
	Kad k;
	k.type = KP_KAD_GET_PROVIDERS;
	k.key = "01";
	k.providers.assign(10, fat_peer(1000));
	k.closer.assign(20, fat_peer(1000));
	Bytes out = kad_unframed(k.write());
	EXPECT_LE(out.size(), KP_KAD_MSG_MAX);
	kp_kad_msg m;
	ASSERT_EQ(kp_kad_parse(slice(out), &m), KP_OK);
	EXPECT_EQ(m.n_providers, 10u);
	EXPECT_EQ(m.n_closer, 6u);
}

TEST(kad_msg, a_peer_fills_it_to_the_last_byte)
{
	/* 08 04 ‖ 42 len len ‖ 0a 03 id ‖ 12 len len address ‖ 18 01 */
	const size_t around = 2 + 3 + 5 + 3 + 2;
	for (size_t over : {0u, 1u}) {
		Kad k;
		k.type = KP_KAD_FIND_NODE;
		k.closer.push_back(fat_peer(KP_KAD_MSG_MAX - around + over));
		EXPECT_EQ(kad_unframed(k.write()).size(), over == 0 ? size_t{KP_KAD_MSG_MAX} : 2u);
	}
}

TEST(kad_msg, a_record_that_does_not_fit_is_our_error)
{
	Kad k;
	k.has_record = true;
	k.value = hex(Bytes(16376, 'v')); /* 1a fd 7f ‖ 12 fa 7f ‖ … has 16382 bytes */
	EXPECT_EQ(kad_unframed(k.write()).size(), 16382u);
	k.key = "0102";
	EXPECT_EQ(k.write(KP_E_TOOBIG).size(), 0u);
}

/* ---- keys ---- */

static kp_kad_key kad_key(const Bytes &b)
{
	kp_kad_key k;
	EXPECT_EQ(b.size(), sizeof(k.b));
	memcpy(k.b, b.data(), sizeof(k.b));
	return k;
}

static kp_kad_key kad_key_of(const Bytes &b)
{
	kp_kad_key k;
	sha256_openssl(slice(b).p, b.size(), k.b);
	return k;
}

TEST(kad_key, vectors_distances)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("kad", "distances", 23)) {
		SCOPED_TRACE(c["name"].str());
		kp_kad_key a = kad_key(c["key_a"].bytes()), b = kad_key(c["key_b"].bytes());
		if (c.has("a")) {
			kp_kad_key hashed = kad_key_of(c["a"].bytes());
			EXPECT_EQ(hex(hashed.b, 32), c["key_a"].str());
			hashed = kad_key_of(c["b"].bytes());
			EXPECT_EQ(hex(hashed.b, 32), c["key_b"].str());
		}
		kp_kad_key d = kp_kad_distance(&a, &b);
		EXPECT_EQ(hex(d.b, 32), c["distance"].str());
		unsigned cpl = kp_kad_cpl(&a, &b);
		EXPECT_EQ(cpl, c["common_prefix_length"].u64());
		EXPECT_EQ(kp_kad_cpl(&b, &a), cpl);
		if (c.has("bucket_index")) {
			EXPECT_EQ(255 - cpl, c["bucket_index"].u64());
		} else {
			EXPECT_EQ(cpl, KP_KAD_KEY_BITS);
		}
		ran++;
	}
	EXPECT_EQ(ran, 23u);
}

TEST(kad_key, vectors_order)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("kad", "order", 1)) {
		kp_kad_key target = kad_key_of(c["target"].bytes());
		std::vector<std::string> want, got;
		for (const Json &p : c["peers_nearest_first"])
			want.push_back(p.str());
		got = want;
		std::reverse(got.begin(), got.end());
		std::sort(got.begin(), got.end(), [&](const std::string &x, const std::string &y) {
			kp_kad_key a = kad_key_of(unhex(x)), b = kad_key_of(unhex(y));
			return kp_kad_distance_cmp(&target, &a, &b) < 0;
		});
		EXPECT_EQ(got, want);
		kp_kad_key a = kad_key_of(unhex(want[0])), b = kad_key_of(unhex(want[1]));
		EXPECT_LT(kp_kad_distance_cmp(&target, &a, &b), 0);
		EXPECT_GT(kp_kad_distance_cmp(&target, &b, &a), 0);
		EXPECT_EQ(kp_kad_distance_cmp(&target, &a, &a), 0);
		ran++;
	}
	EXPECT_EQ(ran, 1u);
}

TEST(kad_key, prefix_of_every_length)
{
	kp_kad_key zero = {}, other;
	EXPECT_EQ(kp_kad_cpl(&zero, &zero), 256u);
	for (unsigned bit = 0; bit < 256; bit++) {
		memset(&other, 0, sizeof(other));
		other.b[bit / 8] = static_cast<uint8_t>(0x80 >> bit % 8);
		EXPECT_EQ(kp_kad_cpl(&zero, &other), bit);
		for (unsigned later = bit + 1; later < 256; later += 37)
			other.b[later / 8] =
			        static_cast<uint8_t>(other.b[later / 8] | 0x80 >> later % 8);
		EXPECT_EQ(kp_kad_cpl(&zero, &other), bit);
	}
}
