/* A reader for the JSON that the library itself makes (kp2p_node_info): walks members and elements
 * in place, no copies. Not a validator. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* A value: the text from its first to its last character. {NULL, 0} = none. */
typedef struct json {
	const char *p;
	size_t n;
} json;

json json_of(const char *text);

/* What is between the brackets of an array or object, to be walked; {NULL, 0} for anything else. */
json json_inside(json container);

/* The next element (key NULL) or member (*key: its name without quotes, escapes left as they are)
 * of what json_inside gave. False at the end. */
bool json_next(json *rest, json *key, json *value);

/* The member of an object, {NULL, 0} when it is not there. */
json json_get(json object, const char *name);

/* A string's content without its quotes; only peer ids, addresses and topics are read this way. */
json json_text(json value);

#endif
