/* Keys and peer ids as texts. */
#include "abi.h"

#include "crypto/identity.h"
#include "rt/sys.h"

#include <assert.h>
#include <string.h>

static_assert(KP2P_KEY_ED25519 == (int)KP_KEY_ED25519, "KP2P_KEY_ED25519");

static kp_crypto *key_crypto(kp2p_error **err)
{
	uint8_t seed[32];
	kp_abi_init();
	if (kp_rt_seed(seed, sizeof seed) != KP_OK) {
		kp_abi_fail(err, KP_E_INTERNAL, "the system gave no random bytes");
		return NULL;
	}
	kp_crypto *c = kp_crypto_new(seed);
	kp_mem_wipe(seed, sizeof seed);
	if (c == NULL)
		kp_abi_fail(err, KP_E_NOMEM, "out of memory");
	return c;
}

static char *key_text(const char *text, size_t n, kp2p_error **err)
{
	char *out = kp_abi_text(text, n);
	if (out == NULL)
		kp_abi_fail(err, KP_E_NOMEM, "out of memory");
	return out;
}

static char *key_peer_text(const kp_peer_id *id, kp2p_error **err)
{
	char text[KP_PEER_ID_TEXT_MAX];
	size_t n = kp_peer_id_text(id, text);
	return key_text(text, n, err);
}

char *kp2p_key_generate(int type, kp2p_error **err)
{
	if (type != KP2P_KEY_ED25519) {
		kp_abi_fail(err, KP_E_NOTSUP, "key type %d: only %d (Ed25519) can be generated",
		            type, KP2P_KEY_ED25519);
		return NULL;
	}
	kp_crypto *c = key_crypto(err);
	if (c == NULL)
		return NULL;
	kp_identity id;
	char text[KP_IDENTITY_TEXT_MAX];
	kp_identity_generate(c, &id);
	size_t n = kp_identity_text(&id, text);
	char *out = key_text(text, n, err);
	kp_mem_wipe(text, sizeof text);
	kp_identity_wipe(&id);
	c->ops->free(c);
	return out;
}

char *kp2p_key_peer_id(const char *key, kp2p_error **err)
{
	if (key == NULL) {
		kp_abi_fail(err, KP_E_INVAL, "key is NULL");
		return NULL;
	}
	kp_crypto *c = key_crypto(err);
	if (c == NULL)
		return NULL;
	kp_identity id;
	const char *why = "";
	char *out = NULL;
	kp_err r = kp_identity_parse(c, kp_slice_str(key), &id, &why);
	if (r == KP_OK) {
		out = key_peer_text(&id.id, err);
		kp_identity_wipe(&id);
	} else { /* the key itself never appears in a text */
		kp_abi_fail(err, r, "key: %s", why);
	}
	c->ops->free(c);
	return out;
}

char *kp2p_peer_id_parse(const char *text, kp2p_error **err)
{
	kp_peer_id id;
	if (text == NULL) {
		kp_abi_fail(err, KP_E_INVAL, "text is NULL");
		return NULL;
	}
	kp_err r = kp_peer_id_parse_text(kp_slice_str(text), &id);
	if (r != KP_OK) {
		kp_abi_fail(err, r, "not a peer id: %.100s", text);
		return NULL;
	}
	return key_peer_text(&id, err);
}
