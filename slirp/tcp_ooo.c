/* tcp_ooo.c - the store of payload that cannot be written yet.  See tcp_ooo.h.  RFC 9293 3.10.7.4 (SHLD-31), RFC 2018. */
#include "slirp/tcp_ooo.h"

#include "slirp/tcp_seq.h"

#include <glib.h>
#include <string.h>

/* ------------------------------------------------------------------ blocks */

void tcp_ooo_pool_init(struct tcp_ooo_pool *p, int64_t max_bytes, int64_t conn_max_bytes, struct mem *mem)
{
	*p = (struct tcp_ooo_pool){ .max = (uint32_t)(max_bytes / TCP_OOO_BLOCK), .conn_max = (uint32_t)(conn_max_bytes / TCP_OOO_BLOCK),
				    .mem = mem };
}

void tcp_ooo_pool_clear(struct tcp_ooo_pool *p)
{
	struct tcp_ooo_block *b;

	while ((b = p->spare)) {
		p->spare = b->next;
		g_free(b);
	}
	p->n_spare = 0;
}

static struct tcp_ooo_block *ooo_new(struct tcp_ooo *o, struct tcp_ooo_pool *p)
{
	struct tcp_ooo_block *b = p->spare;

	if (p->used >= p->max || o->used >= p->conn_max)
		return NULL;
	if (b) {
		p->spare = b->next;
		p->n_spare--;
	} else {
		b = mem_new(p->mem, sizeof(*b));
		if (!b)
			return NULL;
	}
	p->used++;
	o->used++;
	b->len = b->off = 0;
	return b;
}

static void ooo_free(struct tcp_ooo *o, struct tcp_ooo_pool *p, struct tcp_ooo_block *b)
{
	p->used--;
	o->used--;
	if (p->n_spare == TCP_OOO_SPARE) {
		g_free(b);
		return;
	}
	b->next = p->spare;
	p->spare = b;
	p->n_spare++;
}

static uint32_t ooo_end(const struct tcp_ooo_block *b)
{
	return b->seq + b->len;
}

/* The last block that begins at or before seq; NULL: none does. */
static struct tcp_ooo_block *ooo_before(const struct tcp_ooo *o, uint32_t seq)
{
	struct tcp_ooo_block *b, *found = NULL;

	if (o->tail && seq_le(o->tail->seq, seq))
		return o->tail;
	for (b = o->head; b && seq_le(b->seq, seq); b = b->next)
		found = b;
	return found;
}

/* A new block behind prev (NULL: in front of all). */
static struct tcp_ooo_block *ooo_insert(struct tcp_ooo *o, struct tcp_ooo_pool *p, struct tcp_ooo_block *prev, uint32_t seq)
{
	struct tcp_ooo_block *b = ooo_new(o, p);

	if (!b)
		return NULL;
	b->seq = seq;
	b->next = prev ? prev->next : o->head;
	*(prev ? &prev->next : &o->head) = b;
	if (!b->next)
		o->tail = b;
	return b;
}

/* ------------------------------------------------------------------ adding */

bool tcp_ooo_add(struct tcp_ooo *o, struct tcp_ooo_pool *p, uint32_t seq, const void *data, uint32_t len)
{
	uint32_t at = seq, end = seq + len, limit, n;
	struct tcp_ooo_block *b = ooo_before(o, seq), *next;

	while (seq_lt(at, end)) {
		next = b ? b->next : o->head;
		if (b && seq_lt(at, ooo_end(b))) {
			at = seq_min(end, ooo_end(b)); /* held already */
			continue;
		}
		if (next && seq_le(next->seq, at)) {
			b = next;
			continue;
		}
		if (!b || ooo_end(b) != at || b->off + b->len == TCP_OOO_DATA)
			b = ooo_insert(o, p, b, at);
		if (!b)
			return false;
		limit = next ? seq_min(end, next->seq) : end;
		n = MIN(limit - at, TCP_OOO_DATA - b->off - b->len);
		memcpy(b->data + b->off + b->len, (const uint8_t *)data + (at - seq), n);
		b->len += n;
		at += n;
	}
	return true;
}

/* ------------------------------------------------------------------ forgetting */

void tcp_ooo_drop(struct tcp_ooo *o, struct tcp_ooo_pool *p, uint32_t seq)
{
	struct tcp_ooo_block *b;

	while ((b = o->head) && seq_lt(b->seq, seq)) {
		if (seq_lt(seq, ooo_end(b))) {
			b->off += seq - b->seq;
			b->len -= seq - b->seq;
			b->seq = seq;
			return;
		}
		o->head = b->next;
		ooo_free(o, p, b);
	}
	if (!o->head)
		*o = (struct tcp_ooo){ 0 };
}

void tcp_ooo_cut(struct tcp_ooo *o, struct tcp_ooo_pool *p, uint32_t seq)
{
	struct tcp_ooo_block *b = o->head, *next;

	o->head = o->tail = NULL;
	for (; b; b = next) {
		next = b->next;
		if (seq_le(seq, b->seq)) {
			ooo_free(o, p, b);
			continue;
		}
		if (seq_lt(seq, ooo_end(b)))
			b->len = seq - b->seq;
		b->next = NULL;
		*(o->tail ? &o->tail->next : &o->head) = b;
		o->tail = b;
	}
	if (!o->head)
		*o = (struct tcp_ooo){ 0 };
}

void tcp_ooo_clear(struct tcp_ooo *o, struct tcp_ooo_pool *p)
{
	if (o->head)
		tcp_ooo_cut(o, p, o->head->seq);
}

/* ------------------------------------------------------------------ asking */

int tcp_ooo_ready(const struct tcp_ooo *o, uint32_t seq, struct iovec *iov, int max, uint32_t *ret_len)
{
	const struct tcp_ooo_block *b = o->head ? ooo_before(o, seq) : NULL;
	uint32_t at = seq;
	int n = 0;

	for (; b && n < max && seq_le(b->seq, at) && seq_lt(at, ooo_end(b)); b = b->next) {
		uint32_t skip = at - b->seq;

		iov[n++] = (struct iovec){ (void *)(b->data + b->off + skip), b->len - skip };
		at = ooo_end(b);
	}
	*ret_len = at - seq;
	return n;
}

/* The range without gaps that holds seq.  False: it is not held. */
static bool ooo_range(const struct tcp_ooo *o, uint32_t seq, struct tcp_range *ret)
{
	const struct tcp_ooo_block *b;

	*ret = (struct tcp_range){ 0, 0 };
	for (b = o->head; b; b = b->next) {
		if (b == o->head || b->seq != ret->end) {
			if (b != o->head && seq_lt(seq, ret->end))
				break;
			ret->start = b->seq;
		}
		ret->end = ooo_end(b);
	}
	return o->head && seq_le(ret->start, seq) && seq_lt(seq, ret->end);
}

void tcp_ooo_news(struct tcp_ooo *o, uint32_t seq)
{
	uint32_t keep[TCP_SACK_MAX] = { seq };
	struct tcp_range r;
	uint8_t n = 1;

	if (!ooo_range(o, seq, &r))
		return;
	for (int i = 0; i < o->n_recent && n < TCP_SACK_MAX; i++)
		if (seq_lt(o->recent[i], r.start) || seq_le(r.end, o->recent[i]))
			keep[n++] = o->recent[i];
	memcpy(o->recent, keep, sizeof(keep));
	o->n_recent = n;
}

int tcp_ooo_ranges(const struct tcp_ooo *o, uint32_t above, struct tcp_range *ret, int max)
{
	int n = 0;

	for (int i = 0; i < o->n_recent && n < max; i++)
		if (ooo_range(o, o->recent[i], &ret[n]) && seq_lt(above, ret[n].start))
			n++;
	return n;
}
