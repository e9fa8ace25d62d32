/* c-ares on libuv: it tells which sockets to watch and when to be called again. */
#include "rt/dns.h"

#include "rt/netif.h"
#include "rt/sys.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <pthread.h>
#include <strings.h>

#define DNS_TRY_MS 2000 /* first try; doubled by c-ares */
#define DNS_TRIES  3

struct dns_sock {
	kp_list link;
	uv_poll_t poll;
	kp_rt_dns *d;
	ares_socket_t fd;
};

struct dns_question {
	kp_rt_dns *d;
	kp_id id;
	kp_dns_answer answers[KP_RT_DNS_ANSWERS];
};

static pthread_once_t dns_once = PTHREAD_ONCE_INIT;

static void dns_library_init(void)
{
	ares_library_init(ARES_LIB_INIT_ALL);
}

void kp_rt_dns_init(kp_rt_dns *d, uv_loop_t *loop, kp_engine *e, kp_mem *mem)
{
	memset(d, 0, sizeof *d);
	d->loop = loop;
	d->e = e;
	d->mem = mem;
	kp_list_init(&d->socks);
}

/* --- sockets and time --- */

static void dns_on_timer(uv_timer_t *t);

static void dns_arm(kp_rt_dns *d)
{
	struct timeval tv;
	if (ares_timeout(d->channel, NULL, &tv) == NULL) {
		uv_timer_stop(&d->timer);
		return;
	}
	uint64_t ms = (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1;
	uv_timer_start(&d->timer, dns_on_timer, ms, 0);
}

static void dns_on_timer(uv_timer_t *t)
{
	kp_rt_dns *d = (kp_rt_dns *)t->data;
	ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	dns_arm(d);
}

static void dns_on_sock(uv_poll_t *p, int status, int events)
{
	struct dns_sock *s = (struct dns_sock *)p->data;
	kp_rt_dns *d = s->d;
	if (status < 0)
		events = UV_READABLE | UV_WRITABLE; /* c-ares finds the error itself */
	ares_process_fd(d->channel, (events & UV_READABLE) != 0 ? s->fd : ARES_SOCKET_BAD,
	                (events & UV_WRITABLE) != 0 ? s->fd : ARES_SOCKET_BAD);
	dns_arm(d);
}

static void dns_sock_closed(uv_handle_t *h)
{
	struct dns_sock *s = (struct dns_sock *)h->data;
	s->d->open--;
	kp_mem_free(s->d->mem, s);
}

static struct dns_sock *dns_sock_find(kp_rt_dns *d, ares_socket_t fd)
{
	KP_LIST_EACH(it, tmp, &d->socks)
	{
		struct dns_sock *s = KP_CONTAINER_OF(it, struct dns_sock, link);
		if (s->fd == fd)
			return s;
	}
	return NULL;
}

static struct dns_sock *dns_sock_new(kp_rt_dns *d, ares_socket_t fd)
{
	struct dns_sock *s = (struct dns_sock *)kp_mem_alloc(d->mem, sizeof *s);
	if (s == NULL)
		return NULL; /* the question will run into its time limit */
	if (uv_poll_init_socket(d->loop, &s->poll, fd) != 0) {
		kp_mem_free(d->mem, s);
		return NULL;
	}
	s->d = d;
	s->fd = fd;
	s->poll.data = s;
	kp_list_init(&s->link);
	kp_list_push(&d->socks, &s->link);
	d->open++;
	return s;
}

/* c-ares: what this socket waits for; nothing = it is about to be closed. */
static void dns_sock_state(void *data, ares_socket_t fd, int readable, int writable)
{
	kp_rt_dns *d = (kp_rt_dns *)data;
	struct dns_sock *s = dns_sock_find(d, fd);
	if (!readable && !writable) {
		if (s == NULL)
			return;
		kp_list_del(&s->link);
		uv_poll_stop(&s->poll);
		uv_close((uv_handle_t *)&s->poll, dns_sock_closed);
		return;
	}
	if (s == NULL)
		s = dns_sock_new(d, fd);
	if (s != NULL)
		uv_poll_start(&s->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
		              dns_on_sock);
}

static kp_err dns_open(kp_rt_dns *d)
{
	if (d->ready)
		return KP_OK;
	pthread_once(&dns_once, dns_library_init);
	struct ares_options o;
	memset(&o, 0, sizeof o);
	o.sock_state_cb = dns_sock_state;
	o.sock_state_cb_data = d;
	o.timeout = DNS_TRY_MS;
	o.tries = DNS_TRIES;
	int mask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;
	if (ares_init_options(&d->channel, &o, mask) != ARES_SUCCESS)
		return KP_E_NOMEM;
	uv_timer_init(d->loop, &d->timer);
	d->timer.data = d;
	d->open++;
	d->ready = true;
	return KP_OK;
}

/* --- answers --- */

static kp_err dns_err(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return KP_OK;
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
		return KP_E_CANCELED;
	case ARES_ENOMEM:
		return KP_E_NOMEM;
	case ARES_ETIMEOUT:
		return KP_E_TIMEDOUT;
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
		return KP_E_NOTFOUND;
	case ARES_EBADNAME:
	case ARES_ENONAME:
		return KP_E_INVAL;
	default:
		return KP_E_UNREACHABLE;
	}
}

static void dns_answer(struct dns_question *q, size_t n, kp_err err)
{
	kp_rt_dns *d = q->d;
	KP_ASSERT(d->asked > 0);
	d->asked--;
	kp_engine_on_resolved(d->e, kp_rt_now(), q->id, q->answers, err == KP_OK ? n : 0, err);
	kp_mem_free(d->mem, q);
}

static void dns_on_addrs(void *arg, int status, int timeouts, struct ares_addrinfo *all)
{
	struct dns_question *q = (struct dns_question *)arg;
	size_t n = 0;
	(void)timeouts;
	const struct ares_addrinfo_node *i = all != NULL ? all->nodes : NULL;
	for (; i != NULL && n < KP_RT_DNS_ANSWERS; i = i->ai_next) {
		if (!kp_rt_addr_from_sock(i->ai_addr, &q->answers[n].addr))
			continue;
		q->answers[n++].addr.port = 0;
	}
	kp_err err = dns_err(status);
	if (err == KP_OK && n == 0)
		err = KP_E_NOTFOUND;
	dns_answer(q, n, err);
	if (all != NULL)
		ares_freeaddrinfo(all);
}

size_t kp_rt_dns_join(const struct ares_txt_ext *t, kp_dns_answer *answers, uint8_t *text,
                      size_t room)
{
	size_t n = 0, used = 0;
	for (; t != NULL; t = t->next) {
		if (t->record_start || n == 0) {
			if (n == KP_RT_DNS_ANSWERS)
				break;
			memset(&answers[n], 0, sizeof answers[n]);
			answers[n++].text = kp_slice_of(text + used, 0);
		}
		if (t->length > room - used)
			break;
		memcpy(text + used, t->txt, t->length);
		used += t->length;
		answers[n - 1].text.n += t->length;
	}
	return n;
}

static void dns_on_txt(void *arg, int status, int timeouts, unsigned char *msg, int msg_n)
{
	struct dns_question *q = (struct dns_question *)arg;
	struct ares_txt_ext *txt = NULL;
	size_t n = 0;
	kp_mem *mem = q->d->mem;
	uint8_t *text = NULL;
	(void)timeouts;
	if (status == ARES_SUCCESS)
		status = ares_parse_txt_reply_ext(msg, msg_n, &txt);
	kp_err err = dns_err(status);
	if (err == KP_OK) {
		text = (uint8_t *)kp_mem_alloc_raw(mem, (size_t)msg_n); /* texts are less than it */
		err = text != NULL ? KP_OK : KP_E_NOMEM;
	}
	if (err == KP_OK)
		n = kp_rt_dns_join(txt, q->answers, text, (size_t)msg_n);
	dns_answer(q, n, err == KP_OK && n == 0 ? KP_E_NOTFOUND : err);
	kp_mem_free(mem, text);
	if (txt != NULL)
		ares_free_data(txt);
}

/* RFC 6761: localhost and what ends in .localhost is this machine, whatever hosts file and servers
 * say. c-ares 1.18 does the same, but loses the name's memory. */
static bool dns_is_localhost(const char *name)
{
	size_t n = strlen(name), tail = strlen("localhost");
	if (n > 0 && name[n - 1] == '.')
		n--;
	return n >= tail && strncasecmp(name + n - tail, "localhost", tail) == 0 &&
	       (n == tail || name[n - tail - 1] == '.');
}

static void dns_answer_localhost(kp_rt_dns *d, kp_id id, kp_dns_kind kind)
{
	kp_dns_answer a;
	memset(&a, 0, sizeof a);
	if (kind == KP_DNS_A) {
		a.addr.family = 4;
		a.addr.ip[0] = 127;
		a.addr.ip[3] = 1;
	} else {
		a.addr.family = 6;
		a.addr.ip[15] = 1;
	}
	kp_engine_on_resolved(d->e, kp_rt_now(), id, &a, 1, KP_OK);
}

void kp_rt_dns_resolve(kp_rt_dns *d, kp_id id, kp_dns_kind kind, const char *name)
{
	if (kind != KP_DNS_TXT && dns_is_localhost(name)) {
		dns_answer_localhost(d, id, kind);
		return;
	}
	kp_err err = dns_open(d);
	struct dns_question *q = NULL;
	if (err == KP_OK) {
		q = (struct dns_question *)kp_mem_alloc(d->mem, sizeof *q);
		err = q != NULL ? KP_OK : KP_E_NOMEM;
	}
	if (err != KP_OK) {
		kp_engine_on_resolved(d->e, kp_rt_now(), id, NULL, 0, err);
		return;
	}
	q->d = d;
	q->id = id;
	d->asked++;
	if (kind == KP_DNS_TXT) {
		ares_query(d->channel, name, ns_c_in, ns_t_txt, dns_on_txt, q);
	} else {
		struct ares_addrinfo_hints hints;
		memset(&hints, 0, sizeof hints);
		hints.ai_family = kind == KP_DNS_A ? AF_INET : AF_INET6;
		hints.ai_flags = ARES_AI_NOSORT; /* the engine ranks; sorting would open sockets */
		ares_getaddrinfo(d->channel, name, NULL, &hints, dns_on_addrs, q);
	}
	dns_arm(d);
}

static void dns_timer_closed(uv_handle_t *h)
{
	kp_rt_dns *d = (kp_rt_dns *)h->data;
	d->open--;
}

void kp_rt_dns_close(kp_rt_dns *d)
{
	if (!d->ready)
		return;
	d->ready = false;
	ares_destroy(d->channel); /* answers every open question, closes the sockets */
	KP_ASSERT(d->asked == 0 && kp_list_empty(&d->socks));
	uv_close((uv_handle_t *)&d->timer, dns_timer_closed);
}
