/* Listeners: plain sockets watched with uv_poll, not uv_listen, so that accepting can be paused
 * without a connection in hand and running out of fds cannot make it spin. */
#include "rt/tcp_impl.h"

#include "rt/netif.h"
#include "rt/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#define LISTEN_BACKLOG 512
#define ACCEPT_MAX     64u        /* per wake-up: then the others' turn */
#define ACCEPT_BACKOFF KP_MS(100) /* when no fd is left */

struct listener {
	kp_list link;
	uv_poll_t poll;
	kp_rt_tcp *t;
	kp_id id;
	int fd;
};

static void listener_on_ready(uv_poll_t *h, int status, int events);

static bool accept_is_off(const kp_rt_tcp *t)
{
	return t->accept_paused || t->accept_again != KP_NEVER;
}

static void listener_watch(struct listener *l)
{
	if (accept_is_off(l->t))
		uv_poll_stop(&l->poll);
	else
		uv_poll_start(&l->poll, UV_READABLE, listener_on_ready);
}

static void listeners_watch(kp_rt_tcp *t)
{
	KP_LIST_EACH(it, tmp, &t->listeners)
	listener_watch(KP_CONTAINER_OF(it, struct listener, link));
}

void kp_rt_accept_pause(kp_rt_tcp *t, bool pause)
{
	t->accept_paused = pause;
	listeners_watch(t);
}

void kp_rt_tcp_turn(kp_rt_tcp *t, kp_time now)
{
	if (t->accept_again == KP_NEVER || now < t->accept_again)
		return;
	t->accept_again = KP_NEVER;
	if (t->reserve_fd < 0)
		t->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	listeners_watch(t);
}

/* No fd left: turn one caller away with the reserve, so that it does not wait for nothing, and rest
 * for a moment. */
static void accept_no_fd(kp_rt_tcp *t, int listener_fd)
{
	if (t->reserve_fd >= 0) {
		close(t->reserve_fd);
		int fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			close(fd);
		t->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	t->accept_again = kp_time_add(kp_rt_now(), ACCEPT_BACKOFF);
	listeners_watch(t);
}

static void accept_give_up(int fd)
{
	shutdown(fd, SHUT_RDWR);
	close(fd);
}

static void accept_one(struct listener *l, int fd, const struct sockaddr *sa)
{
	kp_rt_tcp *t = l->t;
	kp_addr from;
	kp_rt_conn *c = kp_rt_addr_from_sock(sa, &from) ? kp_rt_conn_new(t) : NULL;
	if (c == NULL) {
		t->accept_errors++;
		accept_give_up(fd);
		return;
	}
	if (uv_tcp_open(&c->h, fd) != 0) {
		t->accept_errors++;
		accept_give_up(fd);
		kp_rt_conn_close(c, false);
		return;
	}
	kp_addr local = kp_rt_conn_local(c);
	kp_id id;
	/* refusals are the engine's to count */
	if (kp_engine_on_accept(t->e, kp_rt_now(), l->id, &from, &local, &id) != KP_OK) {
		kp_rt_conn_close(c, false);
		return;
	}
	t->accepted++;
	if (kp_rt_conn_enter(c, id) != KP_OK) {
		kp_rt_conn_close(c, false);
		kp_engine_on_closed(t->e, kp_rt_now(), id, KP_E_NOMEM);
		return;
	}
	kp_rt_conn_options(c);
	kp_rt_conn_read(c);
}

static void listener_on_ready(uv_poll_t *h, int status, int events)
{
	struct listener *l = (struct listener *)h->data;
	(void)events;
	for (unsigned i = 0; status == 0 && i < ACCEPT_MAX; i++) {
		struct sockaddr_storage ss;
		socklen_t n = sizeof ss;
		int fd = accept4(l->fd, (struct sockaddr *)&ss, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			accept_one(l, fd, (struct sockaddr *)&ss);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			l->t->accept_errors++;
			accept_no_fd(l->t, l->fd);
		}
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

/* --- opening and closing --- */

static int listener_bind(int fd, const kp_addr *at)
{
	int on = 1;
	struct sockaddr_storage ss;
	socklen_t n = kp_rt_addr_to_sock(at, &ss);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	/* so that /ip4/0.0.0.0 and /ip6/:: can have the same port */
	if (at->family == 6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)&ss, n) != 0 || listen(fd, LISTEN_BACKLOG) != 0)
		return errno;
	return 0;
}

static struct listener *listener_new(kp_rt_tcp *t, kp_id id, int fd)
{
	struct listener *l = (struct listener *)kp_mem_alloc(t->mem, sizeof *l);
	if (l == NULL)
		return NULL;
	if (uv_poll_init(t->loop, &l->poll, fd) != 0) {
		kp_mem_free(t->mem, l);
		return NULL;
	}
	l->t = t;
	l->id = id;
	l->fd = fd;
	l->poll.data = l;
	kp_list_init(&l->link);
	kp_list_push(&t->listeners, &l->link);
	t->open++;
	return l;
}

static void listener_answer(struct listener *l)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	kp_addr bound, all[KP_RT_NETIF_MAX];
	memset(&bound, 0, sizeof bound);
	if (getsockname(l->fd, (struct sockaddr *)&ss, &n) == 0)
		kp_rt_addr_from_sock((struct sockaddr *)&ss, &bound);
	size_t count = kp_rt_netif_expand(&bound, all, KP_RT_NETIF_MAX);
	kp_engine_on_listening(l->t->e, kp_rt_now(), l->id, &bound, all, count, KP_OK);
}

void kp_rt_listen(kp_rt_tcp *t, kp_id id, const kp_addr *at)
{
	if (t->reserve_fd < 0)
		t->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fd = socket(at->family == 4 ? AF_INET : AF_INET6,
	                SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = fd < 0 ? errno : listener_bind(fd, at);
	struct listener *l = err == 0 ? listener_new(t, id, fd) : NULL;
	if (l == NULL) {
		if (fd >= 0)
			close(fd);
		kp_engine_on_listening(t->e, kp_rt_now(), id, NULL, NULL, 0,
		                       kp_rt_net_err(err != 0 ? err : ENOMEM));
		return;
	}
	listener_watch(l);
	listener_answer(l);
}

static void listener_on_close(uv_handle_t *h)
{
	struct listener *l = (struct listener *)h->data;
	kp_rt_tcp *t = l->t;
	kp_mem_free(t->mem, l);
	t->open--;
}

static void listener_close(struct listener *l)
{
	kp_list_del(&l->link);
	uv_poll_stop(&l->poll);
	/* as with connections: a forked child may hold a copy */
	shutdown(l->fd, SHUT_RDWR);
	close(l->fd);
	uv_close((uv_handle_t *)&l->poll, listener_on_close);
}

void kp_rt_unlisten(kp_rt_tcp *t, kp_id id)
{
	KP_LIST_EACH(it, tmp, &t->listeners)
	{
		struct listener *l = KP_CONTAINER_OF(it, struct listener, link);
		if (kp_id_eq(l->id, id))
			listener_close(l);
	}
}

void kp_rt_unlisten_all(kp_rt_tcp *t)
{
	while (!kp_list_empty(&t->listeners))
		listener_close(KP_CONTAINER_OF(t->listeners.next, struct listener, link));
}
