/* What the command prints: one JSON object a line (--json), or lines made for people. Everything
 * goes through here, so that the two forms cannot drift apart. */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <karakp2p.h>

/* Chosen once at start; colour only for people on a terminal (and NO_COLOR unset). */
void out_init(bool json);
bool out_is_json(void);

/* JSON: an object with "event" first, then members, then the line is written and flushed. */
void out_begin(const char *event);
void out_str(const char *name, const char *text);
void out_bytes(const char *name, kp2p_bytes b); /* invalid UTF-8 is replaced */
void out_base64(const char *name, kp2p_bytes b);
void out_int(const char *name, int64_t v);
void out_real(const char *name, double v);
void out_raw(const char *name, const char *json); /* already JSON */
void out_list_begin(const char *name);
void out_item(kp2p_bytes b);
void out_list_end(void);
void out_end(void);

/* For people: printf to standard output, coloured by the leading style. */
typedef enum out_style { OUT_PLAIN, OUT_GOOD, OUT_BAD, OUT_DIM, OUT_NAME } out_style;
void out_line(out_style style, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An error in whichever form is chosen: {"event":"error","what":…,"why":…} or a red line. */
void out_error(const char *what, const char *why);

/* A message id: as it is when printable ASCII, else hex. Valid until the next call. */
const char *out_id(kp2p_bytes id);
bool out_is_utf8(kp2p_bytes b);

/* For a shared piece of text in messages to people: the last 8 characters of a peer id. */
const char *out_short_peer(kp2p_bytes peer);

#endif
