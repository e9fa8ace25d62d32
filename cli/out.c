#include "out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool out_json, out_colour, out_first_item;

void out_init(bool json)
{
	out_json = json;
	out_colour = !json && isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
}

bool out_is_json(void)
{
	return out_json;
}

/* --- UTF-8 ---------------------------------------------------------------------------------------
 */

/* Length of the valid UTF-8 sequence at p, 0 when there is none (overlong and surrogates refused).
 */
static size_t out_utf8_len(const unsigned char *p, size_t n)
{
	static const unsigned char low[5] = {0, 0, 0x80, 0x80, 0x80};
	size_t want = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (want == 0 || want > n || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if (want > 1 && p[1] < low[want])
		return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return want;
}

bool out_is_utf8(kp2p_bytes b)
{
	const unsigned char *p = (const unsigned char *)b.ptr;
	for (size_t i = 0; i < b.len;) {
		size_t n = out_utf8_len(p + i, b.len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

/* --- JSON ----------------------------------------------------------------------------------------
 */

static void out_quoted(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	putchar('"');
	for (size_t i = 0; i < len;) {
		size_t n = out_utf8_len(p + i, len - i);
		if (n == 0) {
			fputs("\\ufffd", stdout);
			i++;
		} else if (n == 1 && (p[i] == '"' || p[i] == '\\')) {
			printf("\\%c", p[i++]);
		} else if (n == 1 && (p[i] < 0x20 || p[i] == 0x7f)) {
			printf("\\u%04x", p[i++]);
		} else {
			fwrite(p + i, 1, n, stdout);
			i += n;
		}
	}
	putchar('"');
}

static void out_name(const char *name)
{
	printf(",\"%s\":", name);
}

void out_begin(const char *event)
{
	printf("{\"event\":\"%s\"", event);
}

void out_str(const char *name, const char *text)
{
	out_name(name);
	out_quoted(text, strlen(text));
}

void out_bytes(const char *name, kp2p_bytes b)
{
	out_name(name);
	out_quoted(b.ptr ? b.ptr : "", b.len);
}

void out_base64(const char *name, kp2p_bytes b)
{
	static const char digits[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)b.ptr;
	out_name(name);
	putchar('"');
	for (size_t i = 0; i < b.len; i += 3) {
		size_t left = b.len - i;
		unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
		             (left > 2 ? p[i + 2] : 0u);
		putchar(digits[v >> 18]);
		putchar(digits[v >> 12 & 63]);
		putchar(left > 1 ? digits[v >> 6 & 63] : '=');
		putchar(left > 2 ? digits[v & 63] : '=');
	}
	putchar('"');
}

void out_int(const char *name, int64_t v)
{
	out_name(name);
	printf("%lld", (long long)v);
}

void out_real(const char *name, double v)
{
	out_name(name);
	printf("%.3f", v);
}

void out_raw(const char *name, const char *json)
{
	out_name(name);
	fputs(json, stdout);
}

void out_list_begin(const char *name)
{
	out_name(name);
	putchar('[');
	out_first_item = true;
}

void out_item(kp2p_bytes b)
{
	if (!out_first_item)
		putchar(',');
	out_first_item = false;
	out_quoted(b.ptr ? b.ptr : "", b.len);
}

void out_list_end(void)
{
	putchar(']');
}

void out_end(void)
{
	fputs("}\n", stdout);
	fflush(stdout);
}

/* --- people --------------------------------------------------------------------------------------
 */

void out_line(out_style style, const char *format, ...)
{
	static const char *const codes[] = {"", "\033[32m", "\033[31m", "\033[2m", "\033[36m"};
	va_list args;
	if (out_colour)
		fputs(codes[style], stdout);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	fputs(out_colour && style != OUT_PLAIN ? "\033[0m\n" : "\n", stdout);
	fflush(stdout);
}

void out_error(const char *what, const char *why)
{
	if (!out_json) {
		bool colour = isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL;
		fprintf(stderr, "%serror: %s: %s%s\n", colour ? "\033[31m" : "", what, why,
		        colour ? "\033[0m" : "");
		return;
	}
	out_begin("error");
	out_str("what", what);
	out_str("why", why);
	out_end();
}

const char *out_id(kp2p_bytes id)
{
	static char text[256];
	bool printable = id.len > 0 && id.len < sizeof text;
	size_t n = 0;
	for (size_t i = 0; i < id.len && printable; i++)
		printable = id.ptr[i] > 0x20 && id.ptr[i] < 0x7f;
	if (printable) {
		memcpy(text, id.ptr, id.len);
		n = id.len;
	} else {
		for (size_t i = 0; i < id.len && n + 2 < sizeof text; i++, n += 2)
			snprintf(text + n, 3, "%02x", (unsigned char)id.ptr[i]);
	}
	text[n] = '\0';
	return text;
}

const char *out_short_peer(kp2p_bytes peer)
{
	static char text[4][16]; /* several may stand in one line */
	static unsigned turn;
	char *t = text[turn++ % 4];
	size_t n = peer.len < 8 ? peer.len : 8;
	if (n > 0)
		memcpy(t, peer.ptr + peer.len - n, n);
	t[n] = '\0';
	return t;
}
