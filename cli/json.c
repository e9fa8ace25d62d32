#include "json.h"

#include <string.h>

static bool json_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ',' || c == ':';
}

static void json_skip(json *j)
{
	while (j->n > 0 && json_space(*j->p)) {
		j->p++;
		j->n--;
	}
}

/* Length of the value at the front: a string, a container (by depth), or a bare word. */
static size_t json_length(json j)
{
	size_t i = 0;
	int depth = 0;
	bool quoted = false;
	for (; i < j.n; i++) {
		char c = j.p[i];
		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			if (depth == 0)
				return i; /* a bare word ended by its container */
			depth--;
		} else if (depth == 0 && json_space(c)) {
			return i;
		}
		if (!quoted && depth == 0 && (c == '"' || c == '}' || c == ']'))
			return i + 1;
	}
	return i;
}

static json json_take(json *j)
{
	json_skip(j);
	json v = {j->p, json_length(*j)};
	j->p += v.n;
	j->n -= v.n;
	return v;
}

json json_of(const char *text)
{
	json all = {text, strlen(text)};
	return json_take(&all);
}

bool json_next(json *rest, json *key, json *value)
{
	json_skip(rest);
	if (rest->n == 0)
		return false;
	if (key != NULL)
		*key = json_text(json_take(rest));
	*value = json_take(rest);
	return value->n > 0;
}

json json_inside(json container)
{
	if (container.n < 2 || (*container.p != '{' && *container.p != '['))
		return (json){NULL, 0};
	return (json){container.p + 1, container.n - 2};
}

json json_get(json object, const char *name)
{
	json rest = json_inside(object), key, value;
	while (json_next(&rest, &key, &value))
		if (key.n == strlen(name) && memcmp(key.p, name, key.n) == 0)
			return value;
	return (json){NULL, 0};
}

json json_text(json value)
{
	if (value.n < 2 || *value.p != '"')
		return value;
	return (json){value.p + 1, value.n - 2};
}
