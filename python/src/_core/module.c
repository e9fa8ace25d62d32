/* The module: its functions, its state, and the check that the library is the one it needs. */
#include "core.h"

static core_state *module_state(PyObject *module)
{
	return (core_state *)PyModule_GetState(module);
}

static PyObject *module_version(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	return PyUnicode_FromString(kp2p_version());
}

static PyObject *module_strerror(PyObject *module, PyObject *arg)
{
	(void)module;
	int code = core_int(arg, "code");
	return PyErr_Occurred() ? NULL : PyUnicode_FromString(kp2p_strerror(code));
}

static PyObject *module_key_generate(PyObject *module, PyObject *arg)
{
	kp2p_error *err = NULL;
	int type = core_int(arg, "type");
	if (PyErr_Occurred())
		return NULL;
	char *text = kp2p_key_generate(type, &err);
	return core_take_text(module_state(module), text, err);
}

static PyObject *module_key_peer_id(PyObject *module, PyObject *arg)
{
	kp2p_error *err = NULL;
	const char *key = core_text(module_state(module), arg, "key");
	if (key == NULL)
		return NULL;
	char *text = kp2p_key_peer_id(key, &err);
	return core_take_text(module_state(module), text, err);
}

static PyObject *module_peer_id_parse(PyObject *module, PyObject *arg)
{
	kp2p_error *err = NULL;
	const char *peer = core_text(module_state(module), arg, "peer id");
	if (peer == NULL)
		return NULL;
	char *text = kp2p_peer_id_parse(peer, &err);
	return core_take_text(module_state(module), text, err);
}

static PyMethodDef module_methods[] = {
        {"version", module_version, METH_NOARGS, PyDoc_STR("version($module, /)\n--\n\n")},
        {"strerror", module_strerror, METH_O, PyDoc_STR("strerror($module, code, /)\n--\n\n")},
        {"key_generate", module_key_generate, METH_O,
         PyDoc_STR("key_generate($module, type, /)\n--\n\n")},
        {"key_peer_id", module_key_peer_id, METH_O,
         PyDoc_STR("key_peer_id($module, key, /)\n--\n\n")},
        {"peer_id_parse", module_peer_id_parse, METH_O,
         PyDoc_STR("peer_id_parse($module, text, /)\n--\n\n")},
        {"set_value", (PyCFunction)(void (*)(void))core_set_value, METH_FASTCALL,
         PyDoc_STR("set_value($module, message, value, /)\n--\n\n")},
        {NULL, NULL, 0, NULL},
};

static int module_check_abi(void)
{
	uint32_t v = kp2p_abi_version();
	if (v >> 16 == KP2P_ABI_MAJOR && v >= ((uint32_t)KP2P_ABI_MAJOR << 16 | KP2P_ABI_MINOR))
		return 0;
	PyErr_Format(PyExc_ImportError, "libkarakp2p has ABI %u.%u, this package needs %d.%d",
	             (unsigned)(v >> 16), (unsigned)(v & 0xffff), KP2P_ABI_MAJOR, KP2P_ABI_MINOR);
	return -1;
}

static int module_add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **out)
{
	*out = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
	return *out != NULL ? PyModule_AddType(module, *out) : -1;
}

static int module_exec(PyObject *module)
{
	core_state *st = module_state(module);
	if (module_check_abi() < 0)
		return -1;
	PyObject *errors = PyImport_ImportModule("karakp2p._errors");
	if (errors == NULL)
		return -1;
	st->make_error = PyObject_GetAttrString(errors, "make");
	Py_DECREF(errors);
	if (st->make_error == NULL)
		return -1;
	if (module_add_type(module, &core_node_spec, &st->node_type) < 0 ||
	    module_add_type(module, &core_sender_spec, &st->sender_type) < 0 ||
	    module_add_type(module, &core_event_spec, &st->event_type) < 0 ||
	    module_add_type(module, &core_message_spec, &st->message_type) < 0)
		return -1;
	return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
	core_state *st = module_state(module);
	Py_VISIT(st->make_error);
	Py_VISIT(st->node_type);
	Py_VISIT(st->sender_type);
	Py_VISIT(st->event_type);
	Py_VISIT(st->message_type);
	return 0;
}

static int module_clear(PyObject *module)
{
	core_state *st = module_state(module);
	Py_CLEAR(st->make_error);
	Py_CLEAR(st->node_type);
	Py_CLEAR(st->sender_type);
	Py_CLEAR(st->event_type);
	Py_CLEAR(st->message_type);
	return 0;
}

static void module_free(void *module)
{
	module_clear((PyObject *)module);
}

static PyModuleDef_Slot module_slots[] = {
        {Py_mod_exec, (void *)module_exec},
        {0, NULL},
};

static struct PyModuleDef module_def = {
        PyModuleDef_HEAD_INIT,
        .m_name = "karakp2p._core",
        .m_doc = PyDoc_STR("The C ABI of libkarakp2p. Use the package karakp2p."),
        .m_size = sizeof(core_state),
        .m_methods = module_methods,
        .m_slots = module_slots,
        .m_traverse = module_traverse,
        .m_clear = module_clear,
        .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void)
{
	return PyModuleDef_Init(&module_def);
}
