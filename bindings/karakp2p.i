/* karakp2p.i: KarakP2P for every language that SWIG (4.0 or newer) knows, from the installed header.
 *
 *     swig -ruby -I$(pkg-config --variable=includedir karakp2p) -o karakp2p_wrap.c karakp2p.i
 *
 * What a program sees: Config, Node, Sender and Event, whose methods are the functions of the header
 * without their prefix; the constants and the free functions likewise. Three rules carry all of it,
 * each written once for a language in swig/LANGUAGE.i:
 *
 * - errors: a failed call raises the language's exception with the code and the text of the library;
 * - bytes in, (data, len): one byte string, NUL and 0xff included;
 * - bytes out, kp2p_bytes: one byte string; a missing field is the language's nothing.
 *
 * There are no callbacks from C into the language (no directors): a program polls, or waits for a
 * descriptor. Destructors only free, never block, and may run on any thread and in any order. What
 * is comfortable in one language (iterators, futures, topics with inboxes of their own) is written
 * in that language, in the folders beside this file. docs/add-a-language.md shows how. */
%module karakp2p_core

%{
#include <karakp2p.h>

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
%}

%include <stdint.i>

/* --- the three rules: what the language has to say ---------------------------------------------- */

/* swig/LANGUAGE.i defines KP2P_RAISE(code, text), in a wrapper: raise that, or set it pending; and
 * the typemaps of (const void *data, size_t len), of kp2p_bytes, and of texts where SWIG's own would
 * cut at a NUL or are no UTF-8. Its C code may use kp2p_has_nul. */
%{
/* Whether a text of that length holds a NUL, which a C string cannot say. */
static int kp2p_has_nul(const char *text, size_t len)
{
	return text != NULL && memchr(text, 0, len) != NULL;
}

#define KP2P_NUL_TEXT "a text with a NUL inside"
%}

#if defined(SWIGJAVA)
%include "swig/java.i"
#elif defined(SWIGCSHARP)
%include "swig/csharp.i"
#elif defined(SWIGRUBY)
%include "swig/ruby.i"
#elif defined(SWIGLUA)
%include "swig/lua.i"
#elif defined(SWIGPERL)
%include "swig/perl.i"
#elif defined(SWIGTCL)
%include "swig/tcl.i"
#else
#error "bindings/swig has no typemaps for this language: see docs/add-a-language.md"
#endif

%apply (const void *data, size_t len) { (const void *arg, size_t arg_len) };

/* Copied and freed before anything is raised, since raising may jump out of the wrapper. */
%typemap(in, numinputs=0, noblock=1) kp2p_error **err (kp2p_error *failure = NULL) {
	$1 = &failure;
}
%typemap(argout, noblock=1, canthrow=1) kp2p_error **err {
	if (failure$argnum != NULL) {
		char kp2p_text[1024];
		int kp2p_code = kp2p_take_error(failure$argnum, kp2p_text, sizeof(kp2p_text));
		KP2P_RAISE(kp2p_code, kp2p_text)
	}
}

/* For functions that tell their failure by a code alone. */
%typemap(out, noblock=1, canthrow=1) kp2p_result {
	if ($1 < 0) {
		KP2P_RAISE($1, kp2p_strerror($1))
	}
	$typemap(out, int)
}

/* A packed batch of events (ptr and len as in kp2p_bytes), which the wrapper frees, or a code. */
%typemap(out, noblock=1, canthrow=1) kp2p_batch {
	if ($1.code < 0) {
		KP2P_RAISE($1.code, kp2p_strerror($1.code))
	}
	$typemap(out, kp2p_bytes)
	free($1.ptr);
}

%typemap(newfree) char * "kp2p_free($1);"
%newobject kp2p_key_generate;
%newobject kp2p_key_peer_id;
%newobject kp2p_peer_id_parse;
%newobject kp2p_node::info;
%newobject kp2p_node::poll;
%newobject kp2p_sender::clone;

%{
/* Text and code of an error, which it frees. A text that is too long ends between two letters. */
static int kp2p_take_error(kp2p_error *err, char *text, size_t size)
{
	int code = kp2p_error_code(err);
	size_t len = strlen(kp2p_error_message(err));
	if (len >= size)
		for (len = size - 1; (kp2p_error_message(err)[len] & 0xc0) == 0x80;)
			len--;
	memcpy(text, kp2p_error_message(err), len);
	text[len] = '\0';
	kp2p_error_free(err);
	return code;
}

typedef int kp2p_result;

typedef struct kp2p_batch {
	char *ptr;
	size_t len;
	int code;
} kp2p_batch;

/* kp2p_node_poll_packed into memory that is large enough. Nothing in time, or interrupted: no ptr. */
static kp2p_batch kp2p_take(kp2p_node *node, int inbox, int timeout_ms)
{
	kp2p_batch batch = {NULL, 0, 0};
	size_t room = 96 * 1024;
	for (;;) {
		size_t used = 0;
		batch.ptr = (char *)malloc(room);
		batch.code = batch.ptr == NULL ? KP2P_ENOMEM :
		                                 kp2p_node_poll_packed(node, inbox, batch.ptr, room,
		                                                       &used, timeout_ms);
		batch.len = used;
		if (batch.code > 0)
			return batch;
		free(batch.ptr);
		batch.ptr = NULL;
		if (batch.code != KP2P_ETOOBIG) {
			batch.code = batch.code == KP2P_EINTR ? 0 : batch.code;
			return batch;
		}
		room = used;
	}
}

/* Waits until the inbox, or inbox 0, has something. 1, or 0 when time is over or a signal came. */
static kp2p_result kp2p_wait(kp2p_node *node, int inbox, int timeout_ms)
{
	struct pollfd fds[2] = {{kp2p_node_inbox_fd(node, inbox), POLLIN, 0},
	                        {kp2p_node_inbox_fd(node, 0), POLLIN, 0}};
	for (int i = 0; i < 2; i++)
		if (fds[i].fd < 0)
			return fds[i].fd;
	return poll(fds, inbox == 0 ? 1 : 2, timeout_ms) > 0;
}
%}

/* --- the bell: one thread of the program learns which inbox has something ------------------------ */

/* For languages with threads whose readers wait by the language's own means (conditions, futures),
 * so that a wait can be interrupted, cancelled, or made by a light thread. One thread of the program
 * calls wait in a loop and tells the readers. */
%{
#define KP2P_BELL_NONE (-3)

typedef struct kp2p_bell {
	kp2p_node *node;
	sem_t rung;
	atomic_uint_least64_t inboxes[KP2P_INBOXES / 64];
	atomic_int space, closed;
} kp2p_bell;

/* On the node's own thread: must be short, and calls nothing of the library. */
static void kp2p_bell_ring(void *user, int what)
{
	kp2p_bell *bell = (kp2p_bell *)user;
	if (what >= 0)
		atomic_fetch_or(&bell->inboxes[what / 64], UINT64_C(1) << (what % 64));
	else
		atomic_store(what == KP2P_WAKE_SPACE ? &bell->space : &bell->closed, 1);
	sem_post(&bell->rung);
}

static kp2p_bell *kp2p_bell_make(kp2p_node *node)
{
	kp2p_bell *bell = (kp2p_bell *)calloc(1, sizeof(*bell));
	if (bell == NULL || sem_init(&bell->rung, 0, 0) != 0) {
		free(bell);
		return NULL;
	}
	bell->node = node;
	if (kp2p_node_set_wakeup(node, kp2p_bell_ring, bell) < 0)
		atomic_store(&bell->closed, 1);
	return bell;
}

/* What it rang for and was not told yet, or KP2P_BELL_NONE. Several rings may have become one. */
static int kp2p_bell_next(kp2p_bell *bell)
{
	for (int i = 0; i < KP2P_INBOXES / 64; i++) {
		uint64_t set = atomic_load(&bell->inboxes[i]);
		for (int bit = 0; set != 0 && bit < 64; bit++) {
			uint64_t mask = UINT64_C(1) << bit;
			if ((set & mask) != 0) {
				atomic_fetch_and(&bell->inboxes[i], ~mask);
				return i * 64 + bit;
			}
		}
	}
	if (atomic_exchange(&bell->space, 0))
		return KP2P_WAKE_SPACE;
	return atomic_load(&bell->closed) ? KP2P_WAKE_CLOSED : KP2P_BELL_NONE;
}

static int kp2p_bell_await(kp2p_bell *bell, int timeout_ms)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	for (;;) {
		int what = kp2p_bell_next(bell);
		if (what != KP2P_BELL_NONE)
			return what;
		/* a ring that was taken above leaves a post behind: then once more around */
		if ((timeout_ms < 0 ? sem_wait(&bell->rung) : sem_timedwait(&bell->rung, &until)) < 0 &&
		    errno == ETIMEDOUT)
			return KP2P_BELL_NONE;
	}
}

static void kp2p_bell_drop(kp2p_bell *bell)
{
	if (bell == NULL)
		return;
	kp2p_node_set_wakeup(bell->node, NULL, NULL);
	sem_destroy(&bell->rung);
	free(bell);
}
%}

/* --- the objects ---------------------------------------------------------------------------------- */

%rename("%(strip:[KP2P_])s", %$isconstant) "";
%rename("%(strip:[KP2P_])s", regextarget=1) "^KP2P_";
%rename("%(strip:[kp2p_])s", regextarget=1, %$isfunction, %$not %$ismember) "^kp2p_";
/* methods below, or of no use here: memory is the wrappers' business, callbacks are not */
%rename("$ignore", regextarget=1, %$isfunction, %$not %$ismember) "^kp2p_(config|node|sender|event|error)_";
%ignore kp2p_events_free;
%ignore kp2p_free;
%ignore kp2p_bytes;
%ignore KARAKP2P_H;
%ignore KP2P_API;

%nodefaultctor;
%nodefaultdtor;
%rename(Config) kp2p_config;
%rename(Node) kp2p_node;
%rename(Sender) kp2p_sender;
%rename(Event) kp2p_event;
%rename(Bell) kp2p_bell;
typedef int kp2p_result;
struct kp2p_config {};
struct kp2p_node {};
struct kp2p_sender {};
struct kp2p_event {};
struct kp2p_bell {};

/* Methods without a body are the C functions <type>_<method> themselves. */
%extend kp2p_config {
	kp2p_config() { return kp2p_config_new(); }
	~kp2p_config() { kp2p_config_free($self); }
	int set(const char *key, const char *value, kp2p_error **err);
}

%extend kp2p_node {
	kp2p_node(const kp2p_config *config, kp2p_error **err) { return kp2p_node_new(config, err); }
	~kp2p_node() { kp2p_node_free($self); }
	int start(kp2p_error **err);
	/* 0 = closed; EAGAIN, ETIMEDOUT and EINTR are returned, not raised: they are no failures */
	int close(int drain_ms, int timeout_ms);
	int64_t stop_id();
	kp2p_event *poll(int inbox, int timeout_ms);
	/* up to 96 KiB of events as kp2p_node_poll_packed writes them; nothing when none came */
	kp2p_batch take(int inbox, int timeout_ms) { return kp2p_take($self, inbox, timeout_ms); }
	/* until that inbox or inbox 0 has something; 0 = time is over, or a signal came */
	kp2p_result wait(int inbox, int timeout_ms) { return kp2p_wait($self, inbox, timeout_ms); }
	kp2p_result inbox_fd(int inbox);
	/* nothing when there is no memory. It must not outlive the node, so whoever waits on it removes
	 * it, once the node is closed: no finalizer does */
	kp2p_bell *bell() { return kp2p_bell_make($self); }
	kp2p_result wake();
	kp2p_result verdict(int64_t token, int verdict);
	int request(int op, const void *arg, size_t arg_len, const void *data, size_t len,
	            int timeout_ms, int64_t token, kp2p_error **err);
	kp2p_result cancel(int64_t token);
	char *info(const char *what, kp2p_error **err);
}

%extend kp2p_sender {
	kp2p_sender(kp2p_node *node, kp2p_error **err) { return kp2p_sender_new(node, err); }
	~kp2p_sender() { kp2p_sender_free($self); }
	kp2p_sender *clone();
	int publish(const char *topic, const void *data, size_t len, int64_t token, int timeout_ms,
	            kp2p_error **err);
	int send(const char *peer, const char *protocol, const void *data, size_t len, int64_t token,
	         int timeout_ms, kp2p_error **err);
	kp2p_result fd();
}

%extend kp2p_event {
	~kp2p_event()
	{
		kp2p_event *event = $self;
		kp2p_events_free(&event, 1);
	}
	int type();
	kp2p_bytes bytes(int field);
	int64_t number(int field) { return kp2p_event_int($self, field); }
}

%extend kp2p_bell {
	/* an inbox number, WAKE_SPACE, WAKE_CLOSED, or -3 when time is over; < 0 waits for ever */
	int wait(int timeout_ms)
	{
		return $self == NULL ? KP2P_WAKE_CLOSED : kp2p_bell_await($self, timeout_ms);
	}
	void remove() { kp2p_bell_drop($self); }
}

%include <karakp2p.h>
