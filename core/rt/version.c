/* What this library is made of, asked of the libraries that are loaded now: another copy in the
 * process (Node.js has its own libuv and OpenSSL) must show up here. */
#include "rt/rt.h"

#include <ares.h>
#include <openssl/crypto.h>
#include <pthread.h>
#ifdef KP2P_SODIUM
#include <sodium.h>
#endif
#include <stdio.h>
#include <uv.h>

static char version_text[256];
static pthread_once_t version_once = PTHREAD_ONCE_INIT;

static void version_make(void)
{
#ifdef KP2P_BUNDLED
	const char *features = "tcp,dns,noise,yamux,gossipsub,kad,identify,ping,bundled";
#else
	const char *features = "tcp,dns,noise,yamux,gossipsub,kad,identify,ping";
#endif
	int n = snprintf(version_text, sizeof version_text, "%s libuv/%s openssl/%s cares/%s",
	                 KP2P_VERSION, uv_version_string(), OpenSSL_version(OPENSSL_VERSION_STRING),
	                 ares_version(NULL));
#ifdef KP2P_SODIUM
	n += snprintf(version_text + n, sizeof version_text - (size_t)n, " sodium/%s",
	              sodium_version_string());
#endif
	snprintf(version_text + n, sizeof version_text - (size_t)n, " features=%s", features);
}

const char *kp_rt_version(void)
{
	pthread_once(&version_once, version_make);
	return version_text;
}
