/* Connections: dial, read, write, close. Listening is in listen.c. */
#include "rt/tcp_impl.h"

#include "rt/netif.h"
#include "rt/sys.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define TCP_USER_TIMEOUT_MS 40000        /* as long as the yamux ping needs to give up */
#define TCP_NOTSENT_BYTES   (128 * 1024) /* late binding: little waits in the kernel unsent */
#define TCP_SLOTS_MAX       (1u << 20)

void kp_rt_tcp_init(kp_rt_tcp *t, uv_loop_t *loop, kp_engine *e, kp_mem *mem)
{
	memset(t, 0, sizeof *t);
	t->loop = loop;
	t->e = e;
	t->mem = mem;
	t->accept_again = KP_NEVER;
	t->reserve_fd = -1;
	kp_list_init(&t->listeners);
}

void kp_rt_tcp_fini(kp_rt_tcp *t)
{
	KP_ASSERT(t->open == 0 && kp_list_empty(&t->listeners));
	if (t->reserve_fd >= 0)
		close(t->reserve_fd);
	kp_mem_free(t->mem, t->conns);
}

/* --- the table --- */

static kp_rt_conn *tcp_find(const kp_rt_tcp *t, kp_id id)
{
	kp_rt_conn *c = id.slot < t->conns_cap ? t->conns[id.slot] : NULL;
	return c != NULL && kp_id_eq(c->id, id) ? c : NULL;
}

static kp_err tcp_reserve_slot(kp_rt_tcp *t, uint32_t slot)
{
	if (slot < t->conns_cap)
		return KP_OK;
	KP_ASSERT(slot < TCP_SLOTS_MAX);
	uint32_t cap = KP_MAX(64u, t->conns_cap);
	while (cap <= slot)
		cap *= 2;
	kp_rt_conn **conns = (kp_rt_conn **)kp_mem_grow(t->mem, t->conns, cap * sizeof *conns);
	if (conns == NULL)
		return KP_E_NOMEM;
	t->conns = conns;
	t->conns_cap = cap;
	return KP_OK;
}

kp_err kp_rt_conn_enter(kp_rt_conn *c, kp_id id)
{
	kp_err r = tcp_reserve_slot(c->t, id.slot);
	if (r != KP_OK)
		return r;
	KP_ASSERT(c->t->conns[id.slot] == NULL);
	c->id = id;
	c->t->conns[id.slot] = c;
	return KP_OK;
}

static void tcp_leave(kp_rt_conn *c)
{
	if (!kp_id_none(c->id) && c->t->conns[c->id.slot] == c)
		c->t->conns[c->id.slot] = NULL;
}

kp_rt_conn *kp_rt_conn_new(kp_rt_tcp *t)
{
	kp_rt_conn *c = (kp_rt_conn *)kp_mem_alloc(t->mem, sizeof *c);
	if (c == NULL)
		return NULL;
	c->t = t;
	if (uv_tcp_init(t->loop, &c->h) != 0) {
		kp_mem_free(t->mem, c);
		return NULL;
	}
	c->h.data = c;
	t->open++;
	return c;
}

/* --- ending --- */

static void tcp_on_close(uv_handle_t *h)
{
	kp_rt_conn *c = (kp_rt_conn *)h->data;
	kp_rt_tcp *t = c->t;
	kp_id id = c->id;
	bool answer = c->answer_close;
	tcp_leave(c);
	kp_mem_free(t->mem, c);
	t->open--;
	if (answer)
		kp_engine_on_closed(t->e, kp_rt_now(), id, KP_OK);
}

void kp_rt_conn_close(kp_rt_conn *c, bool answer)
{
	if (c->closing) {
		c->answer_close |= answer;
		return;
	}
	c->closing = true;
	c->answer_close = answer;
	uv_os_fd_t fd;
	/* a child of a fork may hold a copy of the socket: closing ours would not end it */
	if (uv_fileno((uv_handle_t *)&c->h, &fd) == 0)
		shutdown(fd, SHUT_RDWR);
	uv_close((uv_handle_t *)&c->h, tcp_on_close);
}

/* The transport has failed: the engine hears of it now, the handle goes quietly. */
static void tcp_fail(kp_rt_conn *c, int uv_err)
{
	if (c->closing)
		return;
	kp_rt_tcp *t = c->t;
	kp_id id = c->id;
	tcp_leave(c);
	c->id = (kp_id){0, 0};
	kp_rt_conn_close(c, false);
	kp_engine_on_closed(t->e, kp_rt_now(), id, kp_rt_net_err(uv_err));
}

/* --- reading --- */

static void tcp_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	(void)suggested;
	kp_rt_conn *c = (kp_rt_conn *)h->data;
	size_t cap = 0;
	uint8_t *p = kp_engine_rx_buf(c->t->e, c->id, &cap);
	buf->base = (char *)p;
	buf->len = p != NULL ? cap : 0;
}

static void tcp_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	(void)buf;
	kp_rt_conn *c = (kp_rt_conn *)s->data;
	if (n == 0 || c->closing) /* 0 is EAGAIN, not the end of the file */
		return;
	if (n == UV_ENOBUFS) { /* no memory in the engine: RESUME follows */
		uv_read_stop(s);
		return;
	}
	if (n > 0) {
		kp_engine_on_read(c->t->e, kp_rt_now(), c->id, (size_t)n);
		return;
	}
	uv_read_stop(s);
	if (n != UV_EOF) {
		tcp_fail(c, (int)n);
		return;
	}
	c->eof = true;
	kp_engine_on_read(c->t->e, kp_rt_now(), c->id, 0);
}

void kp_rt_conn_read(kp_rt_conn *c)
{
	if (c->eof || c->closing || c->connecting)
		return;
	int r = uv_read_start((uv_stream_t *)&c->h, tcp_alloc, tcp_read);
	if (r != 0 && r != UV_EALREADY)
		tcp_fail(c, r);
}

/* --- writing --- */

static void tcp_shutdown_wr(kp_rt_conn *c)
{
	uv_os_fd_t fd;
	c->shutdown_due = false;
	if (uv_fileno((uv_handle_t *)&c->h, &fd) == 0)
		shutdown(fd, SHUT_WR);
}

static void tcp_on_write(uv_write_t *w, int status)
{
	kp_rt_conn *c = (kp_rt_conn *)w->data;
	c->writing = false;
	if (c->closing)
		return;
	if (status != 0) {
		tcp_fail(c, status);
		return;
	}
	if (c->shutdown_due)
		tcp_shutdown_wr(c);
	kp_engine_on_written(c->t->e, kp_rt_now(), c->id, KP_OK);
}

static void tcp_write(kp_rt_conn *c, kp_slice data)
{
	KP_ASSERT(!c->writing && data.n > 0);
	uv_stream_t *s = (uv_stream_t *)&c->h;
	/* libuv never writes through this pointer */
	uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data.p, (unsigned)data.n);
	int n = uv_try_write(s, &buf, 1);
	if (n == (int)data.n) {
		kp_engine_on_written(c->t->e, kp_rt_now(), c->id, KP_OK);
		return;
	}
	if (n < 0 && n != UV_EAGAIN) {
		tcp_fail(c, n);
		return;
	}
	if (n > 0) {
		buf.base += n;
		buf.len -= (size_t)n;
	}
	c->write.data = c;
	c->writing = true;
	int r = uv_write(&c->write, s, &buf, 1, tcp_on_write);
	if (r != 0) {
		c->writing = false;
		tcp_fail(c, r);
	}
}

/* --- dialling --- */

void kp_rt_conn_options(kp_rt_conn *c)
{
	uv_os_fd_t fd;
	uv_tcp_nodelay(&c->h, 1);
	if (uv_fileno((uv_handle_t *)&c->h, &fd) != 0)
		return;
#ifdef TCP_USER_TIMEOUT
	unsigned ms = TCP_USER_TIMEOUT_MS;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
#endif
#ifdef TCP_NOTSENT_LOWAT
	int lowat = TCP_NOTSENT_BYTES;
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
#endif
}

kp_addr kp_rt_conn_local(const kp_rt_conn *c)
{
	struct sockaddr_storage ss;
	int n = (int)sizeof ss;
	kp_addr a;
	memset(&a, 0, sizeof a);
	if (uv_tcp_getsockname(&c->h, (struct sockaddr *)&ss, &n) == 0)
		kp_rt_addr_from_sock((struct sockaddr *)&ss, &a);
	return a;
}

/* A dial that failed: the handle goes quietly, the engine is answered. */
static void tcp_dial_failed(kp_rt_conn *c, kp_err err)
{
	kp_rt_tcp *t = c->t;
	kp_id id = c->id;
	tcp_leave(c);
	c->id = (kp_id){0, 0};
	kp_rt_conn_close(c, false);
	kp_engine_on_dialed(t->e, kp_rt_now(), id, NULL, err);
}

static void tcp_on_connect(uv_connect_t *req, int status)
{
	kp_rt_conn *c = (kp_rt_conn *)req->data;
	c->connecting = false;
	if (c->closing)
		return;
	if (status != 0) {
		tcp_dial_failed(c, kp_rt_net_err(status));
		return;
	}
	kp_rt_conn_options(c);
	kp_addr local = kp_rt_conn_local(c);
	kp_engine_on_dialed(c->t->e, kp_rt_now(), c->id, &local, KP_OK);
	kp_rt_conn_read(c);
}

static void tcp_dial(kp_rt_tcp *t, kp_id id, const kp_addr *to)
{
	kp_rt_conn *c = kp_rt_conn_new(t);
	if (c == NULL) {
		kp_engine_on_dialed(t->e, kp_rt_now(), id, NULL, KP_E_NOMEM);
		return;
	}
	kp_err err = kp_rt_conn_enter(c, id);
	if (err != KP_OK) {
		kp_rt_conn_close(c, false);
		kp_engine_on_dialed(t->e, kp_rt_now(), id, NULL, err);
		return;
	}
	struct sockaddr_storage ss;
	kp_rt_addr_to_sock(to, &ss);
	c->connect.data = c;
	c->connecting = true;
	int r = uv_tcp_connect(&c->connect, &c->h, (const struct sockaddr *)&ss, tcp_on_connect);
	if (r != 0) {
		c->connecting = false;
		tcp_dial_failed(c, kp_rt_net_err(r));
	}
}

/* --- actions --- */

static void tcp_conn_act(kp_rt_conn *c, const kp_act *act)
{
	switch (act->kind) {
	case KP_ACT_WRITE:
		tcp_write(c, act->u.data);
		break;
	case KP_ACT_SHUTDOWN_WR:
		c->shutdown_due = true;
		if (!c->writing)
			tcp_shutdown_wr(c);
		break;
	case KP_ACT_READ_RESUME:
		kp_rt_conn_read(c);
		break;
	default:
		KP_ASSERT(act->kind == KP_ACT_CLOSE);
		kp_rt_conn_close(c, true);
		break;
	}
}

bool kp_rt_tcp_do(kp_rt_tcp *t, const kp_act *act)
{
	kp_rt_conn *c;
	switch (act->kind) {
	case KP_ACT_LISTEN:
		kp_rt_listen(t, act->id, &act->u.addr);
		return true;
	case KP_ACT_UNLISTEN:
		kp_rt_unlisten(t, act->id);
		return true;
	case KP_ACT_ACCEPT_PAUSE:
	case KP_ACT_ACCEPT_RESUME:
		kp_rt_accept_pause(t, act->kind == KP_ACT_ACCEPT_PAUSE);
		return true;
	case KP_ACT_DIAL:
		tcp_dial(t, act->id, &act->u.addr);
		return true;
	case KP_ACT_WRITE:
	case KP_ACT_SHUTDOWN_WR:
	case KP_ACT_READ_RESUME:
	case KP_ACT_CLOSE:
		c = tcp_find(t, act->id);
		if (c != NULL && !c->closing) {
			tcp_conn_act(c, act);
		} else { /* it failed before the engine's action was carried out */
			t->stale_actions++;
			if (act->kind == KP_ACT_CLOSE)
				kp_engine_on_closed(t->e, kp_rt_now(), act->id, KP_OK);
		}
		return true;
	default:
		return false;
	}
}

void kp_rt_tcp_abort(kp_rt_tcp *t)
{
	for (uint32_t i = 0; i < t->conns_cap; i++) {
		if (t->conns[i] != NULL)
			kp_rt_conn_close(t->conns[i], false);
	}
	kp_rt_unlisten_all(t);
}
