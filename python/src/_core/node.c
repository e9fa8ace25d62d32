/* Node: life, inboxes, requests, introspection. */
#include "core.h"

#include <time.h>

static kp2p_node *node_of(PyObject *self)
{
	return ((core_node *)self)->node;
}

/* --- life
 * --------------------------------------------------------------------------------------------- */

static int node_set_config(const core_state *st, kp2p_config *config, PyObject *pairs)
{
	kp2p_error *err = NULL;
	Py_ssize_t n = PyList_Size(pairs);
	for (Py_ssize_t i = 0; i < n; i++) {
		PyObject *pair = PyList_GetItem(pairs, i);
		if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) {
			PyErr_SetString(PyExc_TypeError, "a key and its value must be a tuple");
			return -1;
		}
		const char *k = core_text(st, PyTuple_GetItem(pair, 0), "key");
		const char *v = k != NULL ? core_text(st, PyTuple_GetItem(pair, 1), k) : NULL;
		if (v == NULL)
			return -1;
		int r = kp2p_config_set(config, k, v, &err);
		if (r < 0) {
			core_raise(st, r, err);
			return -1;
		}
	}
	return 0;
}

static kp2p_node *node_make(const core_state *st, PyObject *pairs)
{
	kp2p_error *err = NULL;
	kp2p_node *node = NULL;
	kp2p_config *config = kp2p_config_new();
	if (config == NULL)
		return (kp2p_node *)(void *)PyErr_NoMemory();
	if (node_set_config(st, config, pairs) == 0) {
		node = kp2p_node_new(config, &err);
		if (node == NULL)
			core_raise(st, kp2p_error_code(err), err);
	}
	kp2p_config_free(config);
	return node;
}

static PyObject *node_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	PyObject *pairs;
	if (kwargs != NULL && PyDict_Size(kwargs) > 0) {
		PyErr_SetString(PyExc_TypeError, "Node() takes no keyword arguments");
		return NULL;
	}
	if (!PyArg_ParseTuple(args, "O!", &PyList_Type, &pairs))
		return NULL;
	kp2p_node *node = node_make((core_state *)PyType_GetModuleState(type), pairs);
	if (node == NULL)
		return NULL;
	core_node *self = PyObject_New(core_node, type);
	if (self == NULL)
		kp2p_node_free(node);
	else
		self->node = node;
	return (PyObject *)self;
}

static void node_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	kp2p_node_free(node_of(self)); /* never blocks */
	PyObject_Free(self);
	Py_DECREF(type);
}

static PyObject *node_start(PyObject *self, PyObject *unused)
{
	kp2p_error *err = NULL;
	int r;
	(void)unused;
	PyThreadState *running = PyEval_SaveThread();
	r = kp2p_node_start(node_of(self), &err);
	PyEval_RestoreThread(running);
	if (r < 0)
		return (PyObject *)core_raise(core_state_of(self), r, err);
	return core_none();
}

/* True = closed and joined; False = still closing (timeout_ms 0 or passed). */
static PyObject *node_close(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	if (!core_count_args("close", n, 2, 2))
		return NULL;
	int drain_ms = core_int(args[0], "drain_ms");
	int timeout_ms = core_int(args[1], "timeout_ms");
	if (PyErr_Occurred())
		return NULL;
	for (;;) {
		int r;
		PyThreadState *running = PyEval_SaveThread();
		r = kp2p_node_close(node_of(self), drain_ms, timeout_ms);
		PyEval_RestoreThread(running);
		if (r == 0)
			return PyBool_FromLong(1);
		if (r == KP2P_EAGAIN || r == KP2P_ETIMEDOUT)
			return PyBool_FromLong(0);
		if (r != KP2P_EINTR)
			return (PyObject *)core_raise(core_state_of(self), r, NULL);
		if (PyErr_CheckSignals() < 0)
			return NULL;
	}
}

static PyObject *node_get_stop_id(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromLongLong(kp2p_node_stop_id(node_of(self)));
}

static PyObject *node_wake(PyObject *self, PyObject *unused)
{
	(void)unused;
	int r = kp2p_node_wake(node_of(self));
	if (r < 0)
		return (PyObject *)core_raise(core_state_of(self), r, NULL);
	return core_none();
}

static PyObject *node_sender(PyObject *self, PyObject *unused)
{
	(void)unused;
	return core_sender_new((core_node *)self);
}

/* --- inboxes
 * ------------------------------------------------------------------------------------------ */

/* Appends all n events, Messages to one list and the others to another; frees what it cannot. */
static int node_sort(PyObject *self, kp2p_event **evs, int n, PyObject *messages, PyObject *others)
{
	core_state *st = core_state_of(self);
	for (int i = 0; i < n; i++) {
		PyObject *o = core_event_wrap(st, evs[i], (core_node *)self);
		int r = -1;
		if (o != NULL) {
			bool message = Py_TYPE(o) == st->message_type;
			r = PyList_Append(message ? messages : others, o);
			Py_DECREF(o);
		}
		if (r < 0) {
			kp2p_events_free(evs + i + 1, (size_t)(n - i - 1));
			return -1;
		}
	}
	return 0;
}

static int node_poll_raw(PyObject *self, int inbox, kp2p_event **evs, int max, int timeout_ms)
{
	int n = kp2p_node_poll_batch(node_of(self), inbox, evs, (size_t)max, 0);
	if (n != 0 || timeout_ms == 0)
		return n;
	PyThreadState *running = PyEval_SaveThread();
	n = kp2p_node_poll_batch(node_of(self), inbox, evs, (size_t)max, timeout_ms);
	PyEval_RestoreThread(running);
	return n;
}

static PyObject *node_poll(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	kp2p_event *evs[CORE_BATCH_MAX];
	if (!core_count_args("poll", n, 3, 3))
		return NULL;
	int inbox = core_int(args[0], "inbox");
	int max = core_int(args[1], "max");
	int timeout_ms = core_int(args[2], "timeout_ms");
	if (PyErr_Occurred())
		return NULL;
	if (max < 1 || max > CORE_BATCH_MAX)
		return (PyObject *)core_invalid(core_state_of(self), "max must be 1 to 256");
	int count = node_poll_raw(self, inbox, evs, max, timeout_ms);
	if (count == KP2P_EINTR) {
		if (PyErr_CheckSignals() < 0)
			return NULL;
		count = 0;
	}
	if (count < 0)
		return (PyObject *)core_raise(core_state_of(self), count, NULL);
	PyObject *messages = PyList_New(0);
	PyObject *others = PyList_New(0);
	if (messages == NULL || others == NULL) {
		kp2p_events_free(evs, (size_t)count);
	} else if (node_sort(self, evs, count, messages, others) == 0) {
		return Py_BuildValue("(NN)", messages, others);
	}
	Py_XDECREF(messages);
	Py_XDECREF(others);
	return NULL;
}

static PyObject *node_inbox_fd(PyObject *self, PyObject *arg)
{
	int inbox = core_int(arg, "inbox");
	if (PyErr_Occurred())
		return NULL;
	int fd = kp2p_node_inbox_fd(node_of(self), inbox);
	if (fd < 0)
		return (PyObject *)core_raise(core_state_of(self), fd, NULL);
	return PyLong_FromLong(fd);
}

/* --- requests, introspection
 * -------------------------------------------------------------------------- */

static PyObject *node_request(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	core_state *st = core_state_of(self);
	kp2p_error *err = NULL;
	if (!core_count_args("request", n, 5, 5))
		return NULL;
	int op = core_int(args[0], "op");
	const char *arg = PyErr_Occurred() ? NULL : core_text(st, args[1], "argument");
	const char *data = arg != NULL ? core_text(st, args[2], "options") : NULL;
	if (data == NULL)
		return NULL;
	int timeout_ms = core_int(args[3], "timeout_ms");
	int64_t token = core_int64(args[4], "token");
	if (PyErr_Occurred())
		return NULL;
	int r = kp2p_node_request(node_of(self), op, arg, SIZE_MAX, data, strlen(data), timeout_ms,
	                          token, &err);
	if (r < 0)
		return (PyObject *)core_raise(st, r, err);
	return core_none();
}

static PyObject *node_cancel(PyObject *self, PyObject *arg)
{
	int64_t token = core_int64(arg, "token");
	if (PyErr_Occurred())
		return NULL;
	int r = kp2p_node_cancel(node_of(self), token);
	if (r < 0)
		return (PyObject *)core_raise(core_state_of(self), r, NULL);
	return core_none();
}

static PyObject *node_verdict(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	if (!core_count_args("verdict", n, 2, 2))
		return NULL;
	int64_t token = core_int64(args[0], "token");
	int verdict = core_int(args[1], "verdict");
	if (PyErr_Occurred())
		return NULL;
	int r = kp2p_node_verdict(node_of(self), token, verdict);
	if (r < 0)
		return (PyObject *)core_raise(core_state_of(self), r, NULL);
	return core_none();
}

static PyObject *node_info(PyObject *self, PyObject *arg)
{
	core_state *st = core_state_of(self);
	kp2p_error *err = NULL;
	char *text;
	const char *what = core_text(st, arg, "what");
	if (what == NULL)
		return NULL;
	PyThreadState *running = PyEval_SaveThread();
	text = kp2p_node_info(node_of(self), what, &err);
	PyEval_RestoreThread(running);
	return core_take_text(st, text, err);
}

#define FAST(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL

static PyMethodDef node_methods[] = {
        {"start", node_start, METH_NOARGS, PyDoc_STR("start($self, /)\n--\n\n")},
        {"close", FAST(node_close),
         PyDoc_STR("close($self, drain_ms, timeout_ms, /)\n--\n\n"
                   "True = closed and joined, False = still closing.")},
        {"wake", node_wake, METH_NOARGS, PyDoc_STR("wake($self, /)\n--\n\n")},
        {"sender", node_sender, METH_NOARGS, PyDoc_STR("sender($self, /)\n--\n\n")},
        {"poll", FAST(node_poll),
         PyDoc_STR("poll($self, inbox, max, timeout_ms, /)\n--\n\n"
                   "(messages, other events); both empty when interrupted or timed out.")},
        {"inbox_fd", node_inbox_fd, METH_O, PyDoc_STR("inbox_fd($self, inbox, /)\n--\n\n")},
        {"request", FAST(node_request),
         PyDoc_STR("request($self, op, arg, options, timeout_ms, token, /)\n--\n\n")},
        {"cancel", node_cancel, METH_O, PyDoc_STR("cancel($self, token, /)\n--\n\n")},
        {"verdict", FAST(node_verdict), PyDoc_STR("verdict($self, token, verdict, /)\n--\n\n")},
        {"info", node_info, METH_O, PyDoc_STR("info($self, what, /)\n--\n\n")},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef node_getset[] = {
        {"stop_id", node_get_stop_id, NULL, PyDoc_STR("For kp2p_stop; 0 in a forked child."), NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot node_slots[] = {
        {Py_tp_doc, PyDoc_STR("A kp2p_node.")},
        {Py_tp_new, (void *)node_new},
        {Py_tp_dealloc, (void *)node_dealloc},
        {Py_tp_methods, node_methods},
        {Py_tp_getset, node_getset},
        {0, NULL},
};

PyType_Spec core_node_spec = {
        .name = "karakp2p._core.Node",
        .basicsize = sizeof(core_node),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = node_slots,
};
