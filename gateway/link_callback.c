/* link_callback.c - frames through a function of the application.  See link_callback.h.
 *
 * The arena holds frames back to back: those in front of `given` are in the hands of the core until the flush, those behind came meanwhile.
 */
#include "gateway/link_callback.h"

#include "gateway/link_cut.h"
#include "slirp/base/list.h"

#include <glib.h>
#include <string.h>

struct callback_frame {
	uint32_t at, len;
};

struct link_callback {
	struct link link;
	ssize_t (*send)(void *arg, const void *frame, size_t len);
	void *arg;
	struct callback_frame frames[LINK_CALLBACK_FRAMES];
	unsigned n, given;
	uint32_t used; /* bytes of the arena */
	uint8_t arena[LINK_CALLBACK_ARENA];
	struct link_cut tx;
};

static struct link_callback *callback_of(struct link *l)
{
	return container_of(l, struct link_callback, link);
}

bool link_callback_input(struct link *l, const uint8_t *frame, uint32_t len)
{
	struct link_callback *c = callback_of(l);

	if (len > LINK_CALLBACK_FRAME_MAX || c->n == LINK_CALLBACK_FRAMES || c->used + len > LINK_CALLBACK_ARENA)
		return false;
	memcpy(c->arena + c->used, frame, len);
	c->frames[c->n++] = (struct callback_frame){ c->used, len };
	c->used += (len + 63) & ~63u;
	return true;
}

static int callback_rx(struct link *l, struct stack *st, unsigned budget, int64_t now, bool *more)
{
	struct link_callback *c = callback_of(l);
	int n = 0;

	for (; c->given < c->n && (unsigned)n < budget; n++) {
		const struct callback_frame *f = &c->frames[c->given++];

		stack_input(st, &(struct frame){ .head = c->arena + f->at, .head_len = f->len }, now);
	}
	*more = c->given < c->n;
	return n;
}

static void callback_rx_done(struct link *l)
{
	struct link_callback *c = callback_of(l);
	unsigned left = c->n - c->given;
	uint32_t at = left ? c->frames[c->given].at : 0;

	if (!left) {
		c->n = c->given = c->used = 0;
		return;
	}
	memmove(c->arena, c->arena + at, c->used - at);
	c->used -= at;
	for (unsigned i = 0; i < left; i++)
		c->frames[i] = (struct callback_frame){ c->frames[c->given + i].at - at, c->frames[c->given + i].len };
	c->n = left;
	c->given = 0;
}

static bool callback_tx_get(struct link *l, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss)
{
	link_cut_get(&callback_of(l)->tx, slot, head_len, payload_len, mss);
	return true;
}

static void callback_frame_out(void *arg, uint8_t *p, uint32_t len)
{
	struct link_callback *c = arg;

	if (len < LINK_CALLBACK_FRAME_MIN) {
		memset(p + len, 0, LINK_CALLBACK_FRAME_MIN - len);
		len = LINK_CALLBACK_FRAME_MIN;
	}
	if (c->send(c->arg, p, len) < 0)
		c->link.tx_lost++;
}

static void callback_tx_put(struct link *l, struct tx_slot *slot, const struct frame_meta *m, uint32_t used)
{
	link_cut_put(slot, m, used, callback_frame_out, callback_of(l));
}

static bool callback_tx_flush(struct link *l)
{
	return false; /* every frame left with its tx_put(); never full */
}

static void callback_free(struct link *l)
{
	g_free(callback_of(l));
}

struct link *link_callback_new(uint16_t mtu, ssize_t (*send)(void *arg, const void *frame, size_t len), void *arg)
{
	static const struct link_ops ops = {
		.rx = callback_rx,
		.rx_done = callback_rx_done,
		.tx_get = callback_tx_get,
		.tx_put = callback_tx_put,
		.tx_flush = callback_tx_flush,
		.free = callback_free,
	};
	struct link_callback *c = g_try_new0(struct link_callback, 1);

	if (!c)
		return NULL;
	c->link = (struct link){ .ops = &ops, .fd = -1, .caps = { .mtu = mtu } };
	c->send = send;
	c->arg = arg;
	return &c->link;
}
