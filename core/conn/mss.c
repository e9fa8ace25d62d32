/* multistream-select: see mss.h. Input is read byte-exact, so nothing of the next layer is ever
 * taken; output is kept as intents (header, how many `na`, one name), rendered when there is room.
 */
#include "conn/mss.h"

static void mss_init(kp_mss *m, bool dialer)
{
	memset(m, 0, sizeof(*m));
	m->dialer = dialer;
	m->out_header = true;
}

void kp_mss_dial(kp_mss *m, const kp_proto *protos, size_t n)
{
	KP_ASSERT(n > 0 && n <= UINT8_MAX);
	mss_init(m, true);
	m->protos = protos;
	m->n = (uint8_t)n;
	m->out_name = protos[0].id;
}

void kp_mss_listen(kp_mss *m)
{
	mss_init(m, false);
	m->out_header = false; /* answered once the peer has shown that it speaks multistream */
}

/* The length: one or two bytes, minimal, 1 to KP_MSS_FRAME_MAX. */
static kp_err mss_rx_len(kp_mss *m, kp_slice *in)
{
	while (m->got == 0 && (m->len_n == 0 || m->len > KP_MSS_FRAME_MAX)) {
		if (in->n == 0)
			return KP_E_AGAIN;
		uint8_t b = *kp_slice_take(in, 1).p;
		if (m->len_n == 0) {
			/* Above FRAME_MAX: the second byte is still to come. */
			m->len = (b & 0x80) != 0 ? (uint16_t)(0x8000u | (b & 0x7fu)) : b;
			if (m->len == 0)
				return KP_E_PROTO;
		} else {
			m->len = (uint16_t)((m->len & 0x7fu) | (unsigned)b << 7);
			if (b == 0 || (b & 0x80) != 0 || m->len > KP_MSS_FRAME_MAX)
				return KP_E_PROTO;
		}
		m->len_n++;
	}
	return KP_OK;
}

/* KP_OK = a whole frame is in m->text (its first KP_MSS_KEEP bytes), m->len says how long it is. */
static kp_err mss_rx_frame(kp_mss *m, kp_slice *in)
{
	kp_err err = mss_rx_len(m, in);
	if (err != KP_OK)
		return err;
	/* Whatever is not multistream at all is recognised by its first byte. */
	if (!m->header_seen && m->len != sizeof(KP_MSS_HEADER))
		return KP_E_PROTO;
	size_t n = KP_MIN((size_t)(m->len - m->got), in->n);
	kp_slice part = kp_slice_take(in, n);
	size_t keep = m->got < KP_MSS_KEEP ? KP_MIN(n, (size_t)(KP_MSS_KEEP - m->got)) : 0;
	if (keep > 0)
		memcpy(m->text + m->got, part.p, keep);
	m->got = (uint16_t)(m->got + n);
	if (m->got < m->len)
		return KP_E_AGAIN;
	return part.p[n - 1] == '\n' ? KP_OK : KP_E_PROTO;
}

static void mss_frame_done(kp_mss *m)
{
	m->len = m->got = 0;
	m->len_n = 0;
}

/* The text of the frame in hand; empty when it was too long to be kept. */
static kp_slice mss_text(const kp_mss *m)
{
	return kp_slice_of(m->text, m->len > KP_MSS_KEEP ? 0 : m->len - 1u);
}

static kp_err mss_dialer_frame(kp_mss *m, kp_slice text)
{
	/* An answer to a proposal that is not even written would be to nothing we said. */
	if (m->out_name != NULL)
		return KP_E_PROTO;
	if (kp_slice_eq_str(text, m->protos[m->at].id)) {
		m->agreed = true;
		return KP_OK;
	}
	if (!kp_slice_eq_str(text, KP_MSS_NA))
		return KP_E_PROTO;
	if (m->at + 1u == m->n)
		return KP_E_NOTSUP;
	m->out_name = m->protos[++m->at].id;
	return KP_E_AGAIN;
}

kp_err kp_mss_rx(kp_mss *m, kp_slice *in)
{
	KP_ASSERT(!m->asked && !m->agreed);
	for (;;) {
		kp_err err = mss_rx_frame(m, in);
		if (err != KP_OK)
			return err;
		kp_slice text = mss_text(m);
		if (!m->header_seen) {
			if (!kp_slice_eq_str(text, KP_MSS_HEADER))
				return KP_E_PROTO;
			m->header_seen = true;
			m->out_header = m->out_header || !m->dialer;
			mss_frame_done(m);
			continue;
		}
		if (!m->dialer) {
			if (m->attempts == KP_MSS_ATTEMPTS_MAX)
				return KP_E_PROTO;
			m->attempts++;
			m->asked = true;
			return KP_OK;
		}
		err = mss_dialer_frame(m, text);
		mss_frame_done(m);
		if (err != KP_E_AGAIN)
			return err;
	}
}

kp_slice kp_mss_asked(const kp_mss *m)
{
	KP_ASSERT(m->asked);
	return mss_text(m);
}

void kp_mss_accept(kp_mss *m, const char *name)
{
	KP_ASSERT(m->asked && kp_slice_eq_str(mss_text(m), name));
	m->asked = false;
	m->agreed = true;
	m->out_name = name;
	mss_frame_done(m);
}

void kp_mss_refuse(kp_mss *m)
{
	KP_ASSERT(m->asked);
	m->asked = false;
	m->out_na++;
	mss_frame_done(m);
}

size_t kp_mss_pending(const kp_mss *m)
{
	size_t n = m->out_header ? kp_mss_size(sizeof(KP_MSS_HEADER) - 1) : 0;
	n += m->out_na * kp_mss_size(sizeof(KP_MSS_NA) - 1);
	return n + (m->out_name != NULL ? kp_mss_size(strlen(m->out_name)) : 0);
}

void kp_mss_tx(kp_mss *m, kp_writer *w)
{
	if (m->out_header)
		kp_mss_write(w, kp_slice_str(KP_MSS_HEADER));
	for (; m->out_na > 0; m->out_na--)
		kp_mss_write(w, kp_slice_str(KP_MSS_NA));
	if (m->out_name != NULL)
		kp_mss_write(w, kp_slice_str(m->out_name));
	KP_ASSERT(!w->full);
	m->out_header = false;
	m->out_name = NULL;
}
