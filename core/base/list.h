/* An intrusive doubly linked list with a sentinel head: the queue and set of the core. */
#ifndef KP_BASE_LIST_H
#define KP_BASE_LIST_H

#include "base/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kp_list {
	struct kp_list *next, *prev;
} kp_list;

static inline void kp_list_init(kp_list *l)
{
	l->next = l->prev = l;
}

static inline bool kp_list_empty(const kp_list *l)
{
	return l->next == l;
}

/* True while the node is in a list (it must have been initialised). */
static inline bool kp_list_linked(const kp_list *node)
{
	return node->next != node;
}

static inline void kp_list_insert_before(kp_list *at, kp_list *node)
{
	KP_ASSERT(!kp_list_linked(node));
	node->prev = at->prev;
	node->next = at;
	at->prev->next = node;
	at->prev = node;
}

static inline void kp_list_push(kp_list *l, kp_list *node) /* at the tail */
{
	kp_list_insert_before(l, node);
}

static inline void kp_list_push_front(kp_list *l, kp_list *node)
{
	kp_list_insert_before(l->next, node);
}

static inline void kp_list_del(kp_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = node;
}

/* Unlinks and returns the first node of a list that has one. */
static inline kp_list *kp_list_take(kp_list *l)
{
	KP_ASSERT(!kp_list_empty(l));
	kp_list *node = l->next;
	kp_list_del(node);
	return node;
}

/* The same, NULL when empty. */
static inline kp_list *kp_list_pop(kp_list *l)
{
	return kp_list_empty(l) ? NULL : kp_list_take(l);
}

/* Safe against deletion of `it` inside the loop. */
#define KP_LIST_EACH(it, tmp, head)                                                                \
	for (kp_list *it = (head)->next, *tmp = it->next; it != (head); it = tmp, tmp = it->next)

#ifdef __cplusplus
}
#endif
#endif
