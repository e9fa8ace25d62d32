/* The application's wake-up callback, called on the loop thread. */
#include "rt/node.h"

void kp_rt_wakeup_init(kp_rt_wakeup *w)
{
	memset(w, 0, sizeof *w);
	pthread_mutex_init(&w->lock, NULL);
}

void kp_rt_wakeup_fini(kp_rt_wakeup *w)
{
	pthread_mutex_destroy(&w->lock);
}

kp_err kp_rt_set_wakeup(kp_rt *rt, kp_rt_wakeup_fn cb, void *ud)
{
	kp_rt_wakeup *w = &rt->wakeup;
	if (cb != NULL && kp_rt_is_closed(rt))
		return KP_E_CLOSED;
	/* from inside the callback it would wait for itself */
	if (kp_rt_get_state(rt) == RT_RUNNING && kp_rt_on_loop_thread(rt))
		return KP_E_INVAL;
	pthread_mutex_lock(&w->lock);
	w->cb = cb;
	w->ud = ud;
	w->fresh = cb != NULL;
	pthread_mutex_unlock(&w->lock);
	if (cb != NULL)
		kp_rt_kick_send(&rt->kick);
	return KP_OK;
}

static void wakeup_call(void *ctx, int box)
{
	kp_rt_wakeup *w = (kp_rt_wakeup *)ctx;
	w->cb(w->ud, box);
}

void kp_rt_wakeup_fire(kp_rt *rt, bool closed)
{
	kp_rt_wakeup *w = &rt->wakeup;
	pthread_mutex_lock(&w->lock);
	if (w->cb != NULL) {
		kp_rt_inbox_filled(&rt->inbox, w->fresh, wakeup_call, w);
		w->fresh = false;
		if (kp_rt_cmd_take_space(&rt->cmd))
			w->cb(w->ud, KP_RT_WAKE_SPACE);
		if (closed) {
			w->cb(w->ud, KP_RT_WAKE_CLOSED);
			w->cb = NULL; /* that was the last call */
		}
	}
	pthread_mutex_unlock(&w->lock);
}
