/* See harness.h. */
#include "gossipsub/harness.h"

#include <cstring>

#include "wire/msgid.h"
#include "wire/varint.h"

static kp_slice of(const std::string &s)
{
	return kp_slice_of(s.data(), s.size());
}

static std::string str(kp_slice s)
{
	return std::string((const char *)s.p, s.n);
}

static std::string built(const std::function<void(kp_rpc_builder *)> &put)
{
	static std::vector<uint8_t> buf((1u << 20) + KP_RPC_BUILDER_ROOM);
	kp_rpc_builder b;
	kp_rpc_begin(&b, buf.data(), buf.size(), 1u << 20);
	put(&b);
	return str(kp_rpc_end(&b));
}

static std::vector<kp_slice> slices(const std::vector<std::string> &v)
{
	std::vector<kp_slice> out;
	for (const std::string &s : v)
		out.push_back(of(s));
	return out;
}

std::string rpc_sub(const std::string &topic, bool on)
{
	return built([&](kp_rpc_builder *b) { kp_rpc_put_subopt(b, on, of(topic)); });
}

std::string rpc_graft(const std::string &topic)
{
	return built([&](kp_rpc_builder *b) { kp_rpc_put_graft(b, of(topic)); });
}

std::string rpc_prune(const std::string &topic, int64_t backoff_s,
                      const std::vector<std::pair<std::string, std::string>> &px)
{
	std::vector<kp_rpc_px> offers;
	for (auto &p : px)
		offers.push_back({of(p.first), p.second.empty() ? kp_slice_none() : of(p.second)});
	kp_rpc_prune p = {of(topic), backoff_s >= 0, backoff_s >= 0 ? (uint64_t)backoff_s : 0,
	                  offers.data(), offers.size()};
	return built([&](kp_rpc_builder *b) { kp_rpc_put_prune(b, &p); });
}

std::string rpc_ihave(const std::string &topic, const std::vector<std::string> &ids)
{
	auto v = slices(ids);
	return built(
	        [&](kp_rpc_builder *b) { kp_rpc_put_ihave(b, of(topic), v.data(), v.size()); });
}

std::string rpc_iwant(const std::vector<std::string> &ids)
{
	auto v = slices(ids);
	return built([&](kp_rpc_builder *b) { kp_rpc_put_iwant(b, v.data(), v.size()); });
}

std::string rpc_idontwant(const std::vector<std::string> &ids)
{
	auto v = slices(ids);
	return built([&](kp_rpc_builder *b) { kp_rpc_put_idontwant(b, v.data(), v.size()); });
}

std::string rpc_message(const std::string &raw)
{
	uint8_t head[KP_RPC_FORWARD_HEAD_MAX];
	size_t n = kp_rpc_forward_head(raw.size(), head);
	return std::string((const char *)head, n) + raw;
}

std::string rpc_frame(const std::string &body)
{
	uint8_t head[KP_VARINT_MAX_SIZE];
	kp_writer w = kp_writer_of(head, sizeof head);
	kp_varint_write(&w, body.size());
	return std::string((const char *)head, w.n) + body;
}

std::string karak_id(const std::string &data)
{
	uint8_t out[KP_MSGID_KARAK_MAX];
	size_t n = kp_msgid_karak(of(data), out);
	return std::string((const char *)out, n);
}

std::string signed_message(kp_host *author, uint64_t seqno, const std::string &topic,
                           const std::string &data)
{
	std::string room(KP_PUB_HEADROOM, 0);
	room += data + std::string(KP_PUB_TAILROOM + topic.size(), 0);
	uint8_t *at = (uint8_t *)&room[KP_PUB_HEADROOM];
	uint8_t seq[8], sig[64];
	for (unsigned i = 0; i < 8; i++)
		seq[i] = (uint8_t)(seqno >> (56 - 8 * i));
	kp_rpc_publish m = {};
	m.from = kp_peer_id_slice(&author->self.id);
	m.seqno = kp_slice_of(seq, 8);
	m.topic = of(topic);
	m.data_n = data.size();
	kp_slice text = kp_rpc_publish_signed(&m, at);
	kp_identity_sign(author->net->crypto, &author->self, text, sig);
	m.signature = kp_slice_of(sig, 64);
	kp_slice frame, message;
	kp_rpc_publish_frame(&m, at, &frame, &message);
	return str(message);
}

std::vector<std::string> split_rpcs(const std::string &rx)
{
	std::vector<std::string> out;
	kp_slice in = of(rx);
	uint64_t n;
	while (in.n > 0 && kp_varint_read(&in, &n) == KP_OK && n <= in.n) {
		kp_slice body = kp_slice_take(&in, (size_t)n);
		EXPECT_EQ(kp_rpc_validate(body, nullptr), KP_OK);
		out.push_back(str(body));
	}
	EXPECT_EQ(in.n, 0u) << "an RPC is cut";
	return out;
}

std::vector<Item> items_of(const std::string &rx)
{
	std::vector<Item> out;
	unsigned n = 0;
	for (const std::string &rpc : split_rpcs(rx)) {
		kp_rpc_walk walk = kp_rpc_walk_of(of(rpc));
		kp_rpc_item it;
		while (kp_rpc_next(&walk, &it)) {
			Item i;
			i.rpc = n;
			i.kind = it.kind;
			i.subscribe = it.subscribe;
			i.has_backoff = it.has_backoff;
			i.backoff = it.backoff;
			i.topic = str(it.topic);
			if (it.kind == KP_RPC_MESSAGE)
				i.raw = str(it.raw);
			kp_slice id;
			if (it.kind == KP_RPC_IHAVE || it.kind == KP_RPC_IWANT ||
			    it.kind == KP_RPC_IDONTWANT) {
				while (kp_rpc_next_id(&it.ids, &id))
					i.ids.push_back(str(id));
			}
			kp_rpc_px px;
			while (it.kind == KP_RPC_PRUNE && kp_rpc_next_px(&it.px, &px))
				i.px.emplace_back(str(px.id), str(px.record));
			out.push_back(i);
		}
		n++;
	}
	return out;
}

void Script::open(const char *proto)
{
	out = fake_script_open(h, router, proto);
	ASSERT_NE(out, nullptr);
}

void Script::send(const std::string &bytes)
{
	fake_script_send(out, bytes.data(), bytes.size());
	fake_run(h->net, h->net->now + LATENCY);
}

kp_stream *Script::in() const
{
	kp_stream *found = nullptr;
	for (kp_stream *s : h->streams) {
		if (!s->outbound && s->open && !s->dying)
			found = s;
	}
	return found;
}

std::string Script::rx() const
{
	kp_stream *s = in();
	return s != nullptr ? s->rx : "";
}

std::vector<Item> Script::take()
{
	kp_stream *s = in();
	if (s != reading) {
		reading = s;
		read = 0;
	}
	if (s == nullptr)
		return {};
	std::string fresh = s->rx.substr(read);
	read = s->rx.size();
	return items_of(fresh);
}

std::vector<Item> Script::take(kp_rpc_kind kind)
{
	std::vector<Item> some;
	for (const Item &i : take()) {
		if (i.kind == kind)
			some.push_back(i);
	}
	return some;
}

Net::Net(const kp_gs_params &p, bool real, uint64_t seed) : net(fake_net_new(seed, real))
{
	router = fake_node(net, &p);
	gs = router->gs;
}

Net::~Net()
{
	for (kp_event *ev : taken)
		kp_event_free(ev);
	fake_net_free(net);
}

Script Net::stranger()
{
	Script s;
	s.h = fake_node(net, nullptr);
	s.router = router;
	return s;
}

void Net::connect(Script &s, bool dialled)
{
	fake_connect(dialled ? router : s.h, dialled ? s.h : router, LATENCY);
	run(3 * LATENCY);
}

Script Net::peer(const std::vector<std::string> &topics, bool dialled, const char *proto)
{
	Script s = stranger();
	s.h->served.clear();
	for (size_t i = 0; i < kp_gs_protos_n; i++) {
		if (!s.h->served.empty() || strcmp(kp_gs_protos[i].id, proto) == 0)
			s.h->served.push_back(kp_gs_protos[i]);
	}
	connect(s, dialled);
	s.open(proto);
	std::string subs;
	for (const std::string &t : topics)
		subs += rpc_sub(t);
	if (!subs.empty())
		s.send(subs);
	settle();
	return s;
}

void Net::subscribe(const std::string &topic, bool validate, bool self, uint16_t inbox)
{
	kp_sub_opts opts = {validate, self, inbox};
	ASSERT_EQ(kp_gs_subscribe(gs, net->now, of(topic), &opts), KP_OK);
	net->touch(router);
	net->settle();
}

void Net::publish(const std::string &topic, const std::string &data, int64_t token)
{
	ASSERT_TRUE(fake_publish(router, topic.c_str(), data.data(), data.size(), token));
}

std::vector<kp_event *> Net::events(kp_event_type type)
{
	std::vector<kp_event *> out;
	std::deque<kp_event *> rest;
	for (kp_event *ev : router->events) {
		if (ev->type == type) {
			out.push_back(ev);
			taken.push_back(ev);
		} else {
			rest.push_back(ev);
		}
	}
	router->events = rest;
	return out;
}

std::vector<std::string> Net::payloads()
{
	std::vector<std::string> out;
	for (kp_event *ev : events(KP_EV_MESSAGE))
		out.push_back(field(ev, KP_F_PAYLOAD));
	return out;
}

bool Net::in_mesh(const Script &s, const std::string &topic) const
{
	kp_peer_id id = s.id();
	kp_slice t;
	bool in;
	for (size_t n = 0; kp_gs_peer_topic_at(gs, &id, n, &t, &in); n++) {
		if (str(t) == topic)
			return in;
	}
	return false;
}

size_t Net::mesh(const std::string &topic) const
{
	kp_gs_topic_info info;
	for (size_t n = 0; kp_gs_topic_at(gs, n, &info); n++) {
		if (str(info.topic) == topic)
			return info.mesh;
	}
	return 0;
}

gs_peer *Net::peer_of(const Script &s) const
{
	kp_peer_id id = s.id();
	return kp_gs_peer_find(gs, &id);
}

std::string field(const kp_event *ev, kp_field f)
{
	return str(ev->f[f]);
}
