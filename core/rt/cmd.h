/* What the application's threads hand to the loop thread: the outbox (bounded, back-pressure to the
 * senders), and requests, cancels, verdicts and questions. Also the one table of the application's
 * tokens in flight. One lock for all of it, never held while the engine works. */
#ifndef KP_RT_CMD_H
#define KP_RT_CMD_H

#include "engine/port.h"
#include "rt/sys.h"
#include "rt/tokens.h"
#include "rt/wait.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_rt_cmd_limits {
	uint32_t max_messages; /* outbox; also: token'd publishes and sends in flight or unread */
	uint64_t max_bytes;    /* outbox: memory; the last message may exceed it */
	uint32_t requests_max; /* in flight or unread */
	kp_time validate_timeout;
} kp_rt_cmd_limits;

typedef enum kp_rt_token_kind {
	KP_RT_TOKEN_PUBLISH = 1,
	KP_RT_TOKEN_SEND,
	KP_RT_TOKEN_REQUEST
} kp_rt_token_kind;

/* Marks in kp_event.flags, for the host only: what is to be given back when the event is read. */
#define KP_RT_EVF_SENT      0x4000u /* a record of the outbox */
#define KP_RT_EVF_REQUESTED 0x8000u /* a record of a request */
#define KP_RT_EVF_HOST      0xC000u

typedef enum kp_rt_req_kind {
	KP_RT_REQUEST,
	KP_RT_CANCEL,
	KP_RT_VERDICT,
	KP_RT_INFO
} kp_rt_req_kind;

/* One of the smaller commands, in a block of its own with the bytes of arg and data behind it; an
 * INFO lies on the stack of the thread that waits for it. */
typedef struct kp_rt_req {
	kp_list link;
	kp_rt_req_kind kind;
	kp_op op;
	kp_slice arg, data; /* INFO: arg = what */
	int64_t token;
	kp_time deadline;
	kp_event *done; /* REQUEST with token */
	uint64_t after; /* REQUEST: messages accepted before it, in all */
	kp_verdict verdict;
	kp_rt_waiter *asker; /* INFO, the rest too */
	kp_mem *mem;         /* answer comes from here */
	char *answer;
} kp_rt_req;

typedef struct kp_rt_cmd {
	pthread_mutex_t lock;
	kp_mem *mem;
	kp_rt_kick *kick;
	kp_rt_cmd_limits limits;
	/* outbox; n and bytes count until kp_rt_cmd_sent */
	kp_pub *head, *tail;
	uint32_t n;
	uint64_t bytes;
	uint32_t records;    /* publishes and sends with token: in flight or unread */
	bool refused;        /* somebody was refused or waits: until all is at 3/4 again */
	bool space;          /* room again since a refusal: WAKE_SPACE is due */
	bool started, ended; /* waits are possible; the loop has gone */
	bool closed;         /* nothing more is accepted */
	uint32_t *wake_next; /* atomic, the node's: the next call that would block is KP_E_INTR */
	kp_rt_ready ready;   /* readable = a publish would be accepted, or closed */
	kp_list waiters;     /* struct cmd_waiter: senders, FIFO */
	kp_rt_tokens tokens; /* → kp_rt_token_kind */
	/* the rest */
	kp_list reqs;
	uint32_t requests;       /* in flight or unread, and those without token still queued */
	kp_rt_tokens verdicts;   /* VALIDATE tokens given out → when they expire */
	uint32_t verdicts_check; /* expired ones are looked for at this number */
	uint64_t refusals;       /* publishes and sends turned away (stats) */
	uint64_t accepted;
} kp_rt_cmd;

void kp_rt_cmd_init(kp_rt_cmd *c, kp_mem *mem, kp_rt_kick *kick, uint32_t *wake_next,
                    const kp_rt_cmd_limits *limits);
void kp_rt_cmd_fini(kp_rt_cmd *c);
void kp_rt_cmd_start(kp_rt_cmd *c); /* waiting is possible from now on */

/* --- any thread --- */

/* Queues the messages of *chain (linked by `next`) as far as there is room, in order, waiting until
 * the deadline for all of them (0 = do not wait); *chain is what was not taken and stays the
 * caller's. KP_OK = all taken. Else why the first of the rest was not: KP_E_AGAIN, KP_E_TIMEDOUT,
 * KP_E_INTR, KP_E_CLOSED, KP_E_STATE, KP_E_INVAL (token in flight), KP_E_NOMEM. */
kp_err kp_rt_cmd_post(kp_rt_cmd *c, kp_pub **chain, kp_rt_token_kind kind, kp_time deadline);

/* A cheap look before the message is copied: false = kp_rt_cmd_post without waiting would say so.
 */
kp_err kp_rt_cmd_look(kp_rt_cmd *c, int64_t token);

int kp_rt_cmd_fd(kp_rt_cmd *c);

/* A copy of *r, with arg and data, is queued; done is taken over on success. KP_E_AGAIN
 * (requests_max), KP_E_INVAL (token in flight), KP_E_CLOSED, KP_E_NOMEM. */
kp_err kp_rt_cmd_request(kp_rt_cmd *c, const kp_rt_req *r);
kp_err kp_rt_cmd_cancel(kp_rt_cmd *c, int64_t token); /* KP_E_NOTFOUND, KP_E_NOMEM, KP_E_CLOSED */
kp_err kp_rt_cmd_verdict(kp_rt_cmd *c, kp_time now, int64_t token, kp_verdict v);

/* Waits for the loop thread's answer; signals do not end this wait. KP_E_CLOSED: the loop has
 * ended. */
kp_err kp_rt_cmd_ask(kp_rt_cmd *c, kp_slice what, kp_mem *mem, char **answer);

/* The application has read the final events of so many records: room may have come back. */
void kp_rt_cmd_read(kp_rt_cmd *c, uint32_t sent, uint32_t requested);

/* Nothing more is accepted, all waiters return KP_E_CLOSED. Idempotent. */
void kp_rt_cmd_shut(kp_rt_cmd *c);

/* --- loop thread --- */

/* All queued messages and commands; the messages stay counted. */
kp_pub *kp_rt_cmd_take(kp_rt_cmd *c, kp_list *reqs);

/* Messages that have left for good: makes room, serves waiting senders. */
void kp_rt_cmd_sent(kp_rt_cmd *c, uint32_t n, uint64_t bytes);

/* A request without token that has been handed to the engine. */
void kp_rt_cmd_done_silent(kp_rt_cmd *c, uint32_t n);

/* Before events are given out: releases the tokens of final ones and marks them, notes the tokens
 * of VALIDATE. */
void kp_rt_cmd_events(kp_rt_cmd *c, kp_time now, kp_event *const *evs, size_t n);
void kp_rt_cmd_forget_verdict(kp_rt_cmd *c, int64_t token); /* its event was dropped */

bool kp_rt_cmd_token_kind(kp_rt_cmd *c, int64_t token, kp_rt_token_kind *kind);
void kp_rt_cmd_answer(kp_rt_cmd *c, kp_rt_req *info, kp_err result);
bool kp_rt_cmd_take_space(kp_rt_cmd *c);
bool kp_rt_cmd_interrupt(kp_rt_cmd *c); /* waiters return KP_E_INTR; false = there were none */
void kp_rt_cmd_end(kp_rt_cmd *c);       /* the last act: answers and frees what is still queued */

void kp_rt_req_free(kp_rt_cmd *c, kp_rt_req *r); /* not for INFO */
static inline size_t kp_rt_pub_bytes(const kp_pub *p)
{
	return kp_pub_charge(p);
}

#ifdef __cplusplus
}
#endif
#endif
