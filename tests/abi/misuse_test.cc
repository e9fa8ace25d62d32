/* Every case of tests/misuse.json: the code, and a text that names what is wrong. The
 * tests of the bindings drive the same table; its form is described in its first lines. */
#include "abi_kit.h"

#include <map>

namespace
{

using kit::Error;
using kit::Node;
using vectors::Json;

const Json &table()
{
	static const Json t = vectors::parse(kit::read_file(kit::source("tests/misuse.json")));
	return t;
}

kit::Keys keys_of(const Json &list)
{
	kit::Keys keys;
	for (const Json &pair : list)
		keys.emplace_back(pair[size_t{0}].str(), pair[1].str());
	return keys;
}

/* What a case is played on. */
struct Stage {
	std::unique_ptr<Node> node;
	kp2p_config *config = kp2p_config_new();
	std::string taken; /* an address that somebody listens on */

	explicit Stage(const Json &c)
	{
		static Node other;
		taken = other.address().substr(0, other.address().find("/p2p/"));
		const std::string &state = c["state"].str();
		if (state == "none")
			return;
		if (c.has("keys"))
			node = std::make_unique<Node>(fill(keys_of(c["keys"])), false);
		else
			node = std::make_unique<Node>(keys_of(table()["keys"]), false);
		node->sender();
		if (state == "running" || state == "closed")
			node->start();
		if (state == "closed") {
			EXPECT_EQ(node->close(0), 0);
		}
	}
	~Stage()
	{
		kp2p_config_free(config);
	}
	std::string fill(std::string s) const
	{
		size_t at = s.find("{taken}");
		return at == std::string::npos ? s : s.replace(at, 7, taken);
	}
	kit::Keys fill(kit::Keys keys) const
	{
		for (auto &pair : keys)
			pair.second = fill(pair.second);
		return keys;
	}
};

/* The arguments of a call by name; what is missing has a harmless value. */
struct Args {
	const Json &a;
	const Stage &stage;
	std::string bytes(const char *name) const
	{
		return a.has(name) ? stage.fill(kit::table_bytes(a[name])) : std::string();
	}
	int64_t number(const char *name, int64_t otherwise = 0) const
	{
		return a.has(name) ? a[name].number() : otherwise;
	}
	int integer(const char *name, int64_t otherwise = 0) const
	{
		return static_cast<int>(number(name, otherwise));
	}
};

using Call = std::function<int(Stage &, const Args &, kp2p_error **)>;

/* Of a function that returns a text: 0, or the code of the error. */
int text_code(char *text, kp2p_error **err)
{
	bool ok = text != nullptr;
	kp2p_free(text);
	return ok ? 0 : kp2p_error_code(*err);
}

int call_node_new(Stage &s, const Args &a, kp2p_error **err)
{
	kp2p_config *c = kit::make_config(s.fill(keys_of(a.a["keys"])));
	kp2p_node *n = kp2p_node_new(c, err);
	kp2p_config_free(c);
	int code = n != nullptr ? 0 : kp2p_error_code(*err);
	kp2p_node_free(n);
	return code;
}

int call_publish_batch(Stage &s, const Args &a, kp2p_error **err)
{
	std::vector<uint32_t> lens;
	for (const Json &len : a.a["lens"])
		lens.push_back(static_cast<uint32_t>(len.number()));
	std::string buf = a.bytes("buf");
	return kp2p_sender_publish_batch(s.node->sender(), a.bytes("topic").c_str(), buf.data(),
	                                 lens.data(), lens.size(), a.number("token"),
	                                 a.integer("timeout_ms"), err);
}

int call_send(Stage &s, const Args &a, kp2p_error **err)
{
	std::string data = a.bytes("data");
	return kp2p_sender_send(s.node->sender(), a.bytes("peer").c_str(),
	                        a.bytes("protocol").c_str(), data.data(), data.size(),
	                        a.number("token"), a.integer("timeout_ms"), err);
}

int call_publish(Stage &s, const Args &a, kp2p_error **err)
{
	std::string data = a.bytes("data");
	return kp2p_sender_publish(s.node->sender(), a.bytes("topic").c_str(), data.data(),
	                           data.size(), a.number("token"), a.integer("timeout_ms"), err);
}

int call_request(Stage &s, const Args &a, kp2p_error **err)
{
	std::string arg = a.bytes("arg"), data = a.bytes("data");
	return kp2p_node_request(*s.node, a.integer("op"), arg.data(), arg.size(), data.data(),
	                         data.size(), a.integer("timeout_ms"), a.number("token"), err);
}

int call_poll_batch(Stage &s, const Args &a, kp2p_error **)
{
	std::vector<kp2p_event *> ev(static_cast<size_t>(a.number("max", 4)) + 1);
	return kp2p_node_poll_batch(*s.node, a.integer("inbox"), ev.data(), ev.size() - 1,
	                            a.integer("timeout_ms"));
}

int call_poll(Stage &s, const Args &a, kp2p_error **)
{
	kit::Event ev(kp2p_node_poll(*s.node, a.integer("inbox"), a.integer("timeout_ms")));
	return ev.type() == KP2P_EV_CLOSED ? ev.code() : 0;
}

int call_listen(Stage &s, const Args &a, kp2p_error **err)
{
	auto cb = [](kp2p_event *, void *) { return 1; };
	return kp2p_node_listen(*s.node, a.integer("inbox"), cb, nullptr, err);
}

const std::map<std::string, Call> calls = {
        {"kp2p_config_set",
         [](Stage &s, const Args &a, kp2p_error **err) {
	         return kp2p_config_set(s.config, a.bytes("key").c_str(), a.bytes("value").c_str(),
	                                err);
         }},
        {"kp2p_key_generate",
         [](Stage &, const Args &a, kp2p_error **err) {
	         return text_code(kp2p_key_generate(a.integer("type"), err), err);
         }},
        {"kp2p_key_peer_id",
         [](Stage &, const Args &a, kp2p_error **err) {
	         return text_code(kp2p_key_peer_id(a.bytes("key").c_str(), err), err);
         }},
        {"kp2p_peer_id_parse",
         [](Stage &, const Args &a, kp2p_error **err) {
	         return text_code(kp2p_peer_id_parse(a.bytes("text").c_str(), err), err);
         }},
        {"kp2p_node_new", call_node_new},
        {"kp2p_node_start",
         [](Stage &s, const Args &, kp2p_error **err) { return kp2p_node_start(*s.node, err); }},
        {"kp2p_sender_publish", call_publish},
        {"kp2p_sender_publish_batch", call_publish_batch},
        {"kp2p_sender_send", call_send},
        {"kp2p_node_request", call_request},
        {"kp2p_node_poll", call_poll},
        {"kp2p_node_poll_batch", call_poll_batch},
        {"kp2p_node_listen", call_listen},
        {"kp2p_node_inbox_fd",
         [](Stage &s, const Args &a, kp2p_error **) {
	         return kp2p_node_inbox_fd(*s.node, a.integer("inbox"));
         }},
        {"kp2p_node_verdict",
         [](Stage &s, const Args &a, kp2p_error **) {
	         return kp2p_node_verdict(*s.node, a.number("token"), a.integer("verdict"));
         }},
        {"kp2p_node_cancel",
         [](Stage &s, const Args &a, kp2p_error **) {
	         return kp2p_node_cancel(*s.node, a.number("token"));
         }},
        {"kp2p_node_info",
         [](Stage &s, const Args &a, kp2p_error **err) {
	         return text_code(kp2p_node_info(*s.node, a.bytes("what").c_str(), err), err);
         }},
};

/* Functions without an error object tell only the code. */
bool has_text(const std::string &call)
{
	static const std::set<std::string> without = {"kp2p_node_poll", "kp2p_node_poll_batch",
	                                              "kp2p_node_inbox_fd", "kp2p_node_verdict",
	                                              "kp2p_node_cancel"};
	return without.count(call) == 0;
}

int play(Stage &s, const Json &step, kp2p_error **err)
{
	auto it = calls.find(step["call"].str());
	if (it == calls.end()) {
		ADD_FAILURE() << "no such call: " << step["call"].str();
		return 0;
	}
	return it->second(s, Args{step["args"], s}, err);
}

void expect_case(const Json &c)
{
	Stage s(c);
	if (c.has("before")) {
		for (const Json &step : c["before"]) {
			Error err;
			EXPECT_GE(play(s, step, err), 0) << err.text();
		}
	}
	Error err;
	EXPECT_EQ(play(s, c, err), kit::code_of(c["code"].str())) << err.text();
	if (!has_text(c["call"].str())) {
		EXPECT_EQ(c["words"].size(), 0u) << "there is no text";
		return;
	}
	EXPECT_EQ(err.code(), kit::code_of(c["code"].str()));
	EXPECT_NE(err.text(), "");
	EXPECT_NE(err.text(), kp2p_strerror(err.code())) << "says no more than the code";
	EXPECT_GT(c["words"].size(), 0u) << "a case must ask for what the text names";
	for (const Json &word : c["words"])
		EXPECT_NE(err.text().find(s.fill(word.str())), std::string::npos)
		        << "'" << word.str() << "' in: " << err.text();
}

TEST(Misuse, EveryCaseOfTheTable)
{
	std::set<std::string> names;
	ASSERT_GE(table()["cases"].size(), 60u);
	for (const Json &c : table()["cases"]) {
		SCOPED_TRACE(c["name"].str());
		EXPECT_TRUE(names.insert(c["name"].str()).second);
		expect_case(c);
	}
}

/* What only C can do wrong. */
TEST(Misuse, NullArguments)
{
	Node n;
	kp2p_config *c = kp2p_config_new();
	const uint32_t lens[] = {3}, empty[] = {0, 0};
	const std::pair<const char *, std::function<void(kp2p_error **)>> cases[] = {
	        {"config", [](kp2p_error **e) { kp2p_config_set(nullptr, "topic", "t", e); }},
	        {"key", [&](kp2p_error **e) { kp2p_config_set(c, nullptr, "t", e); }},
	        {"topic", [&](kp2p_error **e) { kp2p_config_set(c, "topic", nullptr, e); }},
	        {"config", [](kp2p_error **e) { kp2p_node_new(nullptr, e); }},
	        {"node", [](kp2p_error **e) { kp2p_node_start(nullptr, e); }},
	        {"node", [](kp2p_error **e) { kp2p_sender_new(nullptr, e); }},
	        {"node", [](kp2p_error **e) { kp2p_node_info(nullptr, "self", e); }},
	        {"what", [&](kp2p_error **e) { kp2p_node_info(n, nullptr, e); }},
	        {"key", [](kp2p_error **e) { kp2p_key_peer_id(nullptr, e); }},
	        {"text", [](kp2p_error **e) { kp2p_peer_id_parse(nullptr, e); }},
	        {"sender",
	         [](kp2p_error **e) { kp2p_sender_publish(nullptr, "t", "x", 1, 0, 0, e); }},
	        {"topic",
	         [&](kp2p_error **e) {
		         kp2p_sender_publish(n.sender(), nullptr, "x", 1, 0, 0, e);
	         }},
	        {"data",
	         [&](kp2p_error **e) {
		         kp2p_sender_publish(n.sender(), "t", nullptr, 1, 0, 0, e);
	         }},
	        {"lens",
	         [&](kp2p_error **e) {
		         kp2p_sender_publish_batch(n.sender(), "t", "x", nullptr, 1, 0, 0, e);
	         }},
	        {"buf",
	         [&](kp2p_error **e) {
		         kp2p_sender_publish_batch(n.sender(), "t", nullptr, lens, 1, 0, 0, e);
	         }},
	        {"peer",
	         [&](kp2p_error **e) {
		         kp2p_sender_send(n.sender(), nullptr, "/p/1", "x", 1, 0, 0, e);
	         }},
	        {"protocol",
	         [&](kp2p_error **e) {
		         kp2p_sender_send(n.sender(), n.id().c_str(), nullptr, "x", 1, 0, 0, e);
	         }},
	        {"arg",
	         [&](kp2p_error **e) {
		         kp2p_node_request(n, KP2P_OP_SUBSCRIBE, nullptr, 1, nullptr, 0, 0, 0, e);
	         }},
	        {"data",
	         [&](kp2p_error **e) {
		         kp2p_node_request(n, KP2P_OP_SUBSCRIBE, "t", 1, nullptr, 4, 0, 0, e);
	         }},
	        {"cb", [&](kp2p_error **e) { kp2p_node_listen(n, 0, nullptr, nullptr, e); }},
	};
	for (const auto &[word, call] : cases) {
		Error err;
		call(err);
		EXPECT_EQ(err.code(), KP2P_EINVAL) << word;
		EXPECT_NE(err.text().find(word), std::string::npos) << word << ": " << err.text();
	}
	kp2p_config_free(c);
	size_t used;
	kp2p_event *ev[1];
	EXPECT_EQ(kp2p_node_poll_batch(n, 0, nullptr, 1, 0), KP2P_EINVAL);
	EXPECT_EQ(kp2p_node_poll_batch(n, 0, ev, 0, 0), KP2P_EINVAL);
	EXPECT_EQ(kp2p_node_poll_packed(n, 0, nullptr, 10, &used, 0), KP2P_EINVAL);
	EXPECT_EQ(n.publish("t", ""), 0) << "no data is fine when its length is 0";
	EXPECT_EQ(kp2p_sender_publish_batch(n.sender(), "t", nullptr, empty, 2, 0, 0, nullptr), 2);
}

} // namespace
