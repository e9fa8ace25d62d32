/* Shared by the files of abi/ only: handles, errors, forks. NULL is checked in this folder and
 * nowhere below; what lies behind a handle is core/rt. */
#ifndef KP_ABI_ABI_H
#define KP_ABI_ABI_H

#include "karakp2p.h"
#include "rt/rt.h"

struct kp2p_node {
	kp_rt *rt;
	uint32_t fork_gen; /* of the process that made it */
};

struct kp2p_sender {
	kp_rt *rt;
	uint32_t fork_gen;
};

struct kp2p_error {
	int code;
	const char *text; /* behind the struct, but for the static one */
};

/* Configs and events are the core's own objects under another name. */
static inline kp_config *kp_abi_config(kp2p_config *c)
{
	return (kp_config *)(void *)c;
}

static inline kp_event *kp_abi_event(kp2p_event *ev)
{
	return (kp_event *)(void *)ev;
}

/* init.c: once per process, before the first node or key. */
void kp_abi_init(void);
kp_mem *kp_abi_mem(void); /* texts, errors and handles that the application frees */

/* fork.c */
void kp_abi_fork_init(void);
uint32_t kp_abi_fork_gen(void);

/* error.c: fills *err if the caller wants it, and returns the code. */
int kp_abi_fail(kp2p_error **err, kp_err code, const char *format, ...)
#if defined(__GNUC__)
        __attribute__((format(printf, 3, 4)))
#endif
        ;

/* KP2P_EINVAL for NULL, KP2P_EFORKED in a child, else 0. */
int kp_abi_check_node(const kp2p_node *node, kp2p_error **err);
int kp_abi_check_sender(const kp2p_sender *sender, kp2p_error **err);

/* A copy that kp2p_free takes; NULL = out of memory. */
char *kp_abi_text(const char *text, size_t n);

/* event_api.c: the static CLOSED event of a code. */
kp2p_event *kp_abi_closed(int code);

#endif
