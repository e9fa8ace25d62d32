/* Keys and values of the configuration: any text is taken or refused with words, and what was taken
 * is printed so that it is read back to the same. */
#include <stdlib.h>
#include <string.h>

#include "engine/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const kp_config *cfg, size_t key, const char *name)
{
	char text[1200], again_text[1200], why[300];
	kp_writer w = kp_writer_of(text, sizeof text);
	if (!kp_config_get(cfg, key, 0, &w) || strcmp(name, "identity") == 0)
		return;
	kp_config *again = kp_config_new();
	if (again == NULL)
		abort();
	if (kp_config_set(again, kp_slice_str(name), kp_slice_of(text, w.n), why, sizeof why) !=
	    KP_OK)
		abort();
	kp_writer v = kp_writer_of(again_text, sizeof again_text);
	if (!kp_config_get(again, key, 0, &v) || v.n != w.n || memcmp(text, again_text, w.n) != 0)
		abort();
	kp_config_free(again);
}

/* Lines of "key=value". A key of one byte picks from the table. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	kp_config *cfg = kp_config_new();
	kp_slice rest = kp_slice_of(data, size);
	kp_config_key k;
	size_t keys = 0;
	char text[300];
	if (cfg == NULL)
		abort();
	while (kp_config_key_at(keys, &k))
		keys++;
	while (rest.n > 0) {
		const uint8_t *end = (const uint8_t *)memchr(rest.p, '\n', rest.n);
		kp_slice line = kp_slice_take(&rest, end ? (size_t)(end - rest.p) : rest.n);
		if (end != NULL)
			kp_slice_take(&rest, 1);
		const uint8_t *eq = line.n ? (const uint8_t *)memchr(line.p, '=', line.n) : NULL;
		if (eq == NULL)
			continue;
		kp_slice key = kp_slice_take(&line, (size_t)(eq - line.p));
		kp_slice_take(&line, 1);
		size_t row = key.n == 1 ? key.p[0] % keys : keys;
		if (kp_config_key_at(row, &k))
			key = kp_slice_str(k.name);
		text[0] = 0;
		kp_err err = kp_config_set(cfg, key, line, text, sizeof text);
		if (err != KP_OK && text[0] == 0)
			abort(); /* refused without words */
		if (err == KP_OK && row < keys && k.repeatable == false)
			check_round_trip(cfg, row, k.name);
	}
	text[0] = 0;
	if (kp_config_check(cfg, text, sizeof text) != KP_OK && text[0] == 0)
		abort();
	kp_config *copy = kp_config_copy(cfg);
	kp_config_free(cfg);
	kp_config_free(copy);
	return 0;
}
