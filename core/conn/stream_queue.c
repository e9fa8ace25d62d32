/* Bytes of a stream that its service cannot take now. They are packed into chunks, so that a peer
 * that sends them one by one costs us no more than the bytes and one chunk. Bounded by the yamux
 * window: what waits here gets no credit. */
#include "conn/conn_impl.h"

/* At the start of each block. */
typedef struct stream_chunk {
	kp_block *next;
	uint32_t head, tail; /* unread bytes [head, tail) of the block */
} stream_chunk;

static stream_chunk *stream_chunk_of(kp_block *b)
{
	return (stream_chunk *)(void *)kp_block_bytes(b);
}

static kp_block *stream_chunk_new(kp_stream *s, size_t n)
{
	/* A stream that only waits for its turn gets small chunks. */
	size_t least = (s->flags & KP_STREAM_WAITING) != 0 ? KP_BLOCK_SMALL : KP_BLOCK_MEDIUM;
	size_t cap = KP_MIN(KP_MAX(n + sizeof(stream_chunk), least), (size_t)KP_BLOCK_LARGE);
	kp_block *b = kp_block_new(s->c->env->pool, cap);
	if (b == NULL)
		return NULL;
	stream_chunk *chunk = stream_chunk_of(b);
	chunk->next = NULL;
	chunk->head = chunk->tail = sizeof(stream_chunk);
	if (s->rxq_tail != NULL)
		stream_chunk_of(s->rxq_tail)->next = b;
	else
		s->rxq_head = b;
	s->rxq_tail = b;
	return b;
}

size_t kp_stream_queue_put(kp_stream *s, kp_slice in)
{
	size_t before = in.n;
	while (in.n > 0) {
		kp_block *b = s->rxq_tail;
		if (b == NULL || stream_chunk_of(b)->tail == b->cap)
			b = stream_chunk_new(s, in.n);
		if (b == NULL)
			break;
		stream_chunk *chunk = stream_chunk_of(b);
		size_t n = KP_MIN((size_t)(b->cap - chunk->tail), in.n);
		memcpy(kp_block_bytes(b) + chunk->tail, kp_slice_take(&in, n).p, n);
		chunk->tail += (uint32_t)n;
	}
	s->rxq_n += (uint32_t)(before - in.n);
	return before - in.n;
}

kp_slice kp_stream_queue_head(const kp_stream *s)
{
	KP_ASSERT(s->rxq_head != NULL);
	const stream_chunk *chunk = stream_chunk_of(s->rxq_head);
	return kp_slice_of(kp_block_bytes(s->rxq_head) + chunk->head, chunk->tail - chunk->head);
}

void kp_stream_queue_skip(kp_stream *s, size_t n)
{
	kp_block *b = s->rxq_head;
	stream_chunk *chunk = stream_chunk_of(b);
	KP_ASSERT(n <= chunk->tail - chunk->head);
	chunk->head += (uint32_t)n;
	s->rxq_n -= (uint32_t)n;
	if (chunk->head < chunk->tail)
		return;
	s->rxq_head = chunk->next;
	if (s->rxq_head == NULL)
		s->rxq_tail = NULL;
	kp_block_unref(b);
}

void kp_stream_queue_clear(kp_stream *s)
{
	while (s->rxq_head != NULL)
		kp_stream_queue_skip(s, kp_stream_queue_head(s).n);
	KP_ASSERT(s->rxq_n == 0);
}
