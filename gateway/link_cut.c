/* link_cut.c - frames out of a slot, in software.  See link_cut.h. */
#include "gateway/link_cut.h"

#include <string.h>

void link_cut_get(struct link_cut *c, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss)
{
	uint32_t piece = mss && mss < payload_len ? mss : payload_len, room = 0;
	uint8_t *p = c->buf;

	slot->head = p;
	slot->n_pl = 0;
	while (room < payload_len && slot->n_pl < TX_SLOT_IOV && room < LINK_CUT_PAYLOAD_MAX) {
		uint32_t len = payload_len - room < piece ? payload_len - room : piece;

		slot->pl[slot->n_pl++] = (struct iovec){ p + head_len, len };
		p += head_len + len;
		room += len;
	}
	slot->room = room;
}

static void cut_pieces(struct tx_slot *slot, const struct frame_meta *m, uint32_t used, void (*frame)(void *arg, uint8_t *p, uint32_t len),
		       void *arg)
{
	uint8_t tmpl[LINK_CUT_HEAD_MAX];
	uint32_t off = 0;

	memcpy(tmpl, slot->head, m->head_len);
	for (int i = 0; i < slot->n_pl && off < used; i++) {
		struct iovec *pl = &slot->pl[i];
		uint32_t len = used - off < pl->iov_len ? used - off : (uint32_t)pl->iov_len;
		uint8_t *head = (uint8_t *)pl->iov_base - m->head_len;

		gso_wire_piece(head, tmpl, m, off, len, used, &(struct iovec){ pl->iov_base, len }, 1);
		frame(arg, head, m->head_len + len);
		off += len;
	}
}

void link_cut_put(struct tx_slot *slot, const struct frame_meta *m, uint32_t used, void (*frame)(void *arg, uint8_t *p, uint32_t len),
		  void *arg)
{
	if (m->mss && used > m->mss) {
		cut_pieces(slot, m, used, frame, arg);
		return;
	}
	if (m->proto) /* one piece, of which less may be used than was asked for */
		gso_wire_checksum(slot->head, m, &(struct iovec){ slot->pl[0].iov_base, used }, used != 0, used);
	frame(arg, slot->head, m->head_len + used);
}
