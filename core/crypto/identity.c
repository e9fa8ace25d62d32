/* Key pairs, their text form, and what is signed with them. */
#include "crypto/identity.h"

#include "base/mem.h"
#include "wire/base64.h"
#include "wire/envelope.h"
#include "wire/keys.h"

/* The PrivateKey protobuf of Ed25519: this head, seed, public key; the old form repeats the last.
 */
#define IDENTITY_PB_SIZE     68u
#define IDENTITY_PB_OLD_SIZE 100u
static const uint8_t identity_pb_head[4] = {0x08, 0x01, 0x12, 0x40};

_Static_assert(KP_IDENTITY_TEXT_MAX > KP_BASE64_TEXT_SIZE(IDENTITY_PB_OLD_SIZE), "both forms fit");

/* Everything that follows from seed and pub. */
static void identity_finish(kp_crypto *c, kp_identity *out)
{
	static const uint8_t head[4] = {0x08, 0x01, 0x12, 0x20};
	memcpy(out->pubkey_pb, head, sizeof head);
	memcpy(out->pubkey_pb + sizeof head, out->pub, sizeof out->pub);
	kp_err r = kp_peer_id_from_pubkey(kp_slice_of(out->pubkey_pb, sizeof out->pubkey_pb),
	                                  c->ops->sha256, &out->id);
	KP_ASSERT(r == KP_OK);
}

void kp_identity_generate(kp_crypto *c, kp_identity *out)
{
	uint8_t seed[32];
	c->ops->random(c, seed, sizeof seed);
	kp_identity_from_seed(c, seed, out);
	kp_mem_wipe(seed, sizeof seed);
}

void kp_identity_from_seed(kp_crypto *c, const uint8_t seed[32], kp_identity *out)
{
	memset(out, 0, sizeof *out);
	memcpy(out->seed, seed, sizeof out->seed);
	c->ops->ed25519_public(out->seed, out->pub);
	identity_finish(c, out);
}

static bool identity_is_space(uint8_t b)
{
	return b == ' ' || (b >= '\t' && b <= '\r');
}

static kp_slice identity_trim(kp_slice text)
{
	while (text.n > 0 && identity_is_space(text.p[0]))
		kp_slice_take(&text, 1);
	while (text.n > 0 && identity_is_space(text.p[text.n - 1]))
		text.n--;
	return text;
}

/* True when the text begins like a PrivateKey of a type other than Ed25519. */
static bool identity_is_foreign(kp_slice text)
{
	uint8_t head[3];
	size_t n = 0;
	if (text.n < 4 || kp_base64_decode(KP_BASE64_STD, kp_slice_take(&text, 4), head,
	                                   sizeof head, &n) != KP_OK)
		return false;
	return n == 3 && head[0] == 0x08 && head[2] == 0x12 &&
	       (head[1] == KP_KEY_RSA || head[1] == KP_KEY_SECP256K1 || head[1] == KP_KEY_ECDSA);
}

static kp_err identity_from_pb(kp_crypto *c, kp_slice pb, kp_identity *out, const char **why)
{
	kp_key_pb key;
	*why = "not a libp2p PrivateKey";
	if (kp_key_pb_parse_private(pb, &key) != KP_OK || key.type != KP_KEY_ED25519 ||
	    key.data.n != 64)
		return KP_E_INVAL;
	kp_identity_from_seed(c, key.data.p, out);
	if (kp_crypto_equal(out->pub, key.data.p + 32, 32))
		return KP_OK;
	kp_identity_wipe(out);
	*why = "the public half does not belong to the secret half";
	return KP_E_INVAL;
}

kp_err kp_identity_parse(kp_crypto *c, kp_slice text, kp_identity *out, const char **why)
{
	uint8_t pb[IDENTITY_PB_OLD_SIZE];
	size_t n = 0;
	text = identity_trim(text);
	if (identity_is_foreign(text)) {
		*why = "only Ed25519 keys can be an identity";
		return KP_E_NOTSUP;
	}
	*why = "not the base64 text of a libp2p PrivateKey";
	kp_err r = KP_E_INVAL;
	if (text.n > 0 && kp_base64_decode(KP_BASE64_STD, text, pb, sizeof pb, &n) == KP_OK)
		r = identity_from_pb(c, kp_slice_of(pb, n), out, why);
	kp_mem_wipe(pb, sizeof pb);
	return r;
}

size_t kp_identity_text(const kp_identity *id, char out[KP_IDENTITY_TEXT_MAX])
{
	uint8_t pb[IDENTITY_PB_SIZE];
	memcpy(pb, identity_pb_head, sizeof identity_pb_head);
	memcpy(pb + 4, id->seed, sizeof id->seed);
	memcpy(pb + 36, id->pub, sizeof id->pub);
	kp_writer w = kp_writer_of(out, KP_IDENTITY_TEXT_MAX - 1);
	kp_base64_write(&w, KP_BASE64_STD, kp_slice_of(pb, sizeof pb));
	kp_mem_wipe(pb, sizeof pb);
	KP_ASSERT(!w.full);
	out[w.n] = '\0';
	return w.n;
}

void kp_identity_wipe(kp_identity *id)
{
	kp_mem_wipe(id, sizeof *id);
}

kp_err kp_identity_sign(kp_crypto *c, const kp_identity *id, kp_slice message, uint8_t sig[64])
{
	return c->ops->ed25519_sign(id->seed, id->pub, message, sig);
}

kp_err kp_pubkey_parse(kp_crypto *c, kp_slice pubkey_pb, kp_pubkey **key, kp_peer_id *id)
{
	kp_key_pb pb;
	kp_peer_id parsed;
	if (kp_key_pb_parse_public(pubkey_pb, &pb) != KP_OK ||
	    kp_peer_id_from_pubkey(pubkey_pb, c->ops->sha256, &parsed) != KP_OK)
		return KP_E_PROTO;
	kp_pubkey *k = NULL;
	kp_err r = c->ops->pubkey_new(c, pb.type, pb.data, &k);
	if (r != KP_OK)
		return r;
	if (key != NULL)
		*key = k;
	else
		c->ops->pubkey_free(k);
	*id = parsed;
	return KP_OK;
}

/* The bytes an envelope's signature covers, in memory of their own. */
static uint8_t *envelope_signed_bytes(kp_mem *mem, kp_record_form form, kp_slice payload,
                                      kp_slice *out)
{
	kp_slice domain = kp_record_domain(form), type = kp_record_payload_type(form);
	size_t n = kp_envelope_signed_size(domain, type, payload);
	uint8_t *bytes = (uint8_t *)kp_mem_alloc_raw(mem, n);
	if (bytes == NULL)
		return NULL;
	kp_writer w = kp_writer_of(bytes, n);
	kp_envelope_write_signed(&w, domain, type, payload);
	KP_ASSERT(!w.full && w.n == n);
	*out = kp_slice_of(bytes, n);
	return bytes;
}

static kp_err envelope_verify(kp_crypto *c, const kp_envelope *e, kp_record_form form,
                              const kp_pubkey *key)
{
	kp_mem mem;
	kp_slice message;
	kp_mem_init(&mem, 0);
	uint8_t *bytes = envelope_signed_bytes(&mem, form, e->payload, &message);
	if (bytes == NULL)
		return KP_E_NOMEM;
	kp_err r = c->ops->verify(key, message, e->signature);
	kp_mem_free(&mem, bytes);
	return r;
}

kp_err kp_peer_record_open(kp_crypto *c, kp_slice envelope, kp_peer_id *id, uint64_t *seq,
                           kp_slice *addrs)
{
	kp_envelope e;
	kp_record_form form;
	kp_peer_record record;
	kp_peer_id signer;
	kp_pubkey *key = NULL;
	if (kp_envelope_parse(envelope, &e) != KP_OK || !kp_envelope_form(&e, &form) ||
	    kp_peer_record_parse(e.payload, &record) != KP_OK)
		return KP_E_PROTO;
	kp_err r = kp_pubkey_parse(c, e.public_key, &key, &signer);
	if (r != KP_OK)
		return r;
	r = kp_peer_id_eq(&signer, &record.id) ? envelope_verify(c, &e, form, key) : KP_E_PROTO;
	c->ops->pubkey_free(key);
	if (r != KP_OK)
		return r;
	*id = record.id;
	*seq = record.seq;
	*addrs = record.addrs;
	return KP_OK;
}

kp_err kp_peer_record_seal(kp_crypto *c, const kp_identity *id, uint64_t seq, const kp_slice *addrs,
                           size_t n_addrs, kp_writer *out)
{
	kp_mem mem;
	kp_slice message;
	uint8_t sig[64];
	uint8_t *signed_bytes = NULL;
	kp_writer count = kp_writer_of(NULL, 0);
	kp_mem_init(&mem, 0);
	kp_peer_record_write(&count, &id->id, seq, addrs, n_addrs);
	kp_writer payload = kp_writer_of(kp_mem_alloc_raw(&mem, count.n), count.n);
	kp_err r = KP_E_NOMEM;
	if (payload.p == NULL)
		goto out;
	kp_peer_record_write(&payload, &id->id, seq, addrs, n_addrs);
	kp_slice body = kp_slice_of(payload.p, payload.n);
	signed_bytes = envelope_signed_bytes(&mem, KP_RECORD_STANDARD, body, &message);
	if (signed_bytes == NULL)
		goto out;
	r = kp_identity_sign(c, id, message, sig);
	if (r != KP_OK)
		goto out;
	const kp_envelope e = {
	        .public_key = kp_slice_of(id->pubkey_pb, sizeof id->pubkey_pb),
	        .payload_type = kp_record_payload_type(KP_RECORD_STANDARD),
	        .payload = body,
	        .signature = kp_slice_of(sig, sizeof sig),
	};
	kp_envelope_write(out, &e);
	r = out->full ? KP_E_TOOBIG : KP_OK;
out:
	kp_mem_free(&mem, signed_bytes);
	kp_mem_free(&mem, payload.p);
	return r;
}
