/* The table of stop slots. */
#include "rt/slot.h"

#include "rt/sys.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum slot_state { SLOT_FREE, SLOT_LIVE, SLOT_STOP, SLOT_CLOSED };

static kp_rt_slot rt_slots[KP_RT_SLOTS];
/* Ids of this number and less were given out before the last fork. */
static uint64_t rt_slot_fork_gen;
static uint64_t rt_slot_gen; /* last generation given out; atomic */

static uint64_t slot_word(uint64_t gen, enum slot_state state)
{
	return gen << 2 | (uint64_t)state;
}

static uint64_t slot_load(const kp_rt_slot *s)
{
	return __atomic_load_n(&s->word, __ATOMIC_ACQUIRE);
}

/* An fd is made by the first owner of a slot and stays. */
static kp_err slot_open_fd(kp_rt_slot *s)
{
	if (__atomic_load_n(&s->fd, __ATOMIC_ACQUIRE) > 0)
		return KP_OK;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd == 0) { /* somebody closed stdin: 0 means "none" here */
		fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		close(0);
	}
	if (fd < 0)
		return KP_E_LIMIT;
	__atomic_store_n(&s->fd, fd, __ATOMIC_RELEASE);
	return KP_OK;
}

kp_err kp_rt_slot_get(kp_rt_slot **out)
{
	uint64_t gen = __atomic_add_fetch(&rt_slot_gen, 1, __ATOMIC_ACQ_REL);
	for (uint32_t i = 0; i < KP_RT_SLOTS; i++) {
		kp_rt_slot *s = &rt_slots[i];
		uint64_t word = slot_load(s);
		if ((word & 3) != SLOT_FREE ||
		    !__atomic_compare_exchange_n(&s->word, &word, slot_word(gen, SLOT_LIVE), false,
		                                 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		if (slot_open_fd(s) != KP_OK) {
			kp_rt_slot_put(s);
			return KP_E_LIMIT;
		}
		*out = s;
		return KP_OK;
	}
	return KP_E_LIMIT;
}

void kp_rt_slot_put(kp_rt_slot *s)
{
	kp_rt_slot_run(s, false);
	__atomic_store_n(&s->word, slot_word(slot_load(s) >> 2, SLOT_FREE), __ATOMIC_RELEASE);
}

int64_t kp_rt_slot_id(const kp_rt_slot *s)
{
	return (int64_t)((slot_load(s) >> 2) * KP_RT_SLOTS + (uint64_t)(s - rt_slots));
}

int kp_rt_slot_fd(const kp_rt_slot *s)
{
	return __atomic_load_n(&s->fd, __ATOMIC_ACQUIRE);
}

bool kp_rt_slot_stopped(const kp_rt_slot *s)
{
	return (slot_load(s) & 3) == SLOT_STOP;
}

void kp_rt_slot_close(kp_rt_slot *s)
{
	__atomic_store_n(&s->word, slot_word(slot_load(s) >> 2, SLOT_CLOSED), __ATOMIC_RELEASE);
}

void kp_rt_slot_run(kp_rt_slot *s, bool running)
{
	__atomic_store_n(&s->running, running, __ATOMIC_RELEASE);
}

static void slot_kick(kp_rt_slot *s)
{
	kp_rt_kick k;
	kp_rt_kick_init(&k, kp_rt_slot_fd(s));
	kp_rt_kick_now(&k);
}

kp_err kp_rt_stop(int64_t id)
{
	if (id < (int64_t)KP_RT_SLOTS)
		return KP_E_CLOSED;
	uint64_t gen = (uint64_t)id / KP_RT_SLOTS;
	if (gen <= __atomic_load_n(&rt_slot_fork_gen, __ATOMIC_ACQUIRE))
		return KP_E_FORKED;
	kp_rt_slot *s = &rt_slots[(uint64_t)id % KP_RT_SLOTS];
	uint64_t word = slot_word(gen, SLOT_LIVE);
	if (__atomic_compare_exchange_n(&s->word, &word, slot_word(gen, SLOT_STOP), false,
	                                __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		slot_kick(s);
		return KP_OK;
	}
	return word == slot_word(gen, SLOT_STOP) ? KP_OK : KP_E_CLOSED;
}

static bool slots_running(void)
{
	for (uint32_t i = 0; i < KP_RT_SLOTS; i++) {
		if (__atomic_load_n(&rt_slots[i].running, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

void kp_rt_stop_all(kp_time wait)
{
	for (uint32_t i = 0; i < KP_RT_SLOTS; i++) {
		uint64_t word = slot_load(&rt_slots[i]);
		if ((word & 3) == SLOT_LIVE)
			(void)kp_rt_stop((int64_t)((word >> 2) * KP_RT_SLOTS + i));
	}
	/* At process exit, with no lock that a stopped thread could hold: hence no condition. */
	kp_time end = kp_time_add(kp_rt_now(), wait);
	struct timespec nap = {0, 1000000};
	while (slots_running() && kp_rt_now() < end)
		nanosleep(&nap, NULL);
}

void kp_rt_slots_forked(void)
{
	__atomic_store_n(&rt_slot_fork_gen, rt_slot_gen, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < KP_RT_SLOTS; i++) {
		kp_rt_slot *s = &rt_slots[i];
		if (s->fd > 0)
			close(s->fd);
		s->fd = 0;
		s->running = false;
		s->word = slot_word(s->word >> 2, SLOT_FREE);
	}
}
