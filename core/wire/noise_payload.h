/* NoiseHandshakePayload with its extensions (the libp2p noise specification). */
#ifndef KP_WIRE_NOISE_PAYLOAD_H
#define KP_WIRE_NOISE_PAYLOAD_H

#include "base/err.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_NOISE_SIG_PREFIX                                                                        \
	"noise-libp2p-static-key:" /* before the static key in what is signed                      \
	                            */

/* A walk over the stream_muxers of all extensions fields. */
typedef struct kp_noise_muxers {
	kp_slice payload;    /* not yet seen */
	kp_slice extensions; /* rest of the one being walked */
} kp_noise_muxers;

/* Views into the input. */
typedef struct kp_noise_payload {
	kp_slice identity_key; /* PublicKey protobuf */
	kp_slice identity_sig;
	bool has_extensions;
	kp_noise_muxers muxers; /* copy it and walk with kp_noise_next_muxer */
} kp_noise_payload;

/* KP_E_PROTO = malformed (extensions included), or key or signature missing or empty. Unknown
 * fields, the retired early data (3) and certhashes are skipped. */
kp_err kp_noise_payload_parse(kp_slice in, kp_noise_payload *out);

/* Next muxer name of the peer's list, in its order. False at the end. */
bool kp_noise_next_muxer(kp_noise_muxers *rest, kp_slice *name);

/* Appends a payload; without extensions when n_muxers is 0. */
void kp_noise_payload_write(kp_writer *w, kp_slice identity_key, kp_slice identity_sig,
                            const kp_slice *muxers, size_t n_muxers);

#ifdef __cplusplus
}
#endif
#endif
