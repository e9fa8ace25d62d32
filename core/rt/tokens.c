/* Linear probing with deletion by shifting back, so there are no tombstones to clean up. */
#include "rt/tokens.h"

#define TOKENS_FIRST 64u

void kp_rt_tokens_init(kp_rt_tokens *t, kp_mem *mem)
{
	memset(t, 0, sizeof *t);
	t->mem = mem;
}

void kp_rt_tokens_fini(kp_rt_tokens *t)
{
	kp_mem_free(t->mem, t->slots);
	t->slots = NULL;
	t->n = t->cap = 0;
}

static uint32_t token_home(int64_t token, uint32_t cap)
{
	uint64_t x = (uint64_t)token * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(x >> 32) & (cap - 1);
}

/* The place of the token, or the empty place where it would go. cap > 0. */
static uint32_t token_find(const kp_rt_tokens *t, int64_t token)
{
	uint32_t i = token_home(token, t->cap);
	while (t->slots[i].token != 0 && t->slots[i].token != token)
		i = (i + 1) & (t->cap - 1);
	return i;
}

static kp_err tokens_resize(kp_rt_tokens *t, uint32_t cap)
{
	kp_rt_token *slots = (kp_rt_token *)kp_mem_alloc(t->mem, cap * sizeof *slots);
	if (slots == NULL)
		return KP_E_NOMEM;
	kp_rt_tokens old = *t;
	t->slots = slots;
	t->cap = cap;
	for (uint32_t i = 0; i < old.cap; i++) {
		if (old.slots[i].token != 0)
			t->slots[token_find(t, old.slots[i].token)] = old.slots[i];
	}
	kp_mem_free(t->mem, old.slots);
	return KP_OK;
}

kp_err kp_rt_tokens_put(kp_rt_tokens *t, int64_t token, uint64_t value)
{
	KP_ASSERT(token != 0);
	if (t->n + 1 > t->cap / 2) {
		kp_err r = tokens_resize(t, t->cap == 0 ? TOKENS_FIRST : t->cap * 2);
		if (r != KP_OK)
			return r;
	}
	uint32_t i = token_find(t, token);
	if (t->slots[i].token == token)
		return KP_E_DUPLICATE;
	t->slots[i].token = token;
	t->slots[i].value = value;
	t->n++;
	return KP_OK;
}

bool kp_rt_tokens_get(const kp_rt_tokens *t, int64_t token, uint64_t *value)
{
	if (t->cap == 0 || token == 0)
		return false;
	uint32_t i = token_find(t, token);
	if (t->slots[i].token != token)
		return false;
	*value = t->slots[i].value;
	return true;
}

/* Empties place i and moves later members of its run back, so that every probe still succeeds. */
static void token_erase(kp_rt_tokens *t, uint32_t i)
{
	uint32_t mask = t->cap - 1;
	uint32_t hole = i;
	for (uint32_t j = (i + 1) & mask; t->slots[j].token != 0; j = (j + 1) & mask) {
		uint32_t home = token_home(t->slots[j].token, t->cap);
		if (((j - home) & mask) >= ((j - hole) & mask)) {
			t->slots[hole] = t->slots[j];
			hole = j;
		}
	}
	t->slots[hole].token = 0;
	t->n--;
}

bool kp_rt_tokens_del(kp_rt_tokens *t, int64_t token, uint64_t *value)
{
	if (t->cap == 0 || token == 0)
		return false;
	uint32_t i = token_find(t, token);
	if (t->slots[i].token != token)
		return false;
	if (value != NULL)
		*value = t->slots[i].value;
	token_erase(t, i);
	if (t->n == 0 && t->cap > TOKENS_FIRST)
		kp_rt_tokens_fini(t); /* after a burst: give the memory back */
	return true;
}

uint32_t kp_rt_tokens_expire(kp_rt_tokens *t, uint64_t below)
{
	uint32_t gone = 0;
	for (uint32_t i = 0; i < t->cap;) {
		if (t->slots[i].token != 0 && t->slots[i].value < below) {
			token_erase(t, i); /* another may have moved to place i */
			gone++;
		} else {
			i++;
		}
	}
	return gone;
}
