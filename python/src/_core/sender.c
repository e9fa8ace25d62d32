/* Sender: publish and direct messages, with and without waiting. */
#include "core.h"

#include <limits.h>
#include <time.h>

typedef struct sender_obj {
	PyObject ob_base; /* PyObject_HEAD */
	kp2p_sender *sender;
} sender_obj;

/* One publish (peer NULL) or send. */
typedef struct sending {
	kp2p_sender *sender;
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
	if (s->peer == NULL)
		return kp2p_sender_publish(s->sender, s->where, s->data.ptr, len, s->token,
		                           timeout_ms, err);
	return kp2p_sender_send(s->sender, s->peer, s->where, s->data.ptr, len, s->token,
	                        timeout_ms, err);
}

/* Waits with the GIL released; runs Python's signal handlers whenever one was signalled. A code,
 * or 1 when a handler raised. */
static int sending_wait(const sending *s, int timeout_ms, kp2p_error **err)
{
	int64_t until = timeout_ms > 0 ? sender_now_ms() + timeout_ms : 0;
	for (;;) {
		int r;
		int64_t left = timeout_ms > 0 ? until - sender_now_ms() : timeout_ms;
		if (timeout_ms > 0 && left <= 0)
			return KP2P_ETIMEDOUT;
		Py_BEGIN_ALLOW_THREADS r = sending_try(s, (int)left, err);
		Py_END_ALLOW_THREADS if (r != KP2P_EINTR) return r;
		kp2p_error_free(*err);
		*err = NULL;
		if (PyErr_CheckSignals() < 0)
			return 1;
	}
}

static PyObject *sending_run(PyObject *self, sending *s, PyObject *data, int timeout_ms)
{
	kp2p_error *err = NULL;
	if (core_data_get(data, &s->data) < 0)
		return NULL;
	s->sender = ((sender_obj *)self)->sender;
	int r = sending_try(s, 0, &err);
	if (r == KP2P_EAGAIN && timeout_ms != 0) {
		kp2p_error_free(err);
		err = NULL;
		r = sending_wait(s, timeout_ms, &err);
	}
	core_data_release(&s->data);
	if (r > 0)
		return NULL;
	if (r < 0)
		return (PyObject *)core_raise(core_state_of(self), r, err);
	Py_RETURN_NONE;
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
	return sending_run(self, &s, args[1], timeout_ms);
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
	return sending_run(self, &s, args[2], timeout_ms);
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
