/* Arguments in, errors and texts out. */
#include "core.h"

#include <limits.h>
#include <string.h>

core_state *core_state_of(PyObject *self)
{
	return (core_state *)PyType_GetModuleState(Py_TYPE(self));
}

static void *raise_text(const core_state *st, int code, const char *text)
{
	PyObject *e = PyObject_CallFunction(st->make_error, "is", code, text);
	if (e != NULL) {
		PyErr_SetObject((PyObject *)Py_TYPE(e), e);
		Py_DECREF(e);
	}
	return NULL;
}

void *core_raise(const core_state *st, int code, kp2p_error *err)
{
	const char *text = kp2p_error_message(err);
	if (code == 0) /* no memory for the error object either */
		code = KP2P_ENOMEM;
	raise_text(st, code, text[0] != '\0' ? text : kp2p_strerror(code));
	kp2p_error_free(err);
	return NULL;
}

void *core_invalid(const core_state *st, const char *text)
{
	return raise_text(st, KP2P_EINVAL, text);
}

const char *core_text(const core_state *st, PyObject *arg, const char *what)
{
	Py_ssize_t n;
	if (!PyUnicode_Check(arg)) {
		PyErr_Format(PyExc_TypeError, "%s must be str, not %R", what, Py_TYPE(arg));
		return NULL;
	}
	const char *text = PyUnicode_AsUTF8AndSize(arg, &n);
	if (text == NULL || strlen(text) == (size_t)n)
		return text;
	PyObject *message = PyUnicode_FromFormat("%s %R holds a NUL character", what, arg);
	if (message != NULL) {
		const char *utf8 = PyUnicode_AsUTF8AndSize(message, &n);
		if (utf8 != NULL)
			core_invalid(st, utf8);
		Py_DECREF(message);
	}
	return NULL;
}

static int data_of_bytes(PyObject *arg, core_data *out)
{
	char *ptr;
	/* a type's own __bytes__ only: bytes(5) would be five NULs */
	if (!PyObject_HasAttrString((PyObject *)Py_TYPE(arg), "__bytes__")) {
		PyErr_Format(PyExc_TypeError,
		             "data must be str, bytes-like or have __bytes__, not %R",
		             Py_TYPE(arg));
		return -1;
	}
	out->of_bytes = PyObject_CallMethod(arg, "__bytes__", NULL);
	if (out->of_bytes == NULL)
		return -1;
	if (PyBytes_AsStringAndSize(out->of_bytes, &ptr, &out->len) < 0) {
		Py_CLEAR(out->of_bytes);
		return -1;
	}
	out->ptr = ptr;
	return 0;
}

int core_data_get(PyObject *arg, core_data *out)
{
	memset(out, 0, sizeof *out);
	if (PyUnicode_Check(arg)) {
		out->ptr = PyUnicode_AsUTF8AndSize(arg, &out->len);
		return out->ptr != NULL ? 0 : -1;
	}
	if (!PyObject_CheckBuffer(arg))
		return data_of_bytes(arg, out);
	if (PyObject_GetBuffer(arg, &out->view, PyBUF_SIMPLE) < 0)
		return -1;
	out->ptr = (const char *)out->view.buf;
	out->len = out->view.len;
	return 0;
}

void core_data_release(core_data *data)
{
	if (data->view.obj != NULL)
		PyBuffer_Release(&data->view);
	Py_CLEAR(data->of_bytes);
}

int64_t core_int64(PyObject *arg, const char *what)
{
	if (!PyLong_Check(arg)) {
		PyErr_Format(PyExc_TypeError, "%s must be int, not %R", what, Py_TYPE(arg));
		return -1;
	}
	return PyLong_AsLongLong(arg);
}

int core_int(PyObject *arg, const char *what)
{
	int64_t v = core_int64(arg, what);
	if (v >= INT_MIN && v <= INT_MAX)
		return (int)v;
	PyErr_Format(PyExc_OverflowError, "%s is out of range", what);
	return -1;
}

int core_count_args(const char *name, Py_ssize_t n, Py_ssize_t least, Py_ssize_t most)
{
	if (n >= least && n <= most)
		return 1;
	PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd arguments (%zd given)", name, least,
	             most, n);
	return 0;
}

PyObject *core_take_text(const core_state *st, char *text, kp2p_error *err)
{
	if (text == NULL)
		return (PyObject *)core_raise(st, kp2p_error_code(err), err);
	PyObject *s = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
	kp2p_free(text);
	return s;
}
