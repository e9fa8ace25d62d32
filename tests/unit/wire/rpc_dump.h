/* An RPC as one line of text, from bytes and from a vector's fields, to compare the two. Items are
 * sorted by kind, in wire order within a kind. */
#ifndef KP_TEST_RPC_DUMP_H
#define KP_TEST_RPC_DUMP_H

#include <map>
#include <string>

#include "wire/rpc.h"
#include "wire/wire_test.h"

inline std::string opt_hex(kp_slice s)
{
	return s.p == nullptr ? "-" : hex(s);
}

inline std::string opt_hex(const Json &hex_text)
{
	return hex_text.is_null() ? "-" : hex_text.str();
}

inline std::string opt_text(const Json &text)
{
	return text.is_null() ? "-" : hex(bytes_of(text.str()));
}

inline std::string message_dump(const kp_rpc_message &m)
{
	return "{" + opt_hex(m.from) + " " + opt_hex(m.data) + " " + opt_hex(m.seqno) + " " +
	       opt_hex(m.topic) + " " + opt_hex(m.signature) + " " + opt_hex(m.key) + "}";
}

inline std::string message_dump(const Json &m)
{
	return "{" + opt_hex(m["from"]) + " " + opt_hex(m["data"]) + " " + opt_hex(m["seqno"]) +
	       " " + opt_text(m["topic"]) + " " + opt_hex(m["signature"]) + " " +
	       opt_hex(m["key"]) + "}";
}

inline std::string item_dump(const kp_rpc_item &item)
{
	std::string out = "{" + opt_hex(item.topic);
	if (item.kind == KP_RPC_SUBOPT)
		out += item.subscribe ? " on" : " off";
	if (item.has_backoff)
		out += " backoff " + std::to_string(item.backoff);
	kp_rpc_ids ids = item.ids;
	kp_slice id;
	while (kp_rpc_next_id(&ids, &id))
		out += " id " + hex(id);
	if (item.kind == KP_RPC_PRUNE) {
		kp_slice rest = item.px;
		kp_rpc_px px;
		while (kp_rpc_next_px(&rest, &px))
			out += " px " + opt_hex(px.id) + " " + opt_hex(px.record);
	}
	if (item.kind == KP_RPC_EXTENSIONS)
		return "{}";
	return out + "}";
}

inline std::string rpc_dump(kp_slice rpc)
{
	std::map<kp_rpc_kind, std::string> kinds;
	kp_rpc_walk walk = kp_rpc_walk_of(rpc);
	kp_rpc_item item;
	while (kp_rpc_next(&walk, &item)) {
		kp_rpc_message m;
		if (item.kind == KP_RPC_MESSAGE) {
			EXPECT_EQ(kp_rpc_message_parse(item.raw, &m), KP_OK);
			kinds[item.kind] += message_dump(m);
		} else {
			kinds[item.kind] += item_dump(item);
		}
	}
	EXPECT_EQ(walk.err, KP_OK);
	std::string out;
	for (const auto &kind : kinds)
		out += std::to_string(kind.first) + kind.second + " ";
	return out;
}

inline std::string item_dump(const Json &item)
{
	std::string out = "{" + opt_text(item["topic"]);
	if (item.has("subscribe"))
		out += item["subscribe"].boolean() ? " on" : " off";
	if (item.has("backoff"))
		out += " backoff " + item["backoff"].str();
	if (item.has("message_ids"))
		for (const Json &id : item["message_ids"])
			out += " id " + id.str();
	if (item.has("peers"))
		for (const Json &px : item["peers"])
			out += " px " + opt_hex(px["peer_id"]) + " " +
			       opt_hex(px["signed_peer_record"]);
	return out + "}";
}

inline std::string rpc_dump(const Json &fields)
{
	static const struct {
		kp_rpc_kind kind;
		const char *name;
		bool control;
	} lists[] = {
	        {KP_RPC_SUBOPT, "subscriptions", false}, {KP_RPC_MESSAGE, "publish", false},
	        {KP_RPC_IHAVE, "ihave", true},           {KP_RPC_IWANT, "iwant", true},
	        {KP_RPC_GRAFT, "graft", true},           {KP_RPC_PRUNE, "prune", true},
	        {KP_RPC_IDONTWANT, "idontwant", true},
	};
	static const Json none = vectors::parse("{}");
	const Json &control = fields.has("control") ? fields["control"] : none;
	std::map<kp_rpc_kind, std::string> kinds;
	for (const auto &list : lists) {
		const Json &from = list.control ? control : fields;
		if (!from.has(list.name))
			continue;
		for (const Json &item : from[list.name])
			kinds[list.kind] +=
			        list.kind == KP_RPC_MESSAGE ? message_dump(item) : item_dump(item);
	}
	if (control.has("extensions"))
		kinds[KP_RPC_EXTENSIONS] += "{}";
	std::string out;
	for (const auto &kind : kinds)
		out += std::to_string(kind.first) + kind.second + " ";
	return out;
}

#endif
