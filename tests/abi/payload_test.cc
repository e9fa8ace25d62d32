/* Every case of tests/payloads.json: any bytes arrive as they were given, up to the limit and no
 * further. The tests of the bindings drive the same table. */
#include "abi_kit.h"

namespace
{

using kit::Event;
using kit::local;
using kit::Node;
using vectors::Json;

const Json &table()
{
	static const Json t = vectors::parse(kit::read_file(kit::source("tests/payloads.json")));
	return t;
}

void expect_arrives(Node &a, Node &b, const std::string &topic, const std::string &payload)
{
	static int64_t token;
	ASSERT_EQ(a.publish(topic, payload, ++token), 0);
	Event done = a.wait_final(token);
	ASSERT_TRUE(done);
	EXPECT_EQ(done.code(), 0) << kp2p_strerror(done.code());
	EXPECT_EQ(done.bytes(KP2P_F_TOPIC), topic);
	Event m = b.wait_type(KP2P_EV_MESSAGE);
	ASSERT_TRUE(m);
	EXPECT_EQ(m.bytes(KP2P_F_TOPIC), topic);
	EXPECT_TRUE(m.has(KP2P_F_PAYLOAD)) << "empty is not missing";
	EXPECT_TRUE(m.bytes(KP2P_F_PAYLOAD) == payload) << "other bytes arrived";
	EXPECT_FALSE(m.has(KP2P_F_PROTOCOL));
}

void expect_refused(Node &a, const Json &c, const std::string &topic, const std::string &payload)
{
	kit::Error err;
	EXPECT_EQ(kp2p_sender_publish(a.sender(), topic.c_str(), payload.data(), payload.size(), 0,
	                              0, err),
	          kit::code_of(c["result"].str()));
	EXPECT_NE(err.text(), "");
	for (const Json &word : c["words"])
		EXPECT_NE(err.text().find(word.str()), std::string::npos)
		        << "'" << word.str() << "' in: " << err.text();
}

TEST(Payloads, EveryCaseOfTheTable)
{
	kit::Keys keys;
	for (const Json &pair : table()["keys"])
		keys.emplace_back(pair[size_t{0}].str(), pair[1].str());
	Node a(local(keys)), b(local(keys));
	a.connect(b);
	size_t arrived = 0;
	ASSERT_GE(table()["cases"].size(), 20u);
	for (const Json &c : table()["cases"]) {
		SCOPED_TRACE(c["name"].str());
		std::string topic = kit::table_bytes(c["topic"]);
		std::string payload = kit::table_bytes(c["payload"]);
		if (c["result"].str() != "ok") {
			expect_refused(a, c, topic, payload);
			continue;
		}
		b.must(KP2P_OP_SUBSCRIBE, topic);
		expect_arrives(a, b, topic, payload);
		arrived++;
	}
	EXPECT_GE(arrived, 15u);
	EXPECT_EQ(b.stat("inbox_dropped"), 0);
}

/* The same bytes by direct message, which has no topic and no RPC around it. */
TEST(Payloads, DirectMessagesCarryThemToo)
{
	Node a, b;
	b.must(KP2P_OP_ADD_PROTOCOL, "/bytes/1");
	a.connect(b);
	std::string id = b.id();
	for (const Json &c : table()["cases"]) {
		if (c["result"].str() != "ok")
			continue;
		std::string payload = kit::table_bytes(c["payload"]);
		SCOPED_TRACE(c["name"].str());
		ASSERT_EQ(a.send(id, "/bytes/1", payload), 0);
		Event m = b.wait_type(KP2P_EV_MESSAGE);
		ASSERT_TRUE(m);
		EXPECT_TRUE(m.has(KP2P_F_PAYLOAD));
		EXPECT_TRUE(m.bytes(KP2P_F_PAYLOAD) == payload);
	}
	std::string largest(65536, 'x');
	EXPECT_EQ(a.send(id, "/bytes/1", largest), 0);
	EXPECT_TRUE(b.wait_message(largest));
	kit::Error err;
	largest += 'x';
	EXPECT_EQ(kp2p_sender_send(a.sender(), id.c_str(), "/bytes/1", largest.data(),
	                           largest.size(), 0, 0, err),
	          KP2P_ETOOBIG);
	EXPECT_NE(err.text().find("65537"), std::string::npos) << err.text();
	EXPECT_NE(err.text().find("65536"), std::string::npos) << err.text();
}

/* What an event lacks is missing, not empty. */
TEST(Payloads, MissingIsNotEmpty)
{
	Node n;
	Event ev = n.wait_type(KP2P_EV_LISTEN);
	ASSERT_TRUE(ev);
	for (int field : {KP2P_F_TOPIC, KP2P_F_PAYLOAD, KP2P_F_FROM, KP2P_F_KEY, KP2P_F_VALUE}) {
		kp2p_bytes b = kp2p_event_bytes(ev.get(), field);
		EXPECT_EQ(b.ptr, nullptr) << field;
		EXPECT_EQ(b.len, 0u) << field;
	}
}

} // namespace
