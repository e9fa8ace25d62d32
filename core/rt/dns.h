/* Name resolution on the loop thread with c-ares: A, AAAA and TXT. */
#ifndef KP_RT_DNS_H
#define KP_RT_DNS_H

#include "base/list.h"
#include "engine/port.h"

#include <ares.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KP_RT_DNS_ANSWERS 64u /* per question; further ones are ignored */

typedef struct kp_rt_dns {
	uv_loop_t *loop;
	kp_engine *e;
	kp_mem *mem;
	ares_channel channel; /* made at the first question */
	bool ready;           /* it is */
	uv_timer_t timer;     /* retries and time limits of c-ares */
	kp_list socks;
	uint32_t asked; /* questions not yet answered */
	uint32_t open;  /* handles not yet closed */
} kp_rt_dns;

void kp_rt_dns_init(kp_rt_dns *d, uv_loop_t *loop, kp_engine *e, kp_mem *mem);

/* Answered by kp_engine_on_resolved, perhaps at once. name must live until then. */
void kp_rt_dns_resolve(kp_rt_dns *d, kp_id id, kp_dns_kind kind, const char *name);

/* Answers what is open with KP_E_CANCELED and closes all handles; run the loop until `open` is 0.
 */
void kp_rt_dns_close(kp_rt_dns *d);

/* The strings of one record belong together (RFC 7208, 3.3): joined into text, which has room
 * for `room` bytes; what does not fit is left out. Returns the number of records, at most
 * KP_RT_DNS_ANSWERS; the answers' texts point into text. */
size_t kp_rt_dns_join(const struct ares_txt_ext *t, kp_dns_answer *answers, uint8_t *text,
                      size_t room);

#ifdef __cplusplus
}
#endif
#endif
