#include "wire/multiaddr.h"

#include <map>

#include "wire/ip_text.h"
#include "wire/wire_test.h"

static std::string maddr_text(const kp_maddr &m)
{
	char out[KP_MADDR_TEXT_MAX];
	size_t n = kp_maddr_text(&m, out, sizeof(out));
	EXPECT_EQ(out[n], '\0');
	return std::string(out, n);
}

/* The address of a text that must be right. */
static kp_maddr maddr(const std::string &text)
{
	Exact exact(text);
	kp_maddr m;
	memset(&m, 0xee, sizeof(m));
	const char *why = "unset";
	EXPECT_EQ(kp_maddr_parse_text(exact.s(), &m, &why), KP_OK) << text << ": " << why;
	EXPECT_EQ(why, nullptr);
	for (size_t i = m.n; i < KP_MADDR_MAX; i++)
		EXPECT_EQ(m.b[i], 0);
	return m;
}

static const char *text_error(const std::string &text, kp_err err = KP_E_INVAL)
{
	Exact exact(text);
	kp_maddr m, before;
	memset(&m, 0xee, sizeof(m));
	before = m;
	const char *why = nullptr;
	EXPECT_EQ(kp_maddr_parse_text(exact.s(), &m, &why), err) << text;
	EXPECT_EQ(memcmp(&m, &before, sizeof(m)), 0) << text;
	EXPECT_EQ(kp_maddr_parse_text(exact.s(), &m, nullptr), err);
	return why != nullptr ? why : "";
}

TEST(multiaddr, vectors_valid)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("multiaddr", "valid", 62)) {
		SCOPED_TRACE(c["name"].str());
		std::string text = c["text"].str(),
		            canonical = c["canonical"].text_or(text.c_str());
		kp_maddr m = maddr(text), back;
		EXPECT_EQ(hex(kp_maddr_slice(&m)), c["hex"].str());
		EXPECT_EQ(maddr_text(m), canonical);
		Exact bytes(c["hex"].bytes());
		ASSERT_EQ(kp_maddr_parse_bytes(bytes.s(), &back), KP_OK);
		EXPECT_TRUE(kp_maddr_eq(&m, &back));
		EXPECT_EQ(memcmp(&m, &back, sizeof(m)), 0);
		kp_maddr again = maddr(canonical);
		EXPECT_TRUE(kp_maddr_eq(&m, &again));
		ran++;
	}
	EXPECT_EQ(ran, 62u);
}

TEST(multiaddr, vectors_invalid_text)
{
	size_t ran = 0;
	for (const Json &c : vectors::list("multiaddr", "invalid_text", 37)) {
		SCOPED_TRACE(c["name"].str());
		EXPECT_STRNE(text_error(c["text"].str()), "");
		ran++;
	}
	EXPECT_EQ(ran, 37u);
}

/* Our side of what implementations answer differently: "" is the hex of what we make of it. */
TEST(multiaddr, vectors_disputed_text)
{
	static const std::map<std::string, std::string> ours = {
	        {"empty string", ""},
	        {"trailing slash", "0401020304060050"},
	        {"two trailing slashes", ""},
	        {"trailing slash after a flag", "0401020304060050dd03"},
	        {"port with leading zero", "0401020304060050"},
	        {"CIDv1 of another codec", ""},
	};
	size_t ran = 0;
	for (const Json &c : vectors::list("multiaddr", "disputed_text", 6)) {
		SCOPED_TRACE(c["name"].str());
		const std::string &want = ours.at(c["name"].str());
		if (want.empty()) {
			text_error(c["text"].str());
		} else {
			kp_maddr m = maddr(c["text"].str());
			EXPECT_EQ(hex(kp_maddr_slice(&m)), want);
		}
		ran++;
	}
	EXPECT_EQ(ran, 6u);
}

static void bytes_error(const Bytes &bytes, kp_err err)
{
	Exact exact(bytes);
	kp_maddr m, before;
	memset(&m, 0xee, sizeof(m));
	before = m;
	EXPECT_EQ(kp_maddr_parse_bytes(exact.s(), &m), err) << hex(bytes);
	EXPECT_EQ(memcmp(&m, &before, sizeof(m)), 0);
}

TEST(multiaddr, vectors_invalid_bytes)
{
	size_t ran = 0, unknown = 0;
	for (const Json &c : vectors::list("multiaddr", "invalid_bytes", 26)) {
		SCOPED_TRACE(c["name"].str());
		bool code = c["why"].str() == "unknown code";
		bytes_error(c["hex"].bytes(), code ? KP_E_NOTSUP : KP_E_PROTO);
		unknown += code;
		ran++;
	}
	EXPECT_EQ(unknown, 3u);
	for (const Json &c : vectors::list("multiaddr", "disputed_bytes", 2)) {
		SCOPED_TRACE(c["name"].str());
		bytes_error(c["hex"].bytes(), KP_E_PROTO); /* as go */
		ran++;
	}
	EXPECT_EQ(ran, 28u);
}

TEST(multiaddr, says_what_is_wrong_with_a_text)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
	        {"", "must begin with /"},
	        {"ip4/1.2.3.4", "must begin with /"},
	        {"/", "no component"},
	        {"//", "no component"},
	        {"/ip4/1.2.3.4//", "empty component"},
	        {"/nothing/1", "unknown protocol"},
	        {"/garlic64/x", "unknown protocol"},
	        {"/ip4", "value missing"},
	        {"/unix/", "value missing"},
	        {"/ip4/1.2.3.4.5", "not an IPv4 address"},
	        {"/ip6/1:2:3:4:5:6:7", "not an IPv6 address"},
	        {"/ip6/fe80::1%eth0", "not an IPv6 address"},
	        {"/tcp/65536", "not a port"},
	        {"/tcp/000080", "not a port"},
	        {"/ipcidr/256", "not a number from 0 to 255"},
	        {"/memory/18446744073709551616", "not a number"},
	        {"/dns/a\nb", "not a name"},
	        {"/dns/\xff", "not a name"},
	        {"/ip6zone/\x7f", "not a name"},
	        {"/unix//", "not a path"},
	        {"/http-path/%", "wrong percent-encoding"},
	        {"/http-path/%4", "wrong percent-encoding"},
	        {"/http-path/%g0", "wrong percent-encoding"},
	        {"/p2p/1", "not a peer id"},
	        {"/certhash/u", "not a multihash in multibase"},
	        {"/certhash/uEiAB", "not a multihash in multibase"},
	        {"/onion3/:80", "not an onion address with port"},
	        {"/onion/aaimaq4ygg2iegci:0", "not an onion address with port"},
	        {"/onion/aaimaq4ygg2iegci:65536", "not an onion address with port"},
	        {"/onion3/aaimaq4ygg2iegci:80", "not an onion address with port"},
	        {"/garlic32/aaaaaaaa", "not a garlic32 address"},
	        {"/ws/x", "unknown protocol"},
	};
	for (const auto &row : rows)
		EXPECT_STREQ(text_error(row.text), row.why) << row.text;
}

TEST(multiaddr, limits)
{
	std::string many;
	for (int i = 0; i < KP_MADDR_PARTS_MAX; i++)
		many += "/ws";
	kp_maddr m = maddr(many);
	EXPECT_STREQ(text_error(many + "/ws", KP_E_TOOBIG), "too many components");
	bytes_error(bytes_of(kp_maddr_slice(&m)) + unhex("dd03"), KP_E_TOOBIG);

	std::string name(KP_MADDR_MAX - 3, 'a'); /* code and a length of two bytes */
	m = maddr("/dns/" + name);
	EXPECT_EQ(m.n, KP_MADDR_MAX);
	EXPECT_STREQ(text_error("/dns/" + name + "a", KP_E_TOOBIG), "too long");
	EXPECT_STREQ(text_error("/dns/" + std::string(KP_MADDR_MAX, 'a'), KP_E_TOOBIG), "too long");
	EXPECT_STREQ(text_error("/dns/" + std::string(KP_MADDR_MAX + 1, 'a'), KP_E_TOOBIG),
	             "too long");
	EXPECT_STREQ(text_error("/dns/" + std::string(100000, 'a'), KP_E_TOOBIG), "too long");
	bytes_error(bytes_of(kp_maddr_slice(&m)) + unhex("dd03"), KP_E_TOOBIG);
	EXPECT_STREQ(text_error("/dns/" + name.substr(3) + "/tcp/1/ws", KP_E_TOOBIG), "too long");
}

/* The longest text there can be: escaped bytes, and the flags that gain most. */
TEST(multiaddr, longest_text_fits)
{
	Bytes bytes;
	for (int i = 0; i < KP_MADDR_PARTS_MAX - 1; i++)
		bytes = bytes + unhex("df03");
	size_t rest = KP_MADDR_MAX - bytes.size() - 4;
	bytes = bytes + unhex("e103") + Bytes{static_cast<uint8_t>(rest | 0x80), 1} +
	        Bytes(rest, 0xff);
	kp_maddr m;
	ASSERT_EQ(kp_maddr_parse_bytes(slice(bytes), &m), KP_OK);
	std::string text = maddr_text(m);
	EXPECT_GT(text.size(), 940u);
	EXPECT_LT(text.size(), static_cast<size_t>(KP_MADDR_TEXT_MAX));
	kp_maddr back = maddr(text);
	EXPECT_TRUE(kp_maddr_eq(&m, &back));
}

TEST(multiaddr, text_is_cut_to_the_space_given)
{
	kp_maddr m = maddr("/ip4/1.2.3.4/tcp/80");
	char out[32];
	memset(out, 'x', sizeof(out));
	EXPECT_EQ(kp_maddr_text(&m, out, 0), 19u);
	EXPECT_EQ(out[0], 'x');
	EXPECT_EQ(kp_maddr_text(&m, out, 5), 19u);
	EXPECT_STREQ(out, "/ip4");
	EXPECT_EQ(out[5], 'x');
	EXPECT_EQ(kp_maddr_text(&m, out, 20), 19u);
	EXPECT_STREQ(out, "/ip4/1.2.3.4/tcp/80");
	kp_maddr none = {};
	EXPECT_EQ(kp_maddr_text(&none, out, sizeof(out)), 0u);
	EXPECT_STREQ(out, "");
}

/* Binary values whose text would mean something else, or confuse C strings and logs. */
TEST(multiaddr, bytes_that_have_no_text_of_their_own)
{
	static const struct {
		const char *hex, *why;
	} rows[] = {
	        {"9003022f61dd03", "unix path before another component"},
	        {"90030161", "unix path without slash"},
	        {"9003026162", "longer unix path without slash"},
	        {"9003032f0161", "control character in a unix path"},
	        {"d2030112", "multihash without a length"},
	        {"9003012f", "unix path of a slash"},
	        {"9003032f612f", "unix path that ends in a slash"},
	        {"350100", "NUL in a name"},
	        {"35010a", "newline in a name"},
	        {"2a017f", "DEL in a zone"},
	        {"bc03000000000000000000000000", "onion port 0"},
	        {"e10300", "empty http-path"},
	        {"bf0321"
	         "000000000000000000000000000000000000000000000000000000000000000000",
	         "garlic32 of 33 bytes"},
	};
	for (const auto &row : rows) {
		SCOPED_TRACE(row.why);
		bytes_error(unhex(row.hex), KP_E_PROTO);
	}
}

TEST(multiaddr, escaped_texts)
{
	kp_maddr m;
	ASSERT_EQ(kp_maddr_parse_bytes(slice(unhex("e1030361002f")), &m), KP_OK);
	EXPECT_EQ(maddr_text(m), "/http-path/a%00%2F");
	m = maddr("/http-path/a%00%2F");
	EXPECT_EQ(hex(kp_maddr_slice(&m)), "e1030361002f");
}

/* Only parsing makes addresses; one that was filled in otherwise is not trusted. */
TEST(multiaddr, a_peer_that_is_none)
{
	kp_maddr m = maddr("/ip4/1.2.3.4/tcp/80");
	kp_maddr_target t;
	kp_peer_id id;
	const uint8_t wrong[] = {0xa5, 0x03, 2, 0x12, 0x20};
	memcpy(m.b + m.n, wrong, sizeof wrong);
	m.n = static_cast<uint16_t>(m.n + sizeof wrong);
	EXPECT_FALSE(kp_maddr_peer(&m, &id));
	EXPECT_FALSE(kp_maddr_tcp_target(&m, &t));
	EXPECT_EQ(maddr_text(m), "/ip4/1.2.3.4/tcp/80/p2p/");
}

/* Forms that no vector shows. */
TEST(multiaddr, onion_and_garlic_texts)
{
	static const struct {
		std::string text, hex;
	} rows[] = {
	        {"/onion/aaimaq4ygg2iegci:80", "bc030010c0439831b48218480050"},
	        {"/garlic32/" + std::string(52, 'a'), "bf0320" + std::string(64, '0')},
	        {"/garlic32/" + std::string(56, 'a'), "bf0323" + std::string(70, '0')},
	};
	for (const auto &row : rows) {
		kp_maddr m = maddr(row.text);
		EXPECT_EQ(hex(kp_maddr_slice(&m)), row.hex);
		EXPECT_EQ(maddr_text(m), row.text);
	}
}

TEST(multiaddr, onion_texts_that_are_wrong)
{
	for (const char *text : {"/onion/aaimaq4ygg2iegci:", "/onion/aaimaq4ygg2iegc!:80",
	                         "/onion/aaimaq4ygg2iegci", "/onion/aaimaq4ygg2iegciaaaa:80"})
		EXPECT_STREQ(text_error(text), "not an onion address with port") << text;
}

TEST(multiaddr, components)
{
	kp_maddr m = maddr("/ip4/1.2.3.4/tcp/80/tls/sni/a.b/ws");
	kp_slice rest = kp_maddr_slice(&m);
	kp_maddr_part part;
	std::string seen;
	while (kp_maddr_next(&rest, &part))
		seen += std::to_string(part.code) + ":" + hex(part.value) + " ";
	EXPECT_EQ(seen, "4:01020304 6:0050 448: 449:612e62 477: ");
	EXPECT_EQ(rest.n, 0u);

	Exact broken(unhex("04010203"));
	rest = broken.s();
	EXPECT_FALSE(kp_maddr_next(&rest, &part));
}

static const char id_a[] = "12D3KooWPBFzpNemfrwjMSTSENKAC6cDHxE2RXojcMJRwMtitDms";
static const char id_b[] = "QmdFJtxEGYRfV1oeUUbHcK8bbPJSXjwDnEp8dj9mcJVS6G";

static kp_peer_id peer(const char *text)
{
	kp_peer_id id;
	EXPECT_EQ(kp_peer_id_parse_text(kp_slice_str(text), &id), KP_OK);
	return id;
}

TEST(multiaddr, only_the_trailing_peer_counts)
{
	const std::string base = "/ip4/1.2.3.4/tcp/80", a = std::string("/p2p/") + id_a,
	                  b = std::string("/p2p/") + id_b;
	kp_peer_id id = {}, want = peer(id_b);
	kp_maddr m = maddr(base);
	EXPECT_FALSE(kp_maddr_peer(&m, &id));
	EXPECT_FALSE(kp_maddr_strip_peer(&m));
	EXPECT_TRUE(kp_peer_id_none(&id));

	m = maddr(base + a + "/p2p-circuit");
	EXPECT_FALSE(kp_maddr_peer(&m, &id));
	EXPECT_FALSE(kp_maddr_strip_peer(&m));

	m = maddr(base + a + "/p2p-circuit" + b);
	ASSERT_TRUE(kp_maddr_peer(&m, &id));
	EXPECT_TRUE(kp_peer_id_eq(&id, &want));
	ASSERT_TRUE(kp_maddr_strip_peer(&m));
	EXPECT_EQ(maddr_text(m), base + a + "/p2p-circuit");
	kp_maddr same = maddr(base + a + "/p2p-circuit");
	EXPECT_EQ(memcmp(&m, &same, sizeof(m)), 0);

	m = maddr(b);
	ASSERT_TRUE(kp_maddr_strip_peer(&m));
	EXPECT_EQ(m.n, 0);
	EXPECT_FALSE(kp_maddr_strip_peer(&m));
	EXPECT_FALSE(kp_maddr_peer(&m, &id));
}

TEST(multiaddr, append_peer)
{
	kp_peer_id a = peer(id_a), b = peer(id_b), none = {};
	kp_maddr m = maddr("/ip4/1.2.3.4/tcp/80"), before = m;
	EXPECT_EQ(kp_maddr_append_peer(&m, &none), KP_E_INVAL);
	EXPECT_TRUE(kp_maddr_eq(&m, &before));
	ASSERT_EQ(kp_maddr_append_peer(&m, &a), KP_OK);
	EXPECT_EQ(maddr_text(m), std::string("/ip4/1.2.3.4/tcp/80/p2p/") + id_a);
	before = m;
	EXPECT_EQ(kp_maddr_append_peer(&m, &a), KP_OK);
	EXPECT_EQ(kp_maddr_append_peer(&m, &b), KP_E_INVAL);
	EXPECT_TRUE(kp_maddr_eq(&m, &before));

	kp_maddr empty = {};
	ASSERT_EQ(kp_maddr_append_peer(&empty, &b), KP_OK);
	EXPECT_EQ(maddr_text(empty), std::string("/p2p/") + id_b);

	m = maddr("/dns/" + std::string(220, 'a') + "/tcp/1");
	EXPECT_EQ(kp_maddr_append_peer(&m, &a), KP_E_TOOBIG);
	m = maddr("/unix/a");
	EXPECT_EQ(kp_maddr_append_peer(&m, &a), KP_E_INVAL);
}

TEST(multiaddr, from_ip)
{
	const uint8_t ip[16] = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
	kp_maddr m;
	memset(&m, 0xee, sizeof(m));
	kp_maddr_from_ip(4, ip, 4001, &m);
	EXPECT_EQ(maddr_text(m), "/ip4/32.1.13.184/tcp/4001");
	kp_maddr same = maddr("/ip4/32.1.13.184/tcp/4001");
	EXPECT_EQ(memcmp(&m, &same, sizeof(m)), 0);
	kp_maddr_from_ip(6, ip, 65535, &m);
	EXPECT_EQ(maddr_text(m), "/ip6/2001:db8::1/tcp/65535");
}

TEST(multiaddr, has_suffix_at_component_borders_only)
{
	std::string p = std::string("/p2p/") + id_a;
	kp_maddr m = maddr("/ip4/1.2.3.4/tcp/80" + p), suffix = maddr(p),
	         tcp = maddr("/tcp/80" + p), other = maddr(std::string("/p2p/") + id_b);
	EXPECT_TRUE(kp_maddr_has_suffix(&m, kp_slice_none()));
	EXPECT_TRUE(kp_maddr_has_suffix(&m, kp_maddr_slice(&suffix)));
	EXPECT_TRUE(kp_maddr_has_suffix(&m, kp_maddr_slice(&tcp)));
	EXPECT_TRUE(kp_maddr_has_suffix(&m, kp_maddr_slice(&m)));
	EXPECT_FALSE(kp_maddr_has_suffix(&m, kp_maddr_slice(&other)));
	EXPECT_FALSE(kp_maddr_has_suffix(&suffix, kp_maddr_slice(&m)));
	/* the last bytes of the peer id look like a component, but are not one */
	kp_maddr tail = maddr("/ip4/1.2.4.6/tcp/80");
	EXPECT_FALSE(kp_maddr_has_suffix(&tail, kp_slice_of(tail.b + 3, tail.n - 3u)));
}

TEST(multiaddr, tcp_targets)
{
	std::string p = std::string("/p2p/") + id_a;
	static const struct {
		const char *text;
		kp_maddr_code kind;
		const char *host; /* text, or hex of the address bytes */
		int port;         /* -1: none */
		bool peer;
	} rows[] = {
	        {"/ip4/1.2.3.4/tcp/80", KP_MADDR_IP4, "01020304", 80, false},
	        {"/ip4/1.2.3.4/tcp/0", KP_MADDR_IP4, "01020304", 0, false},
	        {"/ip4/1.2.3.4/tcp/65535#", KP_MADDR_IP4, "01020304", 65535, true},
	        {"/ip6/::1/tcp/80#", KP_MADDR_IP6, "00000000000000000000000000000001", 80, true},
	        {"/dns/a.b/tcp/80", KP_MADDR_DNS, "a.b", 80, false},
	        {"/dns4/a.b/tcp/80#", KP_MADDR_DNS4, "a.b", 80, true},
	        {"/dns6/a.b/tcp/80", KP_MADDR_DNS6, "a.b", 80, false},
	        {"/dnsaddr/a.b", KP_MADDR_DNSADDR, "a.b", -1, false},
	        {"/dnsaddr/a.b#", KP_MADDR_DNSADDR, "a.b", -1, true},
	        {"/dnsaddr/a.b/tcp/80#", KP_MADDR_DNSADDR, "a.b", 80, true},
	};
	kp_peer_id a = peer(id_a);
	for (const auto &row : rows) {
		SCOPED_TRACE(row.text);
		std::string text = row.text;
		if (text.back() == '#')
			text = text.substr(0, text.size() - 1) + p;
		kp_maddr m = maddr(text);
		kp_maddr_target t;
		memset(&t, 0xee, sizeof(t));
		ASSERT_TRUE(kp_maddr_tcp_target(&m, &t));
		EXPECT_EQ(t.kind, row.kind);
		if (row.kind == KP_MADDR_IP4 || row.kind == KP_MADDR_IP6) {
			size_t n = row.kind == KP_MADDR_IP4 ? 4 : 16;
			EXPECT_EQ(hex(t.ip, n), row.host);
			EXPECT_EQ(t.host.p, nullptr);
			EXPECT_EQ(hex(t.ip + n, 16 - n), std::string((16 - n) * 2, '0'));
		} else {
			EXPECT_EQ(text_of(t.host), row.host);
		}
		EXPECT_EQ(t.has_port, row.port >= 0);
		EXPECT_EQ(t.port, row.port >= 0 ? row.port : 0);
		EXPECT_EQ(kp_peer_id_none(&t.peer), !row.peer);
		if (row.peer) {
			EXPECT_TRUE(kp_peer_id_eq(&t.peer, &a));
		}
	}
}

TEST(multiaddr, everything_else_is_no_tcp_target)
{
	std::string p = std::string("/p2p/") + id_a;
	for (const std::string &text :
	     {std::string("/ip4/1.2.3.4"), std::string("/ip4/1.2.3.4/udp/80"),
	      std::string("/ip4/1.2.3.4/tcp/80/ws"), std::string("/ip4/1.2.3.4/tcp/80/tls"),
	      std::string("/ip4/1.2.3.4/tcp/80/tcp/81"), "/ip4/1.2.3.4/tcp/80" + p + "/p2p-circuit",
	      "/ip4/1.2.3.4/tcp/80" + p + "/p2p-circuit" + p, "/ip4/1.2.3.4" + p,
	      "/ip4/1.2.3.4/tcp/80" + p + p, p, std::string("/tcp/80"),
	      std::string("/ip6zone/e/ip6/fe80::1/tcp/1"), std::string("/dns4/a"),
	      std::string("/dnsaddr/a/ws"), std::string("/unix/a"), std::string("/memory/1"),
	      std::string("/ip4/1.2.3.4/udp/80/quic-v1")}) {
		kp_maddr m = maddr(text);
		kp_maddr_target t;
		EXPECT_FALSE(kp_maddr_tcp_target(&m, &t)) << text;
	}
	kp_maddr none = {};
	kp_maddr_target t;
	EXPECT_FALSE(kp_maddr_tcp_target(&none, &t));
}

TEST(multiaddr, scopes)
{
	static const struct {
		const char *ip;
		kp_ip_scope scope;
	} rows[] = {
	        {"0.0.0.0", KP_SCOPE_UNSPECIFIED},
	        {"0.0.0.1", KP_SCOPE_RESERVED},
	        {"8.8.8.8", KP_SCOPE_PUBLIC},
	        {"9.255.255.255", KP_SCOPE_PUBLIC},
	        {"10.0.0.0", KP_SCOPE_PRIVATE},
	        {"10.255.255.255", KP_SCOPE_PRIVATE},
	        {"11.0.0.0", KP_SCOPE_PUBLIC},
	        {"100.63.255.255", KP_SCOPE_PUBLIC},
	        {"100.64.0.0", KP_SCOPE_PRIVATE},
	        {"100.127.255.255", KP_SCOPE_PRIVATE},
	        {"100.128.0.0", KP_SCOPE_PUBLIC},
	        {"127.0.0.1", KP_SCOPE_LOOPBACK},
	        {"127.255.255.255", KP_SCOPE_LOOPBACK},
	        {"169.254.1.1", KP_SCOPE_LINK_LOCAL},
	        {"172.15.255.255", KP_SCOPE_PUBLIC},
	        {"172.16.0.0", KP_SCOPE_PRIVATE},
	        {"172.31.255.255", KP_SCOPE_PRIVATE},
	        {"172.32.0.0", KP_SCOPE_PUBLIC},
	        {"192.0.2.1", KP_SCOPE_RESERVED},
	        {"192.167.255.255", KP_SCOPE_PUBLIC},
	        {"192.168.0.1", KP_SCOPE_PRIVATE},
	        {"198.17.255.255", KP_SCOPE_PUBLIC},
	        {"198.18.0.0", KP_SCOPE_RESERVED},
	        {"198.19.255.255", KP_SCOPE_RESERVED},
	        {"198.20.0.0", KP_SCOPE_PUBLIC},
	        {"203.0.113.9", KP_SCOPE_RESERVED},
	        {"223.255.255.255", KP_SCOPE_PUBLIC},
	        {"224.0.0.1", KP_SCOPE_RESERVED},
	        {"239.255.255.255", KP_SCOPE_RESERVED},
	        {"240.0.0.0", KP_SCOPE_RESERVED},
	        {"255.255.255.255", KP_SCOPE_RESERVED},
	        {"::", KP_SCOPE_UNSPECIFIED},
	        {"::1", KP_SCOPE_LOOPBACK},
	        {"::2", KP_SCOPE_RESERVED},
	        {"::ffff:127.0.0.1", KP_SCOPE_LOOPBACK},
	        {"::ffff:8.8.8.8", KP_SCOPE_PUBLIC},
	        {"64:ff9b::10.0.0.1", KP_SCOPE_PRIVATE},
	        {"64:ff9b::8.8.8.8", KP_SCOPE_PUBLIC},
	        {"64:ff9b:1::1", KP_SCOPE_PRIVATE},
	        {"100::1", KP_SCOPE_RESERVED},
	        {"2001::1", KP_SCOPE_RESERVED},
	        {"2001:db8::1", KP_SCOPE_RESERVED},
	        {"2001:4860::8888", KP_SCOPE_PUBLIC},
	        {"2a00::1", KP_SCOPE_PUBLIC},
	        {"3ffe::1", KP_SCOPE_PUBLIC},
	        {"3fff::1", KP_SCOPE_RESERVED},
	        {"4000::1", KP_SCOPE_RESERVED},
	        {"fbff::1", KP_SCOPE_RESERVED},
	        {"fc00::1", KP_SCOPE_PRIVATE},
	        {"fdff::1", KP_SCOPE_PRIVATE},
	        {"fe7f::1", KP_SCOPE_RESERVED},
	        {"fe80::1", KP_SCOPE_LINK_LOCAL},
	        {"febf::1", KP_SCOPE_LINK_LOCAL},
	        {"fec0::1", KP_SCOPE_PRIVATE},
	        {"ff02::1", KP_SCOPE_RESERVED},
	};
	for (const auto &row : rows) {
		bool six = std::string(row.ip).find(':') != std::string::npos;
		kp_maddr m = maddr(std::string(six ? "/ip6/" : "/ip4/") + row.ip + "/tcp/1");
		EXPECT_EQ(kp_maddr_scope(&m), row.scope) << row.ip;
	}
	kp_maddr none = {}, dns = maddr("/dns/a/tcp/1"), zone = maddr("/ip6zone/e/ip6/fe80::1");
	EXPECT_EQ(kp_maddr_scope(&none), KP_SCOPE_NONE);
	EXPECT_EQ(kp_maddr_scope(&dns), KP_SCOPE_NONE);
	EXPECT_EQ(kp_maddr_scope(&zone), KP_SCOPE_NONE);
}

TEST(multiaddr, what_a_teller_may_tell)
{
	static const struct {
		const char *addr;
		bool to_link_local, to_public;
	} rows[] = {
	        {"/ip4/8.8.8.8/tcp/1", true, true},
	        {"/ip4/10.0.0.1/tcp/1", true, false},
	        {"/ip4/127.0.0.1/tcp/1", false, false},
	        {"/ip4/0.0.0.0/tcp/1", false, false},
	        {"/dns/a/tcp/1", true, true},
	        {"/dns4/a/tcp/1", true, true},
	        {"/dns6/a/tcp/1", true, true},
	        {"/dnsaddr/a", true, true},
	        {"/unix/a", true, false},
	};
	for (const auto &row : rows) {
		kp_maddr m = maddr(row.addr);
		EXPECT_TRUE(kp_maddr_fits_scope(&m, KP_SCOPE_LOOPBACK)) << row.addr;
		EXPECT_EQ(kp_maddr_fits_scope(&m, KP_SCOPE_LINK_LOCAL), row.to_link_local)
		        << row.addr;
		EXPECT_EQ(kp_maddr_fits_scope(&m, KP_SCOPE_PRIVATE), row.to_link_local) << row.addr;
		EXPECT_EQ(kp_maddr_fits_scope(&m, KP_SCOPE_PUBLIC), row.to_public) << row.addr;
	}
	kp_maddr none = {};
	EXPECT_FALSE(kp_maddr_fits_scope(&none, KP_SCOPE_PUBLIC));
}

/* ---- IP texts ---- */

static std::string ip6(const std::string &text)
{
	Exact exact(text);
	uint8_t ip[16];
	if (!kp_ip6_parse(exact.s(), ip))
		return "-";
	return text_of(written([&](kp_writer *w) { kp_ip6_write(w, ip); }));
}

TEST(ip_text, ip6_canonical)
{
	static const struct {
		const char *text, *canonical;
	} rows[] = {
	        {"::", "::"},
	        {"0:0:0:0:0:0:0:0", "::"},
	        {"::1", "::1"},
	        {"1::", "1::"},
	        {"1::8", "1::8"},
	        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
	        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
	        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
	        {"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
	        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
	        {"0:0:1::", "0:0:1::"},
	        {"00ab:0:0:0:0:0:0:1", "ab::1"},
	        {"::ffff:1.2.3.4", "::ffff:1.2.3.4"},
	        {"::ffff:102:304", "::ffff:1.2.3.4"},
	        {"::1.2.3.4", "::102:304"},
	        {"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
	        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
	        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};
	for (const auto &row : rows) {
		EXPECT_EQ(ip6(row.text), row.canonical) << row.text;
		EXPECT_EQ(ip6(row.canonical), row.canonical);
	}
}

TEST(ip_text, ip6_bad_input)
{
	for (const char *text : {"",
	                         ":",
	                         ":::",
	                         "1",
	                         "1:",
	                         ":1",
	                         "1:2:3:4:5:6:7",
	                         "1:2:3:4:5:6:7:",
	                         ":2:3:4:5:6:7:8",
	                         "1:2:3:4:5:6:7:8:9",
	                         "1:2:3:4:5:6:7:8::",
	                         "::1:2:3:4:5:6:7:8",
	                         "1:2:3:4::5:6:7:8",
	                         "1::2::3",
	                         "1:::2",
	                         "::g",
	                         "12345::",
	                         "::1 ",
	                         " ::1",
	                         "::1%1",
	                         "[::1]",
	                         "1.2.3.4",
	                         "1.2.3.4::",
	                         "::1.2.3",
	                         "::1.2.3.4.5",
	                         "::1.2.3.4:5",
	                         "1:2:3:4:5:6:7:1.2.3.4",
	                         "::01.2.3.4",
	                         "1.2.3.4:1:2:3:4:5:6",
	                         "-1::",
	                         "0x1::"})
		EXPECT_EQ(ip6(text), "-") << text;
}

TEST(ip_text, ip4)
{
	auto ip4 = [](const std::string &text) -> std::string {
		Exact exact(text);
		uint8_t ip[4];
		if (!kp_ip4_parse(exact.s(), ip))
			return "-";
		return text_of(written([&](kp_writer *w) { kp_ip4_write(w, ip); }));
	};
	for (const char *text : {"0.0.0.0", "1.2.3.4", "255.255.255.255", "10.20.30.40"})
		EXPECT_EQ(ip4(text), text);
	for (const char *text :
	     {"", "1", "1.2.3", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4.", "1.2.3.4.5", "256.1.1.1",
	      "1.2.3.256", "01.2.3.4", "1.2.3.04", "00.0.0.0", "1.2.3.4 ", "+1.2.3.4", "1.2.3.-4",
	      "0x1.2.3.4", "1111.2.3.4", "99999999999.2.3.4"})
		EXPECT_EQ(ip4(text), "-") << text;
}
