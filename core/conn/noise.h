/* Noise_XX_25519_ChaChaPoly_SHA256 as the libp2p noise specification uses it: the handshake, one
 * message a call, and the transport frames. Frames are u16 big-endian length, then that many bytes;
 * cutting the byte stream into frames is the caller's (kp_noise_frame). */
#ifndef KP_CONN_NOISE_H
#define KP_CONN_NOISE_H

#include "base/stats.h"
#include "crypto/identity.h"
#include "crypto/noise_sym.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KP_NOISE_LEN_SIZE    2u
#define KP_NOISE_OVERHEAD    (KP_NOISE_LEN_SIZE + KP_AEAD_TAG)
#define KP_NOISE_MESSAGE_MAX 65535u
#define KP_NOISE_PLAIN_MAX   (KP_NOISE_MESSAGE_MAX - KP_AEAD_TAG)
#define KP_NOISE_HS_MAX      8192u /* handshake message we read: RSA-8192 key and signature fit */
#define KP_NOISE_PAYLOAD_MAX 160u  /* ours: Ed25519 key, signature, one muxer */
#define KP_NOISE_HS_OUT_MAX  (KP_NOISE_LEN_SIZE + 32u + 48u + KP_NOISE_PAYLOAD_MAX + KP_AEAD_TAG)
/* js refuses to pass 2^32 - 1 messages; long before that a connection is retired. */
#define KP_NOISE_COUNTER_RETIRE ((UINT64_C(1) << 32) - (UINT64_C(1) << 20))

#define KP_YAMUX_NAME "/yamux/1.0.0"

/* The node's Noise static key and its signed payload, the same in every handshake. */
typedef struct kp_noise_local {
	uint8_t secret[32];
	uint8_t pub[32];
	uint8_t payload[KP_NOISE_PAYLOAD_MAX];
	uint16_t payload_n;
	bool offers_yamux; /* payload carries stream_muxers = [/yamux/1.0.0] */
} kp_noise_local;

/* Draws the static key and signs it with the host key; offers early muxer negotiation. */
kp_err kp_noise_local_init(struct kp_noise_local *l, kp_crypto *c, const kp_identity *id);
void kp_noise_local_wipe(struct kp_noise_local *l);

/* Whose turn it is and with which message. */
typedef enum kp_noise_step {
	KP_NOISE_WRITE_1,
	KP_NOISE_READ_1,
	KP_NOISE_WRITE_2,
	KP_NOISE_READ_2,
	KP_NOISE_WRITE_3,
	KP_NOISE_READ_3,
	KP_NOISE_DONE
} kp_noise_step;

typedef struct kp_noise_hs {
	kp_noise_sym sym;
	const kp_noise_local *local;
	uint8_t e_secret[32]; /* wiped with the rest */
	uint8_t e_pub[32];
	uint8_t re[32], rs[32]; /* the peer's ephemeral and static keys */
	kp_peer_id peer;        /* proved; n == 0 before */
	kp_noise_step step;
	bool initiator;
	bool peer_offers_yamux;
} kp_noise_hs;

/* c and local are borrowed until kp_noise_hs_wipe. */
void kp_noise_hs_init(kp_noise_hs *hs, kp_crypto *c, const kp_noise_local *local, bool initiator);

/* True while a message of ours is due. */
static inline bool kp_noise_hs_wants_write(const kp_noise_hs *hs)
{
	return hs->step == KP_NOISE_WRITE_1 || hs->step == KP_NOISE_WRITE_2 ||
	       hs->step == KP_NOISE_WRITE_3;
}

/* Appends the due message with its length; w has KP_NOISE_HS_OUT_MAX of room. KP_E_PROTO = the
 * peer's key gives a zero secret; other errors come from key generation. */
kp_err kp_noise_hs_write(kp_noise_hs *hs, kp_writer *w);

/* Takes the peer's message (without its length), in place. KP_E_PROTO = any violation. After
 * message 2 or 3 `peer` is proved. */
kp_err kp_noise_hs_read(kp_noise_hs *hs, kp_span message);

/* Both sides offered exactly what we offer: no multistream-select for the muxer. */
static inline bool kp_noise_hs_early_muxer(const kp_noise_hs *hs)
{
	return hs->peer_offers_yamux && hs->local->offers_yamux;
}

void kp_noise_hs_wipe(kp_noise_hs *hs);

/* Transport phase: one AEAD and one counter each way. */
typedef struct kp_noise {
	kp_crypto *c;
	kp_aead *tx, *rx; /* NULL before kp_noise_start */
	uint64_t tx_n, rx_n;
} kp_noise;

void kp_noise_init(kp_noise *n, kp_crypto *c);

/* After KP_NOISE_DONE: takes the keys out of the handshake, which is wiped. KP_E_NOMEM. */
kp_err kp_noise_start(kp_noise *n, kp_noise_hs *hs);
void kp_noise_fini(kp_noise *n);

static inline bool kp_noise_is_open(const kp_noise *n)
{
	return n->tx != NULL;
}

/* Takes one frame off *in: KP_OK *message is its bytes behind the length, KP_E_AGAIN not whole yet,
 * KP_E_PROTO its length is below min or above max (said from the length alone). */
kp_err kp_noise_frame(kp_span *in, size_t min, size_t max, kp_span *message);

/* Seals the n slices (total 1 to KP_NOISE_PLAIN_MAX bytes) as one frame of total +
 * KP_NOISE_OVERHEAD bytes at out. KP_E_INTERNAL = the backend failed or the counter is used up. */
kp_err kp_noise_seal(kp_noise *n, const kp_slice *v, size_t n_v, size_t total, uint8_t *out);

/* Opens a frame in place; *plain is a view into it, possibly empty. KP_E_PROTO = forged. */
kp_err kp_noise_open(kp_noise *n, kp_span message, kp_slice *plain);

#ifdef __cplusplus
}
#endif
#endif
