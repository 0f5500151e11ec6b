/* gather.c - the guest's own reassembly of what the gateway sends in fragments: naive, a byte map for each packet.
 *
 * Fails the script when fragments overlap, are misaligned, contradict each other or could have been one packet; what is whole goes on
 * to judge.c as one packet.
 * Below: play.h.  Above: judge.c, expect.c.  RFC 791 3.2, RFC 8200 4.5.
 */
#include "slirp/base/bytes.h"
#include "tests/scripts/play.h"

#include <string.h>

enum { GATHER_MAX = 65536 + 8 };

struct gather {
	struct addr src, dst;
	uint32_t id, total, have, pieces;
	uint8_t proto;
	bool v6;
	uint8_t l3[IP6_HDR_LEN + GATHER_MAX]; /* the header of the first fragment, then the payload */
	bool held[GATHER_MAX];
};

static struct gather *gather_find(struct play *p, const struct ip *ip)
{
	struct gather *g;

	for (GList *l = p->gathers.head; l; l = l->next) {
		g = l->data;
		if (g->v6 == ip->v6 && g->id == ip->id && g->proto == ip->proto && addr_eq(&g->src, &ip->src) && addr_eq(&g->dst, &ip->dst))
			return g;
	}
	g = g_new0(struct gather, 1);
	g->src = ip->src;
	g->dst = ip->dst;
	g->id = ip->id;
	g->proto = ip->proto;
	g->v6 = ip->v6;
	g_queue_push_tail(&p->gathers, g);
	return g;
}

/* The header of the whole packet, in the place of the first fragment's. */
static void gather_header(struct gather *g, const uint8_t *l3)
{
	memcpy(g->l3, l3, ip_wire_hdr_len(g->v6));
	if (g->v6) {
		bytes_put16(g->l3 + 4, (uint16_t)g->total);
		g->l3[6] = g->proto;
		return;
	}
	bytes_put16(g->l3 + 2, (uint16_t)(IP4_HDR_LEN + g->total));
	bytes_put32(g->l3 + 4, g->id << 16);
	bytes_put16(g->l3 + 10, 0);
	bytes_put16(g->l3 + 10, (uint16_t)~judge_sum(g->l3, IP4_HDR_LEN, 0));
}

static void gather_add(struct play *p, struct gather *g, const struct ip *ip, const uint8_t *data)
{
	uint32_t end = ip->frag_off + ip->payload_len;

	if (!ip->payload_len || (ip->more_frags && ip->payload_len % 8) || end > 65535)
		play_fail(p, "a fragment of %u bytes at %u", ip->payload_len, ip->frag_off);
	if (!ip->more_frags && g->total)
		play_fail(p, "two last fragments");
	if (!ip->more_frags)
		g->total = end;
	if (g->total && end > g->total)
		play_fail(p, "a fragment behind the last one");
	for (uint32_t i = 0; i < ip->payload_len && !p->fail; i++) {
		uint32_t at = ip->frag_off + i;

		if (g->held[at])
			play_fail(p, "fragments overlap at byte %u", at);
		g->held[at] = true;
		g->l3[ip_wire_hdr_len(g->v6) + at] = data[i];
	}
	g->have += ip->payload_len;
	g->pieces++;
}

const uint8_t *gather_fragment(struct play *p, const struct ip *ip, const uint8_t *l3, uint32_t *ret_len, uint32_t *ret_pieces)
{
	struct gather *g = gather_find(p, ip);

	if (!ip->v6 && ip->dont_fragment)
		play_fail(p, "a fragment with DF");
	gather_add(p, g, ip, l3 + ip->hdr_len);
	play_note(p, "  <- fragment %u+%u%s", ip->frag_off, ip->payload_len, ip->more_frags ? " more" : "");
	if (p->fail || g->have != g->total)
		return NULL;
	gather_header(g, l3);
	g_queue_remove(&p->gathers, g);
	g_ptr_array_add(p->gathered, g);
	*ret_len = ip_wire_hdr_len(g->v6) + g->total;
	*ret_pieces = g->pieces;
	if (*ret_len <= p->cfg.link.mtu)
		play_fail(p, "a packet of %u bytes in fragments, the MTU is %u", *ret_len, p->cfg.link.mtu);
	return g->l3;
}

uint32_t gather_forget(struct play *p)
{
	g_autofree struct gather *g = g_queue_pop_head(&p->gathers);

	return g ? g->pieces : 0;
}

void gather_clear(struct play *p)
{
	while (gather_forget(p))
		;
	g_ptr_array_unref(p->gathered);
}
