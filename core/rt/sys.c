/* Time, entropy and eventfds. */
#include "rt/sys.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

kp_time kp_rt_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (kp_time)ts.tv_sec * UINT64_C(1000000000) + (kp_time)ts.tv_nsec;
}

int64_t kp_rt_wall(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * INT64_C(1000000000) + (int64_t)ts.tv_nsec;
}

kp_err kp_rt_seed(void *out, size_t n)
{
	uint8_t *p = (uint8_t *)out;
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return KP_E_INTERNAL;
		p += got;
		n -= (size_t)got;
	}
	return KP_OK;
}

kp_time kp_rt_deadline(int timeout_ms)
{
	if (timeout_ms == 0)
		return 0;
	return timeout_ms < 0 ? KP_NEVER : kp_time_add(kp_rt_now(), KP_MS(timeout_ms));
}

/* An eventfd's counter only blocks writers near 2^64, so a failed write means a readable fd. */
static void sys_event_write(int fd)
{
	uint64_t one = 1;
	ssize_t r = write(fd, &one, sizeof one);
	(void)r;
}

static void sys_event_read(int fd)
{
	uint64_t count;
	ssize_t r = read(fd, &count, sizeof count);
	(void)r;
}

void kp_rt_ready_init(kp_rt_ready *r)
{
	r->fd = -1;
	r->up = false;
}

void kp_rt_ready_fini(kp_rt_ready *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

int kp_rt_ready_fd(kp_rt_ready *r)
{
	if (r->fd >= 0)
		return r->fd;
	int fd = eventfd(r->up ? 1 : 0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? KP_E_LIMIT : KP_E_INTERNAL;
	r->fd = fd;
	return fd;
}

void kp_rt_ready_set(kp_rt_ready *r, bool up)
{
	if (r->up == up)
		return;
	r->up = up;
	if (r->fd < 0)
		return;
	if (up)
		sys_event_write(r->fd);
	else
		sys_event_read(r->fd);
}

void kp_rt_kick_init(kp_rt_kick *k, int fd)
{
	k->fd = fd;
	k->pending = 0;
}

void kp_rt_kick_send(kp_rt_kick *k)
{
	if (__atomic_exchange_n(&k->pending, 1, __ATOMIC_ACQ_REL) == 0)
		sys_event_write(k->fd);
}

void kp_rt_kick_now(const kp_rt_kick *k)
{
	int saved = errno;
	sys_event_write(k->fd);
	errno = saved;
}

void kp_rt_kick_take(kp_rt_kick *k)
{
	/* In this order: who finds `pending` still set has stored its work before the exchange. */
	sys_event_read(k->fd);
	__atomic_exchange_n(&k->pending, 0, __ATOMIC_ACQ_REL);
}
