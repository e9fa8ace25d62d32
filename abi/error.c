/* Errors: codes, their texts, and the objects that say what exactly went wrong. */
#include "abi.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ABI_SAME_CODE(name, value, text)                                                           \
	static_assert(KP2P_E##name == (int)KP_E_##name, "KP2P_E" #name);
KP_ERRORS(ABI_SAME_CODE)
#undef ABI_SAME_CODE

static const kp2p_error abi_no_memory = {KP2P_ENOMEM, "out of memory"};

const char *kp2p_strerror(int code)
{
	return kp_err_text(code);
}

const char *kp2p_error_message(const kp2p_error *err)
{
	return err != NULL ? err->text : "";
}

int kp2p_error_code(const kp2p_error *err)
{
	return err != NULL ? err->code : 0;
}

void kp2p_error_free(kp2p_error *err)
{
	if (err != &abi_no_memory)
		kp_mem_free(kp_abi_mem(), err);
}

static kp2p_error *error_new(int code, const char *text)
{
	size_t n = strlen(text) + 1;
	kp2p_error *e = (kp2p_error *)kp_mem_alloc(kp_abi_mem(), sizeof *e + n);
	if (e == NULL)
		return (kp2p_error *)(uintptr_t)&abi_no_memory; /* never written to */
	e->code = code;
	e->text = (char *)(e + 1);
	memcpy(e + 1, text, n);
	return e;
}

int kp_abi_fail(kp2p_error **err, kp_err code, const char *format, ...)
{
	KP_ASSERT(code < 0);
	if (err == NULL || *err != NULL)
		return code;
	char text[KP_RT_TEXT];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	*err = error_new(code, text[0] != '\0' ? text : kp_err_text(code));
	return code;
}

static int abi_check_handle(const void *handle, const uint32_t *gen, const char *name,
                            kp2p_error **err)
{
	if (handle == NULL)
		return kp_abi_fail(err, KP_E_INVAL, "%s is NULL", name);
	if (*gen != kp_abi_fork_gen())
		return kp_abi_fail(err, KP_E_FORKED,
		                   "this %s was made before a fork: make a new one in the child",
		                   name);
	return 0;
}

int kp_abi_check_node(const kp2p_node *node, kp2p_error **err)
{
	return abi_check_handle(node, node != NULL ? &node->fork_gen : NULL, "node", err);
}

int kp_abi_check_sender(const kp2p_sender *sender, kp2p_error **err)
{
	return abi_check_handle(sender, sender != NULL ? &sender->fork_gen : NULL, "sender", err);
}
