/* multistream-select 1.0, both roles, for one negotiation
 * (github.com/multiformats/multistream-select). Knows neither what the names mean nor what carries
 * the bytes; what follows the last frame belongs to the next layer. Small on purpose: every
 * negotiating substream holds one. */
#ifndef KP_CONN_MSS_H
#define KP_CONN_MSS_H

#include "conn/stream.h"
#include "wire/mss_frame.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_MSS_KEEP         128u /* names we serve are shorter; the rest of a longer one is not kept */
#define KP_MSS_ATTEMPTS_MAX 64u /* proposals one listener answers */
#define KP_MSS_OUT_MAX      (20u + 4u * KP_MSS_ATTEMPTS_MAX + KP_MSS_KEEP + 2u)

typedef struct kp_mss {
	const kp_proto *protos; /* dialer: borrowed, in order of preference */
	const char *out_name;   /* to be written after header and refusals; NULL = none */
	uint16_t len;           /* of the frame being read, newline included; 0 = not known */
	uint16_t got;           /* bytes of it seen */
	uint8_t len_n;          /* length bytes seen, ≤ 2 */
	uint8_t n, at;          /* dialer: protos, and the one proposed */
	uint8_t attempts;       /* listener: names answered, ≤ KP_MSS_ATTEMPTS_MAX */
	uint8_t out_na;         /* `na` frames to be written */
	bool out_header;        /* the header is to be written */
	bool dialer;
	bool header_seen; /* the peer's */
	bool asked;       /* listener: a name waits for accept or refuse */
	bool agreed;
	char text[KP_MSS_KEEP];
} kp_mss;

/* Proposes n ≤ 255 protocols in order; the array must outlive the negotiation. */
void kp_mss_dial(kp_mss *m, const kp_proto *protos, size_t n);
void kp_mss_listen(kp_mss *m);

/* Consumes from *in up to the end of one frame that matters.
 *   KP_OK      dialer: agreed on protos[at]. Listener: kp_mss_asked tells what the peer proposes;
 *              kp_mss_accept or kp_mss_refuse must follow
 *   KP_E_AGAIN needs bytes
 *   KP_E_NOTSUP dialer: every proposal was refused
 *   KP_E_PROTO  violated; listener: also after too many proposals */
kp_err kp_mss_rx(kp_mss *m, kp_slice *in);

/* The proposed name; empty when it is longer than any name we could serve. */
kp_slice kp_mss_asked(const kp_mss *m);
void kp_mss_accept(kp_mss *m, const char *name); /* name equals the asked one and stays valid */
void kp_mss_refuse(kp_mss *m);

/* Bytes that wait to be written, at most KP_MSS_OUT_MAX. */
size_t kp_mss_pending(const kp_mss *m);

/* Writes all of them into w, which has that much room. */
void kp_mss_tx(kp_mss *m, kp_writer *w);

/* Dialer with one proposal: data may follow the proposal without waiting for the answer. */
static inline bool kp_mss_is_lazy(const kp_mss *m)
{
	return m->n == 1; /* a listener has none */
}

/* Agreed, and the last frame is written: the machine is not needed any more. */
static inline bool kp_mss_is_done(const kp_mss *m)
{
	return m->agreed && !m->out_header && m->out_na == 0 && m->out_name == NULL;
}

#ifdef __cplusplus
}
#endif
#endif
