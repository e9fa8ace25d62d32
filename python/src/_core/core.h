/* karakp2p._core: the C ABI as four Python types. Policy (who waits, who dispatches, codecs) is in
 * Python; this layer converts arguments, releases the GIL around calls that wait, and turns codes
 * into exceptions. No thread of the library ever runs Python. */
#ifndef KARAKP2P_PY_CORE_H
#define KARAKP2P_PY_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <string.h>

#include "karakp2p.h"

#define CORE_BATCH_MAX 256 /* events taken by one poll */

typedef struct core_state {
	PyObject *make_error; /* karakp2p._errors.make(code, message) */
	PyTypeObject *node_type;
	PyTypeObject *sender_type;
	PyTypeObject *event_type;
	PyTypeObject *message_type;
} core_state;

typedef struct core_node {
	PyObject ob_base; /* PyObject_HEAD */
	kp2p_node *node;  /* never NULL once constructed; given up in dealloc */
} core_node;

/* The bytes that some Python object stands for, as long as it is held. */
typedef struct core_data {
	const char *ptr;
	Py_ssize_t len;
	Py_buffer view;     /* .obj NULL: none held */
	PyObject *of_bytes; /* what __bytes__ gave, or NULL */
} core_data;

/* A new reference to None. Not Py_RETURN_NONE, nor Py_RETURN_TRUE and FALSE: the headers of
 * CPython 3.12 and 3.13 make no reference there, which is right for those two alone. An extension
 * that was compiled with them and runs in 3.11 would in the end free None. */
static inline PyObject *core_none(void)
{
	Py_INCREF(Py_None);
	return Py_None;
}

/* --- args.c --- */

/* The module's state, from an object of one of its types. */
core_state *core_state_of(PyObject *self);

/* Raises the exception of the code and returns NULL. Takes `err` (may be NULL: the fixed text). */
void *core_raise(const core_state *st, int code, kp2p_error *err);

/* Raises Invalid with this text and returns NULL. */
void *core_invalid(const core_state *st, const char *text);

/* UTF-8 of a str without NUL, borrowed from it; else NULL and TypeError or Invalid. */
const char *core_text(const core_state *st, PyObject *arg, const char *what);

/* str as UTF-8, any contiguous buffer, or an object with __bytes__. 0, or -1 and an exception. */
int core_data_get(PyObject *arg, core_data *out);
void core_data_release(core_data *data);

/* An int of C's range; else -1 and an exception (callers look at PyErr_Occurred). */
int core_int(PyObject *arg, const char *what);
int64_t core_int64(PyObject *arg, const char *what);

/* TypeError unless n is between least and most; false then. */
int core_count_args(const char *name, Py_ssize_t n, Py_ssize_t least, Py_ssize_t most);

/* A str of a text that the library gave out, which is freed; NULL and an exception. */
PyObject *core_take_text(const core_state *st, char *text, kp2p_error *err);

/* --- the types --- */
extern PyType_Spec core_node_spec;
extern PyType_Spec core_sender_spec;
extern PyType_Spec core_event_spec;
extern PyType_Spec core_message_spec;

/* A new Message or Event that owns ev, also when this fails. owner is the node it came from. */
PyObject *core_event_wrap(const core_state *st, kp2p_event *ev, core_node *owner);

/* Sets what a codec made of the payload. */
PyObject *core_set_value(PyObject *module, PyObject *const *args, Py_ssize_t n);

/* A Sender of the node. */
PyObject *core_sender_new(core_node *owner);

#endif
