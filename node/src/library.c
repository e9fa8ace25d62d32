#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr, RTLD_DEEPBIND */
#endif
#include "library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LIBRARY_WHY_MAX 1024

library lib;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static char library_why[LIBRARY_WHY_MAX]; /* "" = open */

static void library_check_version(void)
{
	uint32_t have = lib.abi_version();
	uint32_t least = (uint32_t)KP2P_ABI_MAJOR << 16 | KP2P_ABI_MINOR;
	if (have < least || have >> 16 != KP2P_ABI_MAJOR)
		snprintf(library_why, sizeof library_why,
		         "libkarakp2p %s has interface %u.%u, this addon needs %d.%d",
		         lib.version(), have >> 16, have & 0xffff, KP2P_ABI_MAJOR, KP2P_ABI_MINOR);
}

#ifdef KP2P_NODE_BUNDLED

static void library_fill(void)
{
#define LIBRARY_TAKE(name) lib.name = kp2p_##name;
	LIBRARY_CALLS(LIBRARY_TAKE)
#undef LIBRARY_TAKE
}

#else

#define LIBRARY_FILE "libkarakp2p.so.1"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(RTLD_DEEPBIND)
#define LIBRARY_SCOPE RTLD_LOCAL /* a sanitizer has to interpose */
#else
#define LIBRARY_SCOPE (RTLD_LOCAL | RTLD_DEEPBIND)
#endif

/* The library in the folder of this addon. */
static void *library_load(void)
{
	static const char none;
	char path[4096];
	Dl_info self;
	if (dladdr(&none, &self) == 0)
		return NULL;
	const char *slash = strrchr(self.dli_fname, '/');
	int folder = slash != NULL ? (int)(slash - self.dli_fname) + 1 : 0;
	int n = snprintf(path, sizeof path, "%.*s" LIBRARY_FILE, folder, self.dli_fname);
	if (n < 0 || (size_t)n >= sizeof path)
		return NULL;
	return dlopen(path, RTLD_NOW | LIBRARY_SCOPE);
}

static bool library_find(void *handle, const char *name, void *to)
{
	void *found = dlsym(handle, name);
	memcpy(to, &found, sizeof found); /* ISO C knows no cast from data to function */
	if (found == NULL)
		snprintf(library_why, sizeof library_why, LIBRARY_FILE " has no %s", name);
	return found != NULL;
}

static void library_fill(void)
{
	void *handle = library_load();
	if (handle == NULL) {
		const char *why = dlerror();
		snprintf(library_why, sizeof library_why, "%s", why ? why : "no " LIBRARY_FILE);
		return;
	}
#define LIBRARY_FIND(name)                                                                         \
	if (!library_find(handle, "kp2p_" #name, &lib.name))                                       \
		return;
	LIBRARY_CALLS(LIBRARY_FIND)
#undef LIBRARY_FIND
}

#endif

static void library_init(void)
{
	library_fill();
	if (library_why[0] == '\0')
		library_check_version();
}

const char *library_open(void)
{
	pthread_once(&library_once, library_init);
	return library_why[0] == '\0' ? NULL : library_why;
}
