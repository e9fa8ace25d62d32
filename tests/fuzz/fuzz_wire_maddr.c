/* Multiaddresses: every valid address has a text that parses to the same bytes, and the other way
 * round; taking apart and putting together again changes nothing. */
#include "wire/multiaddr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_parts(const kp_maddr *m)
{
	kp_slice rest = kp_maddr_slice(m);
	kp_maddr_part part;
	int parts = 0;
	while (kp_maddr_next(&rest, &part))
		parts++;
	KP_ASSERT(rest.n == 0 && parts > 0 && parts <= KP_MADDR_PARTS_MAX);
	KP_ASSERT(kp_maddr_has_suffix(m, kp_maddr_slice(m)));
	for (size_t i = m->n; i < KP_MADDR_MAX; i++)
		KP_ASSERT(m->b[i] == 0);
	(void)kp_maddr_scope(m);
}

static void fuzz_peer(const kp_maddr *m)
{
	kp_maddr copy = *m;
	kp_peer_id id, again;
	bool has = kp_maddr_peer(m, &id);
	KP_ASSERT(kp_maddr_strip_peer(&copy) == has);
	if (!has) {
		KP_ASSERT(kp_maddr_eq(m, &copy));
		return;
	}
	if (kp_maddr_peer(&copy, &again)) /* /p2p/A/p2p/B: B is not appended to A */
		return;
	KP_ASSERT(kp_maddr_append_peer(&copy, &id) == KP_OK && kp_maddr_eq(m, &copy));
}

static void fuzz_target(const kp_maddr *m)
{
	kp_maddr_target t;
	if (!kp_maddr_tcp_target(m, &t))
		return;
	if (t.kind != KP_MADDR_IP4 && t.kind != KP_MADDR_IP6) {
		KP_ASSERT(t.host.p >= m->b && t.host.p + t.host.n <= m->b + m->n && t.host.n > 0);
		return;
	}
	kp_maddr built;
	kp_maddr_from_ip(t.kind == KP_MADDR_IP4 ? 4 : 6, t.ip, t.port, &built);
	if (!kp_peer_id_none(&t.peer))
		KP_ASSERT(kp_maddr_append_peer(&built, &t.peer) == KP_OK);
	KP_ASSERT(kp_maddr_eq(&built, m));
}

static void fuzz_valid(const kp_maddr *m)
{
	char text[KP_MADDR_TEXT_MAX];
	size_t n = kp_maddr_text(m, text, sizeof(text));
	KP_ASSERT(n == strlen(text));
	kp_maddr back;
	KP_ASSERT(kp_maddr_parse_text(kp_slice_of(text, n), &back, NULL) == KP_OK);
	KP_ASSERT(kp_maddr_eq(m, &back));
	KP_ASSERT(kp_maddr_parse_bytes(kp_maddr_slice(m), &back) == KP_OK);
	KP_ASSERT(memcmp(m, &back, sizeof(back)) == 0);
	fuzz_parts(m);
	fuzz_peer(m);
	fuzz_target(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kp_maddr m;
	const char *why = NULL;
	if (kp_maddr_parse_bytes(kp_slice_of(data, size), &m) == KP_OK)
		fuzz_valid(&m);
	if (kp_maddr_parse_text(kp_slice_of(data, size), &m, &why) == KP_OK)
		fuzz_valid(&m);
	else
		KP_ASSERT(why != NULL);
	return 0;
}
