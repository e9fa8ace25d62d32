/* KarakP2P: GossipSub publish-subscribe and a Kademlia DHT over libp2p, in C.
 *
 * This is the whole public interface of libkarakp2p: 41 functions, opaque handles, polling first,
 * callbacks on the caller's thread. It compiles as C11 and C++17.
 *
 *     kp2p_config *c = kp2p_config_new();
 *     kp2p_config_set(c, "listen", "/ip4/127.0.0.1/tcp/0", NULL);
 *     kp2p_config_set(c, "topic", "news", NULL);
 *     kp2p_node *n = kp2p_node_new(c, NULL);
 *     kp2p_node_start(n, NULL);
 *     for (kp2p_event *ev[256];;) {
 *             int k = kp2p_node_poll_batch(n, 0, ev, 256, -1);
 *             if (k < 0 && k != KP2P_EINTR)
 *                     break;
 *             for (int i = 0; i < k; i++)
 *                     if (kp2p_event_type(ev[i]) == KP2P_EV_MESSAGE)
 *                             use(kp2p_event_bytes(ev[i], KP2P_F_PAYLOAD));
 *             if (k > 0)
 *                     kp2p_events_free(ev, (size_t)k);
 *     }
 *     kp2p_node_close(n, 2000, -1);
 *     kp2p_node_free(n);
 *
 * Conventions, for every function unless it says otherwise:
 *
 * - Result: an int is >= 0 for success (often a count) and a KP2P_E... code (< 0) for failure. A
 *   pointer is NULL for failure.
 * - Errors: the last argument `err` may be NULL. It is written only on failure and only when *err
 *   is NULL before; the object is the caller's: kp2p_error_free. Its text names the offending key,
 *   address, peer or argument.
 * - Time: timeout_ms is in milliseconds: 0 = try, do not wait; < 0 = wait for ever.
 * - Strings in are UTF-8, NUL-terminated and copied. Bytes in are copied before the call returns;
 *   nothing of the caller's is ever retained. A char * given out is the caller's: kp2p_free.
 * - Threads: every function may be called by any thread at any time, except the free of one object
 *   while another call uses that object. No function keeps state per thread.
 * - Signals: the library installs no handler, and its own threads block every signal. A blocked
 *   call returns KP2P_EINTR when a signal handler ran on its thread (with SA_RESTART too), and when
 *   kp2p_node_wake was called. Look at your signals and call again.
 * - NULL: a NULL handle or required argument is KP2P_EINVAL; NULL to any free does nothing.
 * - Fork: in a forked child every call on an object made before the fork is KP2P_EFORKED and every
 *   free of one does nothing. The child may make nodes of its own.
 * - Before start: the requests SUBSCRIBE, UNSUBSCRIBE and ADD_PROTOCOL, and publish, are queued;
 *   other requests, and waits with timeout_ms other than 0, are KP2P_ESTATE.
 * - Closing: publish, send and request are KP2P_ECLOSED; poll, verdict, cancel and info work.
 * - Closed: poll gives what is left, then KP2P_ECLOSED; info gives the last snapshot;
 *   set_wakeup(NULL), close and free succeed; everything else is KP2P_ECLOSED.
 */
#ifndef KARAKP2P_H
#define KARAKP2P_H

#include <stddef.h>
#include <stdint.h>

#if defined(SWIG) || defined(KP2P_STATIC)
#define KP2P_API
#elif defined(_WIN32)
#if defined(KP2P_BUILDING)
#define KP2P_API __declspec(dllexport)
#else
#define KP2P_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define KP2P_API __attribute__((visibility("default")))
#else
#define KP2P_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- constants (values are frozen; new ones may be added) --- */

/* The version of the interface that this header describes: kp2p_abi_version. */
#define KP2P_ABI_MAJOR 1
#define KP2P_ABI_MINOR 0

/* Error codes. The name after the E is the name in every binding. Print unknown ones with
 * kp2p_strerror. */
#define KP2P_EINTERNAL    (-1) /* a bug of the library, or a failure of the system it can not name */
#define KP2P_EINVAL       (-2)  /* an argument, key or value is wrong; the text says which */
#define KP2P_ENOMEM       (-3)  /* the system, or the node's memory budget, has none left */
#define KP2P_EAGAIN       (-4)  /* a queue is full, or there is nothing yet: try later */
#define KP2P_ETIMEDOUT    (-5)  /* timeout_ms, or the operation's own limit, has passed */
#define KP2P_EINTR        (-6)  /* a signal handler ran, or kp2p_node_wake: call again */
#define KP2P_ECLOSED      (-7)  /* the node is closing or closed */
#define KP2P_ECANCELED    (-8)  /* ended by kp2p_node_cancel */
#define KP2P_EFORKED      (-9)  /* the object was made before a fork */
#define KP2P_ESTATE       (-10) /* not possible in this state: not started, or started already */
#define KP2P_ENOTFOUND    (-11) /* no such token, peer, topic or record */
#define KP2P_ETOOBIG      (-12) /* larger than a limit; the text says size and limit */
#define KP2P_EDUPLICATE   (-13) /* a message with this content was seen in the last 60 s */
#define KP2P_ENOPEERS     (-14) /* nobody to send to */
#define KP2P_EEXPIRED     (-15) /* held for a subscriber until publish.hold ran out */
#define KP2P_EUNREACHABLE (-16) /* no address of the peer answers */
#define KP2P_EPROTO       (-17) /* the peer broke the protocol */
#define KP2P_EADDRINUSE   (-18) /* a listen address is taken */
#define KP2P_EACCES       (-19) /* the system forbids it, or the keys allow and deny do */
#define KP2P_ELIMIT       (-20) /* a configured or built-in limit is reached */
#define KP2P_ENOTSUP      (-21) /* not built, or the peer does not speak it */
#define KP2P_EPEERID      (-22) /* the peer is not who its address says */

/* Event types (kp2p_event_type) and the fields they carry. TIME_NS and INBOX are on every event. */
#define KP2P_EV_MESSAGE   1  /* TOPIC PAYLOAD FROM VIA ID SEQ; or PAYLOAD FROM PROTOCOL (direct) */
#define KP2P_EV_VALIDATE  2  /* as MESSAGE, and TOKEN for kp2p_node_verdict; it is the delivery */
#define KP2P_EV_PUBLISHED 3  /* TOKEN TOPIC ID COUNT = peers queued to, CODE */
#define KP2P_EV_PEER_UP   4  /* FROM ADDR; only when key `events` names peers */
#define KP2P_EV_PEER_DOWN 5  /* FROM ADDR CODE TEXT; likewise */
#define KP2P_EV_LISTEN    6  /* ADDR */
#define KP2P_EV_COMPLETE  7  /* TOKEN CODE TEXT and the operation's fields (KP2P_OP_…) */
#define KP2P_EV_DROPPED   8  /* COUNT events of this inbox were dropped since the last one */
#define KP2P_EV_LOG       9  /* CODE = KP2P_LOG_… level, TEXT; only when `events` names log */
#define KP2P_EV_STATS     10 /* TEXT = JSON; only when `events` names stats */
#define KP2P_EV_CLOSED    11 /* CODE: nothing follows (kp2p_node_poll) */

/* Fields of kp2p_event_bytes, and the order of len[] in a packed record. */
#define KP2P_F_TOPIC    0 /* UTF-8 */
#define KP2P_F_PAYLOAD  1 /* the message */
#define KP2P_F_FROM     2 /* author, peer id in base58 */
#define KP2P_F_VIA      3 /* the peer that forwarded it, base58 */
#define KP2P_F_ID       4 /* message id, bytes (decimal text for the Karak id) */
#define KP2P_F_PROTOCOL 5 /* protocol id of a direct message */
#define KP2P_F_ADDR     6 /* one multiaddr text */
#define KP2P_F_KEY      7 /* DHT key */
#define KP2P_F_VALUE    8 /* DHT value */
#define KP2P_F_TEXT     9 /* human readable; JSON in STATS */
#define KP2P_FIELDS     10

/* Fields of kp2p_event_int. */
#define KP2P_F_TOKEN   32 /* yours (COMPLETE, PUBLISHED) or the library's (VALIDATE), else 0 */
#define KP2P_F_CODE    33 /* 0 or KP2P_E…; the level of a LOG */
#define KP2P_F_SEQ     34 /* the seqno's 64 bits; see KP2P_FLAG_NO_SEQ */
#define KP2P_F_TIME_NS 35 /* when it happened: wall clock, nanoseconds since 1970 */
#define KP2P_F_COUNT   36 /* PUBLISHED: peers; DROPPED: events */
#define KP2P_F_RTT_US  37 /* COMPLETE of a PING: round trip in microseconds */
#define KP2P_F_INBOX   38 /* the inbox it came through */
#define KP2P_F_FLAGS   39 /* KP2P_FLAG_… */

#define KP2P_FLAG_MORE   1 /* further COMPLETE events with this token follow */
#define KP2P_FLAG_NO_SEQ 2 /* the message carried no seqno */

/* Operations of kp2p_node_request: arg / data → fields of COMPLETE besides TOKEN, CODE and TEXT. */
#define KP2P_OP_CONNECT            1 /* multiaddr or peer id → FROM, ADDR */
#define KP2P_OP_DISCONNECT         2 /* peer id */
#define KP2P_OP_PING               3 /* peer id → RTT_US */
#define KP2P_OP_SUBSCRIBE          4 /* topic / text "validate=1 self=1 inbox=3"; again = replace */
#define KP2P_OP_UNSUBSCRIBE        5 /* topic */
#define KP2P_OP_ADD_PROTOCOL       6 /* protocol id / text "inbox=3": messages arrive as MESSAGE */
#define KP2P_OP_DHT_FIND_PEER      7 /* peer id → FROM, ADDR, one event per address (MORE) */
#define KP2P_OP_DHT_PROVIDE        8 /* cid; ENOTSUP until built */
#define KP2P_OP_DHT_FIND_PROVIDERS 9 /* cid → FROM, ADDR with MORE; ENOTSUP until built */
#define KP2P_OP_DHT_PUT            10 /* key / value; ENOTSUP until built */
#define KP2P_OP_DHT_GET            11 /* key → VALUE, FROM; ENOTSUP until built */

/* Verdicts of kp2p_node_verdict. */
#define KP2P_VERDICT_ACCEPT 0 /* forward it */
#define KP2P_VERDICT_REJECT 1 /* do not forward, and count it against the sender */
#define KP2P_VERDICT_IGNORE 2 /* do not forward */

/* `what` of a wake-up callback that is not an inbox number. */
#define KP2P_WAKE_SPACE  (-1) /* there is room again after an EAGAIN of publish or send */
#define KP2P_WAKE_CLOSED (-2) /* the node is closed; the last call */

/* Key types of kp2p_key_generate. */
#define KP2P_KEY_ED25519 1

/* CODE of a LOG event. */
#define KP2P_LOG_ERROR 0
#define KP2P_LOG_WARN  1
#define KP2P_LOG_INFO  2
#define KP2P_LOG_DEBUG 3

/* A record of kp2p_node_poll_packed: bytes of its head, and len[] of a field that is missing. */
#define KP2P_PACKED_HEAD    88
#define KP2P_PACKED_MISSING 0xFFFFFFFFu

#define KP2P_INBOXES 1024 /* inbox numbers are 0 to 1023 */

/* --- types --- */

typedef struct kp2p_error kp2p_error;   /* why a call failed: code and text */
typedef struct kp2p_config kp2p_config; /* keys and values for new nodes */
typedef struct kp2p_node kp2p_node;     /* one peer of the network */
typedef struct kp2p_sender kp2p_sender; /* a way to send; clone one per thread if you like */
typedef struct kp2p_event kp2p_event;   /* something that happened; read-only */

/* Bytes borrowed from an event, valid until it is freed. Missing: {NULL, 0}. Empty: {non-NULL, 0}.
 * Not NUL-terminated. */
typedef struct kp2p_bytes {
	const char *ptr;
	size_t len;
} kp2p_bytes;

/* --- A. version, errors --- */

/* major << 16 | minor. A binding refuses another major than KP2P_ABI_MAJOR, and a smaller minor
 * than it needs. Any thread, also in a signal handler. */
KP2P_API uint32_t kp2p_abi_version(void);

/* For people: "0.1.0 libuv/1.44.2 openssl/3.0.22 cares/1.18.1 sodium/1.0.18 features=…", asked of
 * the libraries that are really loaded, at run time. Static text. */
KP2P_API const char *kp2p_version(void);

/* The fixed text of a code. Static, never NULL, also for codes this library does not know. */
KP2P_API const char *kp2p_strerror(int code);

/* What exactly went wrong, UTF-8, borrowed from the error; "" for NULL. */
KP2P_API const char *kp2p_error_message(const kp2p_error *err);

/* The KP2P_E… code; 0 for NULL. */
KP2P_API int kp2p_error_code(const kp2p_error *err);

KP2P_API void kp2p_error_free(kp2p_error *err);

/* Frees any char* that this library gave out as the caller's. The memory is overwritten first. */
KP2P_API void kp2p_free(void *ptr);

/* --- B. config (the keys: docs/config.md) --- */

/* All keys at their defaults. NULL = out of memory. A config is not thread-safe. */
KP2P_API kp2p_config *kp2p_config_new(void);

/* Sets one key; a repeatable key (listen, bootstrap, topic …) appends. EINVAL: unknown key or bad
 * value, with key, value and the valid range in the text. ELIMIT: too many values. ENOMEM. */
KP2P_API int kp2p_config_set(kp2p_config *config, const char *key, const char *value,
                             kp2p_error **err);

/* A node keeps a copy of its own, so this may follow kp2p_node_new at once. */
KP2P_API void kp2p_config_free(kp2p_config *config);

/* --- C. keys and peer ids (as in the libp2p peer-ids specification) --- */

/* A new private key as the text that config key `identity` takes (base64 of the libp2p PrivateKey
 * protobuf). The caller's: kp2p_free, which wipes it. type: KP2P_KEY_ED25519; others ENOTSUP. */
KP2P_API char *kp2p_key_generate(int type, kp2p_error **err);

/* The peer id (base58) of such a text. The caller's: kp2p_free. EINVAL, ENOTSUP. */
KP2P_API char *kp2p_key_peer_id(const char *key, kp2p_error **err);

/* Base58 or CIDv1 in, base58 out. The caller's: kp2p_free. EINVAL. */
KP2P_API char *kp2p_peer_id_parse(const char *text, kp2p_error **err);

/* --- D. life of a node --- */

/* A node with a copy of the config. No thread and no socket yet, so it is safe to fork until start.
 * The caller owns one reference: kp2p_node_free. EINVAL (keys that contradict each other), ENOMEM,
 * ELIMIT (more than 4,096 nodes). */
KP2P_API kp2p_node *kp2p_node_new(const kp2p_config *config, kp2p_error **err);

/* Binds all listeners before it returns (kp2p_node_info(n, "listen_addrs") knows the ports), then
 * starts the node's threads, with every signal blocked in them. A bootnode that is down does not
 * make it fail. ESTATE: started already. ECLOSED: closed or stopped before. EADDRINUSE, EACCES,
 * EINVAL, with the address in the text; after such a failure the node can be started again. */
KP2P_API int kp2p_node_start(kp2p_node *node, kp2p_error **err);

/* Says goodbye and ends the node: accepts no more publishes, drains the queues, tells the peers,
 * closes the connections, completes every pending token with ECLOSED or ECANCELED, wakes all
 * waiters, joins the threads. Any thread, any number of times, several at once, also inside a
 * listen callback.
 * - drain_ms: the budget for all of that, counted from the first call; < 0 = as long as it takes. A
 *   later call can only shorten it.
 * - timeout_ms: how long this call waits.
 *
 * 0 = closed and joined. EAGAIN = still closing (timeout_ms 0), ETIMEDOUT, EINTR. */
KP2P_API int kp2p_node_close(kp2p_node *node, int drain_ms, int timeout_ms);

/* Gives up the handle. When the node is not closed this is kp2p_stop as well. Never blocks, so
 * garbage collectors may call it, on any thread, also inside a listen callback. Senders and events
 * stay valid. */
KP2P_API void kp2p_node_free(kp2p_node *node);

/* A number > 0 that names this node for kp2p_stop; never used again in this process. 0 for NULL and
 * in a forked child. */
KP2P_API int64_t kp2p_node_stop_id(const kp2p_node *node);

/* kp2p_node_close(node, 2000, 0) for signal handlers: async-signal-safe, keeps errno. Before start
 * it makes start return ECLOSED. 0, or ECLOSED when the node is closed or gone; EFORKED. */
KP2P_API int kp2p_stop(int64_t stop_id);

/* --- E. sending --- */

/* Holds a reference of the node's memory, never of its network. ENOMEM, ECLOSED. */
KP2P_API kp2p_sender *kp2p_sender_new(kp2p_node *node, kp2p_error **err);

/* Another handle of the same bounded queue. NULL = out of memory or NULL given. */
KP2P_API kp2p_sender *kp2p_sender_clone(const kp2p_sender *sender);

/* What it has queued still goes out. Never blocks. */
KP2P_API void kp2p_sender_free(kp2p_sender *sender);

/* Queues a message for everyone who subscribes to the topic (1 to 256 bytes). data may be NULL when
 * len is 0. Waits at most timeout_ms for room in the queue (outbox.max_messages, outbox.max_bytes);
 * those who wait are served in order.
 *
 * token > 0, not in flight: exactly one PUBLISHED event will tell its fate in inbox 0; its room is
 * reserved now, so outbox.max_messages also bounds the fates that are in flight or unread. token 0:
 * only a failure will be told.
 *
 * EAGAIN (full, timeout_ms 0), ETIMEDOUT, EINTR, ETOOBIG (max_message_size), EINVAL, ECLOSED,
 * ENOMEM, ESTATE (full, before start). */
KP2P_API int kp2p_sender_publish(kp2p_sender *sender, const char *topic, const void *data,
                                 size_t len, int64_t token, int timeout_ms, kp2p_error **err);

/* n messages that lie one after the other in buf, of lens[i] bytes each; message i has token + i
 * (token 0: none has one). Returns how many were accepted, from the first; an error only when the
 * first was not. Waits for room like publish, for all of them, ≤ timeout_ms altogether. */
KP2P_API int kp2p_sender_publish_batch(kp2p_sender *sender, const char *topic, const void *buf,
                                       const uint32_t *lens, size_t n, int64_t token,
                                       int timeout_ms, kp2p_error **err);

/* Queues a direct message to one connected peer, on a stream of that protocol; there it arrives as
 * MESSAGE with PROTOCOL, if it did ADD_PROTOCOL. token ≠ 0: one COMPLETE when it was written or
 * failed. Room, waiting and errors as publish; ESTATE before start. */
KP2P_API int kp2p_sender_send(kp2p_sender *sender, const char *peer, const char *protocol,
                              const void *data, size_t len, int64_t token, int timeout_ms,
                              kp2p_error **err);

/* For poll, select and event loops: readable while a publish would be accepted (or the node is
 * closing). After a refusal it is unreadable until the queue has fallen to 3/4. One fd for all
 * senders of a node, the library's: never read, write or close it. Non-blocking, close-on-exec,
 * valid until the node and all its senders are freed. Or a code < 0. */
KP2P_API int kp2p_sender_fd(kp2p_sender *sender);

/* --- F. inboxes --- */
/* A node has inbox 0 and, once SUBSCRIBE or ADD_PROTOCOL has routed messages there, inboxes 1 to
 * 1023. Each is bounded (inbox.max_messages, inbox.max_bytes, inbox.policy); what does not fit is
 * dropped, counted, and told by one DROPPED event. COMPLETE and PUBLISHED with a token are never
 * dropped; neither are direct messages with inbox.policy=block: they wait at their sender. Several
 * threads may poll one inbox; each event goes to one of them. */

/* The next event, the caller's: kp2p_events_free. NULL = none within timeout_ms, or interrupted.
 * Every failure is an event of type CLOSED whose CODE says why (ECLOSED, ESTATE, EINVAL, EFORKED);
 * it is static and freeing it does nothing. */
KP2P_API kp2p_event *kp2p_node_poll(kp2p_node *node, int inbox, int timeout_ms);

/* Up to max events into out; waits for the first only. The count; 0 = none within timeout_ms.
 * ECLOSED once all is read, EINTR, EINVAL, ESTATE. */
KP2P_API int kp2p_node_poll_batch(kp2p_node *node, int inbox, kp2p_event **out, size_t max,
                                  int timeout_ms);

/* As many whole events as fit, copied into buf (any alignment), *used bytes. Returns their number.
 * A record, little endian: u32 size (a multiple of 8), u16 head (88), u16 type, u16 flags, u16
 * inbox, i32 code, i64 token, i64 seq, i64 time_ns, i64 count (RTT_US of a ping), u32 len[10] in
 * the order of KP2P_F_…; from `head` on the bytes of the fields that are not missing, unpadded. A
 * reader must use `head` and `size`: later versions may lengthen the head. ETOOBIG: the first does
 * not fit; *used = bytes it needs, and it stays. Otherwise as poll_batch. */
KP2P_API int kp2p_node_poll_packed(kp2p_node *node, int inbox, void *buf, size_t cap, size_t *used,
                                   int timeout_ms);

/* For poll, select and event loops: readable while the inbox holds an event, and for ever once the
 * node is closed (stop watching at CLOSED). The library's: never read, write or close it; dup to
 * keep it longer than the node. Non-blocking, close-on-exec. Or a code < 0. */
KP2P_API int kp2p_node_inbox_fd(kp2p_node *node, int inbox);

/* Has cb(ud, what) called on the node's own thread: what ≥ 0: that inbox was empty and is not any
 * more; or KP2P_WAKE_…. Called once after setting for whatever already holds. cb must be short and
 * may not call this library. A NULL cb clears it and returns only when no call of the old one is
 * running, so ud may be freed then. EINVAL from inside cb; ECLOSED unless cb is NULL. */
KP2P_API int kp2p_node_set_wakeup(kp2p_node *node, void (*cb)(void *ud, int what), void *ud);

/* Calls cb(event, ud) on this thread for each event of the inbox until the node is closed (returns
 * 0) or cb returns a value ≠ 0, which is returned. The event is valid during cb only, and not to be
 * freed. cb may call any function of this library, kp2p_node_close and kp2p_node_free included. A
 * value < 0 means EINVAL, ESTATE, EINTR. cb should return ≥ 0. */
KP2P_API int kp2p_node_listen(kp2p_node *node, int inbox, int (*cb)(kp2p_event *event, void *ud),
                              void *ud, kp2p_error **err);

/* Makes every blocked call on this node return EINTR; when none is blocked, the next that would.
 * Async-signal-safe, keeps errno. */
KP2P_API int kp2p_node_wake(kp2p_node *node);

/* --- G. events --- */
/* Events are immutable, may be read by any thread, and outlive close and free of their node. */

/* KP2P_EV_…; 0 for NULL. New types may come: skip what you do not know. */
KP2P_API int kp2p_event_type(const kp2p_event *event);

/* One of the KP2P_F_ byte fields; borrowed. */
KP2P_API kp2p_bytes kp2p_event_bytes(const kp2p_event *event, int field);

/* One of the KP2P_F_ integer fields; 0 when it has none. */
KP2P_API int64_t kp2p_event_int(const kp2p_event *event, int field);

/* Frees n events and sets the array's elements to NULL; NULL elements are skipped. */
KP2P_API void kp2p_events_free(kp2p_event **events, size_t n);

/* The verdict on a VALIDATE event, by its TOKEN, so it works after copying or freeing the event.
 * Once per token, within `validate.timeout`. Never blocks. ENOTFOUND: unknown, given already or
 * expired. EINVAL: no such verdict. ECLOSED after close. */
KP2P_API int kp2p_node_verdict(kp2p_node *node, int64_t token, int verdict);

/* --- H. operations, introspection --- */

/* Starts an operation (KP2P_OP_...) and never blocks. arg_len SIZE_MAX: arg is NUL-terminated.
 * timeout_ms is its limit, 0 or less its own one. What the same thread published before goes first,
 * unless the network is full.
 *
 * token > 0, not in flight: exactly one final COMPLETE (without FLAG_MORE) arrives in inbox 0,
 * whatever happens. 0: none does.
 *
 * EINVAL, ENOTSUP: the text says why. EAGAIN: requests.max are in flight or unread. ESTATE,
 * ECLOSED, ENOMEM. */
KP2P_API int kp2p_node_request(kp2p_node *node, int op, const void *arg, size_t arg_len,
                               const void *data, size_t len, int timeout_ms, int64_t token,
                               kp2p_error **err);

/* Asks a request, send or publish to end early; a publish while it is queued, signed or held for a
 * subscriber. Its one final event still arrives: ECANCELED, or what had happened before. ENOTFOUND:
 * no such token in flight. Never blocks. */
KP2P_API int kp2p_node_cancel(kp2p_node *node, int64_t token);

/* A snapshot as text, the caller's: kp2p_free. what: "self", "addresses", "peers", "topics",
 * "routing", "stats", "threads", "config" give JSON; "peer_id" and "version" bare text;
 * "listen_addrs" one address a line. Waits for at most one turn of the node's thread. After close:
 * the last snapshot. EINVAL: no such thing. */
KP2P_API char *kp2p_node_info(kp2p_node *node, const char *what, kp2p_error **err);

#ifdef __cplusplus
}
#endif
#endif
