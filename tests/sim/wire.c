/* wire.c - the link, both ways: loss, repetition, reordering, flipped bits, delay, and a queue that can be full.
 *
 * Toward the guest it cuts what the core built as a link without offload must (gso_wire), or passes super-frames on as one.  A frame
 * toward the core is handed over in pieces and turned to rubbish after the flush, as stack.h allows a link to do.
 * Below: sim.h.  Above: sim.c.
 */
#include "slirp/base/list.h"
#include "tests/sim/sim.h"

#include <string.h>

enum { WIRE_SLOT_PIECE = 3000, WIRE_PIECES = 4 };

void wire_init(struct wire *w, struct sim *s, const struct wire_faults *faults)
{
	*w = (struct wire){ .sim = s, .faults = *faults };
	g_queue_init(&w->frames);
}

void wire_clear(struct wire *w)
{
	g_queue_clear_full(&w->frames, g_free);
}

static void wire_insert(struct wire *w, struct wire_frame *f)
{
	GList *l = w->frames.tail;

	while (l && ((struct wire_frame *)l->data)->at > f->at)
		l = l->prev;
	if (l)
		g_queue_insert_after(&w->frames, l, f);
	else
		g_queue_push_head(&w->frames, f);
}

static struct wire_frame *wire_copy(const uint8_t *data, uint32_t len, uint16_t gso_size, bool offload, int64_t at)
{
	struct wire_frame *f = g_malloc(sizeof(*f) + len);

	*f = (struct wire_frame){ .at = at, .len = len, .gso_size = gso_size, .offload = offload };
	memcpy(f->data, data, len);
	return f;
}

/* Two bits of one packet can make up for each other in its checksum; so one fragment of a world is broken, and no more. */
static bool wire_is_fragment(const uint8_t *p, uint32_t len)
{
	if (len < ETH_HDR_LEN + IP6_HDR_LEN)
		return false;
	return p[12] == 0x08 ? (p[ETH_HDR_LEN + 6] & 0x3f) || p[ETH_HDR_LEN + 7] : p[ETH_HDR_LEN + 6] == IP_PROTO_FRAGMENT;
}

void wire_push(struct wire *w, const uint8_t *data, uint32_t len, uint16_t gso_size, bool offload)
{
	struct sim *s = w->sim;
	const struct wire_faults *q = &w->faults;
	int64_t at = s->now + sim_time(s, q->delay_min, q->delay_max);
	struct wire_frame *f;

	if (sim_chance(s, q->lose)) {
		w->lost++;
		return;
	}
	at = MAX(at, w->last_at);
	if (sim_chance(s, q->reorder))
		at += sim_time(s, 0, q->late_max);
	else
		w->last_at = at;
	f = wire_copy(data, len, gso_size, offload, at);
	if (!offload && sim_chance(s, q->corrupt) && !(wire_is_fragment(data, len) && w->broke_fragment++)) {
		f->data[sim_rand(s, len)] ^= (uint8_t)(1u << sim_rand(s, 8));
		w->lost++;
	}
	wire_insert(w, f);
	if (sim_chance(s, q->repeat))
		wire_insert(w, wire_copy(f->data, len, gso_size, offload, at + sim_time(s, 0, q->late_max)));
}

int64_t wire_next(const struct wire *w)
{
	const struct wire_frame *f = g_queue_peek_head((GQueue *)&w->frames);

	return f ? f->at : SIM_NEVER;
}

struct wire_frame *wire_pop(struct wire *w, int64_t now)
{
	return wire_next(w) <= now ? g_queue_pop_head(&w->frames) : NULL;
}

/* ---- the core sends */

static bool wire_tx_get(struct stack_host *h, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss)
{
	struct sim *s = container_of(h, struct sim, host);
	uint32_t step = mss && !s->cfg.link.tso4 ? mss : WIRE_SLOT_PIECE, left = payload_len;

	g_clear_pointer(&s->slot, g_free); /* abandoning a slot is legal */
	if (s->queue_max && s->to_guest.frames.length >= s->queue_max) {
		s->was_full = true;
		return false;
	}
	if (!mss && left)
		step = left;
	s->slot = g_malloc(head_len + payload_len);
	*slot = (struct tx_slot){ .head = s->slot };
	while (left && slot->n_pl < TX_SLOT_IOV) {
		uint32_t len = MIN(left, step);

		slot->pl[slot->n_pl++] = (struct iovec){ s->slot + head_len + slot->room, len };
		slot->room += len;
		left -= len;
	}
	s->slot_head = head_len;
	s->slot_room = slot->room;
	s->slot_mss = mss;
	return true;
}

static void wire_tx_put(struct stack_host *h, struct tx_slot *slot, const struct frame_meta *meta, uint32_t used)
{
	struct sim *s = container_of(h, struct sim, host);
	struct iovec pl = { s->slot + s->slot_head, used };
	uint8_t frame[65600];
	uint32_t off = 0;
	struct tcp_seg seg;

	if (!s->slot || slot->head != s->slot || used > s->slot_room || meta->head_len != s->slot_head) {
		sim_fail(s, "tx_put of a slot that is not as it was given");
		return;
	}
	if (meta->proto == IP_PROTO_TCP) {
		uint32_t l4_len = meta->head_len - meta->l4_off + used;
		struct sim_conn *c;

		if (l4_wire_tcp_parse(s->slot + meta->l4_off, l4_len, l4_len, &seg) || seg.len != used)
			sim_fail(s, "a TCP header that does not parse");
		c = sim_conn_of(s, seg.dport);
		if (c)
			guest_watch(&c->guest, &seg);
	}
	if (!meta->mss || s->cfg.link.tso4 || !meta->proto) {
		if (meta->proto)
			gso_wire_checksum(s->slot, meta, &pl, 1, used);
		wire_push(&s->to_guest, s->slot, s->slot_head + used, meta->mss, meta->mss != 0);
		off = used;
	}
	while (off < used) {
		uint32_t len = MIN(used - off, meta->mss);
		struct iovec piece = { s->slot + s->slot_head + off, len };

		memcpy(frame, s->slot, meta->head_len);
		gso_wire_piece(frame, s->slot, meta, off, len, used, &piece, 1);
		memcpy(frame + meta->head_len, piece.iov_base, len);
		wire_push(&s->to_guest, frame, meta->head_len + len, 0, false);
		off += len;
	}
	g_clear_pointer(&s->slot, g_free);
}

void wire_host_init(struct sim *s)
{
	s->host.tx_get = wire_tx_get;
	s->host.tx_put = wire_tx_put;
}

/* ---- the core receives */

enum reason wire_input(struct sim *s, struct wire_frame *f)
{
	struct iovec *rest = g_new0(struct iovec, WIRE_PIECES);
	uint32_t head = f->len > FRAME_HEAD_MAX && sim_chance(s, 500) ? FRAME_HEAD_MAX : f->len;
	struct frame frame = { .head = f->data, .head_len = head, .rest = rest, .rest_len = f->len - head,
			       .gso_size = f->gso_size, .csum_ok = f->offload };
	uint32_t at = head;

	while (at < f->len) {
		uint32_t len = f->len - at;

		if (frame.n_rest < WIRE_PIECES - 1)
			len = 1 + sim_rand(s, len);
		rest[frame.n_rest++] = (struct iovec){ f->data + at, len };
		at += len;
	}
	g_ptr_array_add(s->turn, f);
	g_ptr_array_add(s->turn, rest);
	return stack_input(s->st, &frame, s->now);
}
