/* The texts of the error enum and of the reasons for which a connection ends. */
#include "base/err.h"

const char *kp_err_text(int code)
{
	switch (code) {
	case KP_OK:
		return "ok";
#define ERR_TEXT_CASE(name, value, text)                                                           \
	case (value):                                                                              \
		return (text);
		KP_ERRORS(ERR_TEXT_CASE)
#undef ERR_TEXT_CASE
	default:
		return "unknown error";
	}
}

static const struct why_row {
	const char *text;
	kp_err code;
} why_rows[] = {
#define WHY_ROW(name, code, text) {(text), (code)},
        KP_WHYS(WHY_ROW)
#undef WHY_ROW
};

_Static_assert(KP_COUNT_OF(why_rows) == KP_WHY_COUNT, "one row per reason");

const char *kp_why_text(kp_why why)
{
	return (unsigned)why < KP_WHY_COUNT ? why_rows[why].text : "unknown reason";
}

kp_err kp_why_code(kp_why why)
{
	return (unsigned)why < KP_WHY_COUNT ? why_rows[why].code : KP_E_INTERNAL;
}
