/* Sender: publish, in ones and in batches, and direct messages, with and without waiting. */
#include "core.h"

#include <limits.h>
#include <stdlib.h>
#include <time.h>

#define BATCH_ITEMS 1024      /* of one call of the library */
#define BATCH_BYTES (1 << 20) /* an item that begins before this is the last */

#define SIGNAL_RAISED INT_MIN /* beside codes: a handler of Python's raised */

typedef struct sender_obj {
	PyObject ob_base; /* PyObject_HEAD */
	kp2p_sender *sender;
} sender_obj;

/* Messages one after the other, as the library takes them. */
typedef struct batch {
	char *bytes;
	size_t used, room, n;
	uint32_t lens[BATCH_ITEMS];
} batch;

/* One publish, publish_batch (with batch) or send (with peer). */
typedef struct sending {
	kp2p_sender *sender;
	const batch *batch;
	const char *peer;
	const char *where; /* topic or protocol */
	core_data data;
	int64_t token;
} sending;

static int64_t sender_now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int sending_try(const sending *s, int timeout_ms, kp2p_error **err)
{
	size_t len = (size_t)s->data.len;
	if (s->batch != NULL)
		return kp2p_sender_publish_batch(s->sender, s->where, s->batch->bytes,
		                                 s->batch->lens, s->batch->n, 0, timeout_ms, err);
	if (s->peer == NULL)
		return kp2p_sender_publish(s->sender, s->where, s->data.ptr, len, s->token,
		                           timeout_ms, err);
	return kp2p_sender_send(s->sender, s->peer, s->where, s->data.ptr, len, s->token,
	                        timeout_ms, err);
}

/* Waits with the GIL released; runs Python's signal handlers whenever one was signalled. A code or
 * count, or SIGNAL_RAISED. */
static int sending_wait(const sending *s, int timeout_ms, kp2p_error **err)
{
	int64_t until = timeout_ms > 0 ? sender_now_ms() + timeout_ms : 0;
	for (;;) {
		int r;
		int64_t left = timeout_ms > 0 ? until - sender_now_ms() : timeout_ms;
		if (timeout_ms > 0 && left <= 0)
			return KP2P_ETIMEDOUT;
		PyThreadState *running = PyEval_SaveThread();
		r = sending_try(s, (int)left, err);
		PyEval_RestoreThread(running);
		if (r != KP2P_EINTR)
			return r;
		kp2p_error_free(*err);
		*err = NULL;
		if (PyErr_CheckSignals() < 0)
			return SIGNAL_RAISED;
	}
}

/* 0 or more, or -1 and an exception. */
static int sending_run(PyObject *self, sending *s, int timeout_ms)
{
	kp2p_error *err = NULL;
	s->sender = ((sender_obj *)self)->sender;
	int r = sending_try(s, 0, &err);
	if (r == KP2P_EAGAIN && timeout_ms != 0) {
		kp2p_error_free(err);
		err = NULL;
		r = sending_wait(s, timeout_ms, &err);
	}
	if (r >= 0)
		return r;
	if (r != SIGNAL_RAISED)
		core_raise(core_state_of(self), r, err);
	return -1;
}

static PyObject *sending_one(PyObject *self, sending *s, PyObject *data, int timeout_ms)
{
	if (core_data_get(data, &s->data) < 0)
		return NULL;
	int r = sending_run(self, s, timeout_ms);
	core_data_release(&s->data);
	if (r < 0)
		return NULL;
	return core_none();
}

static PyObject *sender_publish(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	sending s = {0};
	if (!core_count_args("publish", n, 4, 4))
		return NULL;
	s.where = core_text(core_state_of(self), args[0], "topic");
	if (s.where == NULL)
		return NULL;
	s.token = core_int64(args[2], "token");
	int timeout_ms = core_int(args[3], "timeout_ms");
	if (PyErr_Occurred())
		return NULL;
	return sending_one(self, &s, args[1], timeout_ms);
}

static int batch_append(const core_state *st, batch *b, const core_data *data)
{
	size_t len = (size_t)data->len;
	if (len > UINT32_MAX) {
		core_raise(st, KP2P_ETOOBIG, NULL);
		return -1;
	}
	if (len > b->room - b->used) {
		size_t room = 2 * b->room + len;
		char *bytes = realloc(b->bytes, room);
		if (bytes == NULL) {
			PyErr_NoMemory();
			return -1;
		}
		b->bytes = bytes;
		b->room = room;
	}
	if (len > 0)
		memcpy(b->bytes + b->used, data->ptr, len);
	b->used += len;
	b->lens[b->n++] = (uint32_t)len;
	return 0;
}

static int batch_fill(const core_state *st, batch *b, PyObject *items, Py_ssize_t start)
{
	for (Py_ssize_t i = start; i < PyTuple_Size(items); i++) {
		core_data data;
		if (b->n == BATCH_ITEMS || b->used >= BATCH_BYTES)
			break;
		if (core_data_get(PyTuple_GetItem(items, i), &data) < 0)
			return -1;
		int r = batch_append(st, b, &data);
		core_data_release(&data);
		if (r < 0)
			return -1;
	}
	return 0;
}

/* How many were accepted, beginning with items[start]: not more than fit into one batch. */
static PyObject *sender_publish_batch(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	sending s = {0};
	const core_state *st = core_state_of(self);
	if (!core_count_args("publish_batch", n, 4, 4))
		return NULL;
	s.where = core_text(st, args[0], "topic");
	if (s.where == NULL)
		return NULL;
	if (!PyTuple_Check(args[1])) {
		PyErr_SetString(PyExc_TypeError, "messages must be a tuple");
		return NULL;
	}
	int start = core_int(args[2], "start");
	int timeout_ms = core_int(args[3], "timeout_ms");
	if (PyErr_Occurred())
		return NULL;
	if (start < 0)
		return (PyObject *)core_invalid(st, "start must be 0 or more");
	batch *b = calloc(1, sizeof *b);
	if (b == NULL)
		return PyErr_NoMemory();
	s.batch = b;
	int r = batch_fill(st, b, args[1], start);
	if (r == 0 && b->n > 0)
		r = sending_run(self, &s, timeout_ms);
	free(b->bytes);
	free(b);
	return r >= 0 ? PyLong_FromLong(r) : NULL;
}

static PyObject *sender_send(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	sending s = {0};
	if (!core_count_args("send", n, 5, 5))
		return NULL;
	s.peer = core_text(core_state_of(self), args[0], "peer");
	if (s.peer == NULL)
		return NULL;
	s.where = core_text(core_state_of(self), args[1], "protocol");
	if (s.where == NULL)
		return NULL;
	s.token = core_int64(args[3], "token");
	int timeout_ms = core_int(args[4], "timeout_ms");
	if (PyErr_Occurred())
		return NULL;
	return sending_one(self, &s, args[2], timeout_ms);
}

static PyObject *sender_wrap(PyTypeObject *type, kp2p_sender *sender)
{
	sender_obj *self = PyObject_New(sender_obj, type);
	if (self == NULL)
		kp2p_sender_free(sender);
	else
		self->sender = sender;
	return (PyObject *)self;
}

PyObject *core_sender_new(core_node *owner)
{
	kp2p_error *err = NULL;
	core_state *st = core_state_of((PyObject *)owner);
	kp2p_sender *sender = kp2p_sender_new(owner->node, &err);
	if (sender == NULL)
		return (PyObject *)core_raise(st, kp2p_error_code(err), err);
	return sender_wrap(st->sender_type, sender);
}

static PyObject *sender_clone(PyObject *self, PyObject *unused)
{
	(void)unused;
	kp2p_sender *sender = kp2p_sender_clone(((sender_obj *)self)->sender);
	return sender != NULL ? sender_wrap(Py_TYPE(self), sender) : PyErr_NoMemory();
}

static PyObject *sender_fd(PyObject *self, PyObject *unused)
{
	(void)unused;
	int fd = kp2p_sender_fd(((sender_obj *)self)->sender);
	if (fd < 0)
		return (PyObject *)core_raise(core_state_of(self), fd, NULL);
	return PyLong_FromLong(fd);
}

static void sender_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	kp2p_sender_free(((sender_obj *)self)->sender);
	PyObject_Free(self);
	Py_DECREF(type);
}

static PyMethodDef sender_methods[] = {
        {"publish", (PyCFunction)(void (*)(void))sender_publish, METH_FASTCALL,
         PyDoc_STR("publish($self, topic, data, token, timeout_ms, /)\n--\n\n")},
        {"publish_batch", (PyCFunction)(void (*)(void))sender_publish_batch, METH_FASTCALL,
         PyDoc_STR("publish_batch($self, topic, messages, start, timeout_ms, /)\n--\n\n")},
        {"send", (PyCFunction)(void (*)(void))sender_send, METH_FASTCALL,
         PyDoc_STR("send($self, peer, protocol, data, token, timeout_ms, /)\n--\n\n")},
        {"clone", sender_clone, METH_NOARGS, PyDoc_STR("clone($self, /)\n--\n\n")},
        {"fileno", sender_fd, METH_NOARGS, PyDoc_STR("fileno($self, /)\n--\n\n")},
        {NULL, NULL, 0, NULL},
};

static PyType_Slot sender_slots[] = {
        {Py_tp_doc, PyDoc_STR("A handle on a node's bounded send queue.")},
        {Py_tp_dealloc, (void *)sender_dealloc},
        {Py_tp_methods, sender_methods},
        {0, NULL},
};

PyType_Spec core_sender_spec = {
        .name = "karakp2p._core.Sender",
        .basicsize = sizeof(sender_obj),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = sender_slots,
};
