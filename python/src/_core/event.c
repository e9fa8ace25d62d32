/* Event and Message: one event of the library each, read-only, its bytes without a copy. */
#include "core.h"

typedef struct event_obj {
	PyObject ob_base; /* PyObject_HEAD */
	kp2p_event *ev;   /* owned; outlives its node */
	core_node *owner; /* for the verdict */
	PyObject *value;  /* of a codec, or NULL; made from a copy, so it never refers to this */
} event_obj;

PyObject *core_event_wrap(const core_state *st, kp2p_event *ev, core_node *owner)
{
	int type = kp2p_event_type(ev);
	bool message = type == KP2P_EV_MESSAGE || type == KP2P_EV_VALIDATE;
	event_obj *self = PyObject_New(event_obj, message ? st->message_type : st->event_type);
	if (self == NULL) {
		kp2p_events_free(&ev, 1);
		return NULL;
	}
	self->ev = ev;
	self->owner = owner;
	self->value = NULL;
	Py_INCREF((PyObject *)owner);
	return (PyObject *)self;
}

static void event_dealloc(PyObject *obj)
{
	event_obj *self = (event_obj *)obj;
	PyTypeObject *type = Py_TYPE(obj);
	kp2p_events_free(&self->ev, 1);
	Py_XDECREF(self->value);
	Py_DECREF((PyObject *)self->owner);
	PyObject_Free(obj);
	Py_DECREF(type);
}

/* --- fields
 * ------------------------------------------------------------------------------------------- */

static PyObject *event_get_text(PyObject *obj, void *field)
{
	kp2p_bytes b = kp2p_event_bytes(((event_obj *)obj)->ev, (int)(intptr_t)field);
	if (b.ptr == NULL)
		return core_none();
	return PyUnicode_DecodeUTF8(b.ptr, (Py_ssize_t)b.len, "surrogateescape");
}

static PyObject *event_get_bytes(PyObject *obj, void *field)
{
	kp2p_bytes b = kp2p_event_bytes(((event_obj *)obj)->ev, (int)(intptr_t)field);
	if (b.ptr == NULL)
		return core_none();
	return PyBytes_FromStringAndSize(b.ptr, (Py_ssize_t)b.len);
}

static PyObject *event_get_int(PyObject *obj, void *field)
{
	return PyLong_FromLongLong(kp2p_event_int(((event_obj *)obj)->ev, (int)(intptr_t)field));
}

static PyObject *event_get_time(PyObject *obj, void *unused)
{
	(void)unused;
	int64_t ns = kp2p_event_int(((event_obj *)obj)->ev, KP2P_F_TIME_NS);
	return PyFloat_FromDouble((double)ns / 1e9);
}

static PyObject *event_get_rtt(PyObject *obj, void *unused)
{
	(void)unused;
	int64_t us = kp2p_event_int(((event_obj *)obj)->ev, KP2P_F_RTT_US);
	return PyFloat_FromDouble((double)us / 1e6);
}

static PyObject *event_get_more(PyObject *obj, void *unused)
{
	(void)unused;
	int64_t flags = kp2p_event_int(((event_obj *)obj)->ev, KP2P_F_FLAGS);
	return PyBool_FromLong((flags & KP2P_FLAG_MORE) != 0);
}

static PyObject *event_get_kind(PyObject *obj, void *unused)
{
	(void)unused;
	return PyLong_FromLong(kp2p_event_type(((event_obj *)obj)->ev));
}

static const char *const event_names[] = {
        "",       "message",  "validate", "published", "peer_up", "peer_down",
        "listen", "complete", "dropped",  "log",       "stats",   "closed",
};

static PyObject *event_get_type(PyObject *obj, void *unused)
{
	(void)unused;
	int kind = kp2p_event_type(((event_obj *)obj)->ev);
	if (kind > 0 && kind < (int)(sizeof event_names / sizeof event_names[0]))
		return PyUnicode_FromString(event_names[kind]);
	return PyUnicode_FromFormat("event_%d", kind);
}

static PyObject *event_repr(PyObject *obj)
{
	PyObject *type = event_get_type(obj, NULL);
	PyObject *text = event_get_text(obj, (void *)(intptr_t)KP2P_F_TEXT);
	int64_t code = kp2p_event_int(((event_obj *)obj)->ev, KP2P_F_CODE);
	PyObject *repr = NULL;
	if (type != NULL && text != NULL)
		repr = PyUnicode_FromFormat("<karakp2p.Event %U code=%d text=%R>", type, (int)code,
		                            text);
	Py_XDECREF(type);
	Py_XDECREF(text);
	return repr;
}

static PyObject *event_reduce(PyObject *obj, PyObject *unused)
{
	(void)unused;
	return PyErr_Format(PyExc_TypeError, "an event cannot be copied or pickled: %R", obj);
}

#define TEXT_FIELD(name, field, doc)                                                               \
	{                                                                                          \
		(name), event_get_text, NULL, PyDoc_STR(doc), (void *)(intptr_t)(field)            \
	}
#define BYTES_FIELD(name, field, doc)                                                              \
	{                                                                                          \
		(name), event_get_bytes, NULL, PyDoc_STR(doc), (void *)(intptr_t)(field)           \
	}
#define INT_FIELD(name, field, doc)                                                                \
	{                                                                                          \
		(name), event_get_int, NULL, PyDoc_STR(doc), (void *)(intptr_t)(field)             \
	}

static PyGetSetDef event_getset[] = {
        {"kind", event_get_kind, NULL, PyDoc_STR("The type's number in karakp2p.h."), NULL},
        {"type", event_get_type, NULL,
         PyDoc_STR("'published', 'peer_up', 'peer_down', 'listen', 'dropped', 'log', 'stats' …"),
         NULL},
        INT_FIELD("token", KP2P_F_TOKEN, "What the request or publish was given; 0 = nothing."),
        INT_FIELD("code", KP2P_F_CODE, "0, an error code, or the level of a log line."),
        INT_FIELD("count", KP2P_F_COUNT, "published: peers; dropped: messages."),
        INT_FIELD("inbox", KP2P_F_INBOX, "The inbox it came through."),
        INT_FIELD("time_ns", KP2P_F_TIME_NS, "When it happened, nanoseconds since 1970."),
        {"time", event_get_time, NULL, PyDoc_STR("When it happened, seconds since 1970."), NULL},
        {"rtt", event_get_rtt, NULL, PyDoc_STR("Round trip of a ping, seconds."), NULL},
        {"more", event_get_more, NULL, PyDoc_STR("Further events of this token follow."), NULL},
        TEXT_FIELD("topic", KP2P_F_TOPIC, "Topic, or None."),
        TEXT_FIELD("peer", KP2P_F_FROM, "Peer id, or None."),
        BYTES_FIELD("id", KP2P_F_ID, "Message id, or None."),
        TEXT_FIELD("addr", KP2P_F_ADDR, "Multiaddress, or None."),
        BYTES_FIELD("key", KP2P_F_KEY, "DHT key, or None."),
        BYTES_FIELD("value", KP2P_F_VALUE, "DHT value, or None."),
        TEXT_FIELD("text", KP2P_F_TEXT, "For people; JSON in stats. Or None."),
        {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef event_methods[] = {
        {"__reduce__", event_reduce, METH_NOARGS, NULL},
        {NULL, NULL, 0, NULL},
};

static PyType_Slot event_slots[] = {
        {Py_tp_doc, PyDoc_STR("Something that happened, other than a message. Read-only.")},
        {Py_tp_dealloc, (void *)event_dealloc},
        {Py_tp_repr, (void *)event_repr},
        {Py_tp_getset, event_getset},
        {Py_tp_methods, event_methods},
        {0, NULL},
};

PyType_Spec core_event_spec = {
        .name = "karakp2p._core.Event",
        .basicsize = sizeof(event_obj),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = event_slots,
};

/* --- messages
 * ----------------------------------------------------------------------------------------- */

static kp2p_bytes message_payload(PyObject *obj)
{
	return kp2p_event_bytes(((event_obj *)obj)->ev, KP2P_F_PAYLOAD);
}

static int message_getbuffer(PyObject *obj, Py_buffer *view, int flags)
{
	kp2p_bytes b = message_payload(obj);
	void *ptr = (void *)(intptr_t)(b.ptr != NULL ? b.ptr : "");
	return PyBuffer_FillInfo(view, obj, ptr, (Py_ssize_t)b.len, 1, flags);
}

static Py_ssize_t message_len(PyObject *obj)
{
	return (Py_ssize_t)message_payload(obj).len;
}

static PyObject *message_bytes(PyObject *obj, PyObject *unused)
{
	kp2p_bytes b = message_payload(obj);
	(void)unused;
	return PyBytes_FromStringAndSize(b.ptr, (Py_ssize_t)b.len);
}

static PyObject *message_get_data(PyObject *obj, void *unused)
{
	(void)unused;
	return PyMemoryView_FromObject(obj);
}

static PyObject *message_get_value(PyObject *obj, void *unused)
{
	PyObject *value = ((event_obj *)obj)->value;
	if (value == NULL)
		return message_get_data(obj, unused);
	Py_INCREF(value);
	return value;
}

static PyObject *message_get_seqno(PyObject *obj, void *unused)
{
	const kp2p_event *ev = ((event_obj *)obj)->ev;
	(void)unused;
	if ((kp2p_event_int(ev, KP2P_F_FLAGS) & KP2P_FLAG_NO_SEQ) != 0)
		return core_none();
	return PyLong_FromUnsignedLongLong((uint64_t)kp2p_event_int(ev, KP2P_F_SEQ));
}

static PyObject *message_get_validate(PyObject *obj, void *unused)
{
	(void)unused;
	return PyBool_FromLong(kp2p_event_type(((event_obj *)obj)->ev) == KP2P_EV_VALIDATE);
}

static PyObject *message_verdict(PyObject *obj, int verdict)
{
	event_obj *self = (event_obj *)obj;
	if (kp2p_event_type(self->ev) != KP2P_EV_VALIDATE)
		return PyBool_FromLong(0);
	int64_t token = kp2p_event_int(self->ev, KP2P_F_TOKEN);
	int r = kp2p_node_verdict(self->owner->node, token, verdict);
	if (r == KP2P_ENOTFOUND || r == KP2P_ECLOSED)
		return PyBool_FromLong(0);
	if (r < 0)
		return (PyObject *)core_raise(core_state_of(obj), r, NULL);
	return PyBool_FromLong(1);
}

static PyObject *message_accept(PyObject *obj, PyObject *unused)
{
	(void)unused;
	return message_verdict(obj, KP2P_VERDICT_ACCEPT);
}

static PyObject *message_reject(PyObject *obj, PyObject *unused)
{
	(void)unused;
	return message_verdict(obj, KP2P_VERDICT_REJECT);
}

static PyObject *message_ignore(PyObject *obj, PyObject *unused)
{
	(void)unused;
	return message_verdict(obj, KP2P_VERDICT_IGNORE);
}

/* A copy is bytes: the event itself belongs to this process. */
static PyObject *message_reduce(PyObject *obj, PyObject *unused)
{
	PyObject *data = message_bytes(obj, unused);
	return data != NULL ? Py_BuildValue("(O(N))", (PyObject *)&PyBytes_Type, data) : NULL;
}

static PyObject *message_repr(PyObject *obj)
{
	bool direct = kp2p_event_bytes(((event_obj *)obj)->ev, KP2P_F_PROTOCOL).ptr != NULL;
	int field = direct ? KP2P_F_PROTOCOL : KP2P_F_TOPIC;
	PyObject *to = event_get_text(obj, (void *)(intptr_t)field);
	PyObject *from = event_get_text(obj, (void *)(intptr_t)KP2P_F_FROM);
	PyObject *repr = NULL;
	if (to != NULL && from != NULL)
		repr = PyUnicode_FromFormat("<karakp2p.Message %s=%R source=%R, %zd bytes>",
		                            direct ? "protocol" : "topic", to, from,
		                            message_len(obj));
	Py_XDECREF(to);
	Py_XDECREF(from);
	return repr;
}

PyObject *core_set_value(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
	core_state *st = (core_state *)PyModule_GetState(module);
	if (!core_count_args("set_value", n, 2, 2))
		return NULL;
	if (Py_TYPE(args[0]) != st->message_type) {
		PyErr_SetString(PyExc_TypeError, "set_value() wants a Message");
		return NULL;
	}
	event_obj *self = (event_obj *)args[0];
	PyObject *old = self->value;
	Py_INCREF(args[1]);
	self->value = args[1];
	Py_XDECREF(old);
	return core_none();
}

static PyGetSetDef message_getset[] = {
        TEXT_FIELD("topic", KP2P_F_TOPIC, "Topic; None for a direct message."),
        {"data", message_get_data, NULL,
         PyDoc_STR("The payload as a read-only memoryview, without a copy."), NULL},
        {"value", message_get_value, NULL,
         PyDoc_STR("What the subscription's codec made of the payload; without one, data."), NULL},
        TEXT_FIELD("source", KP2P_F_FROM, "Peer id of the author; None if unsigned."),
        TEXT_FIELD("via", KP2P_F_VIA, "Peer id of whoever forwarded it to us."),
        BYTES_FIELD("id", KP2P_F_ID, "Message id (decimal text for the Karak id)."),
        {"seqno", message_get_seqno, NULL,
         PyDoc_STR("The author's sequence number, an unsigned 64-bit integer, or None."), NULL},
        {"time", event_get_time, NULL, PyDoc_STR("When it arrived, seconds since 1970."), NULL},
        INT_FIELD("time_ns", KP2P_F_TIME_NS, "When it arrived, nanoseconds since 1970."),
        TEXT_FIELD("protocol", KP2P_F_PROTOCOL, "Protocol id of a direct message, or None."),
        {"validate", message_get_validate, NULL,
         PyDoc_STR("It waits for accept(), reject() or ignore()."), NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef message_methods[] = {
        {"accept", message_accept, METH_NOARGS,
         PyDoc_STR("accept($self, /)\n--\n\n"
                   "Forward it. False when it waits for no verdict, or no longer.")},
        {"reject", message_reject, METH_NOARGS,
         PyDoc_STR("reject($self, /)\n--\n\n"
                   "Do not forward it, and count it against the sender. False as accept().")},
        {"ignore", message_ignore, METH_NOARGS,
         PyDoc_STR("ignore($self, /)\n--\n\nDo not forward it. False as accept().")},
        {"__bytes__", message_bytes, METH_NOARGS,
         PyDoc_STR("__bytes__($self, /)\n--\n\nA copy of the payload.")},
        {"__reduce__", message_reduce, METH_NOARGS, NULL},
        {NULL, NULL, 0, NULL},
};

static PyType_Slot message_slots[] = {
        {Py_tp_doc, PyDoc_STR("A message that arrived. bytes(m), memoryview(m) and len(m) are its "
                              "payload; a copy or pickle of it is bytes.")},
        {Py_tp_dealloc, (void *)event_dealloc},
        {Py_tp_repr, (void *)message_repr},
        {Py_tp_getset, message_getset},
        {Py_tp_methods, message_methods},
        {Py_bf_getbuffer, (void *)message_getbuffer},
        {Py_sq_length, (void *)message_len},
        {0, NULL},
};

PyType_Spec core_message_spec = {
        .name = "karakp2p._core.Message",
        .basicsize = sizeof(event_obj),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = message_slots,
};
