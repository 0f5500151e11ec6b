/* gate_pack.c - the guest's IP: packets out, cut where they are larger than the MTU, sometimes in disorder or with fragments that
 * contradict each other; fragments in, put together again.
 *
 * Below: gate.h, wire.c.  Above: gate_talk.c.  RFC 791, RFC 8200 4.5, RFC 5722.
 *
 * prefixes: pack_
 */
#include "tests/sim/gate.h"

#include <string.h>

enum {
	PACK_SETS = 16,
	PACK_UNITS = 8192, /* of 8 bytes */
};

struct pack {
	struct addr src;
	uint32_t id, have, total; /* bytes; total 0: not known */
	bool unit[PACK_UNITS];
	uint8_t data[PACK_UNITS * 8];
};

/* ---- out */

static void pack_frame(struct gate *g, const struct ip *ip, const uint8_t *payload)
{
	static uint8_t frame[ETH_HDR_LEN + IP6_HDR_LEN + IP6_FRAG_LEN + 65536];
	const struct sim *s = g->s;
	struct eth eth = { s->cfg.gw_mac, s->cfg.guest_mac, ip->v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4 };
	uint32_t head = ETH_HDR_LEN + ip_wire_hdr_len(ip->v6) + (ip->v6 && ip->is_fragment ? IP6_FRAG_LEN : 0);

	eth_wire_put(frame, &eth);
	ip_wire_put(frame + ETH_HDR_LEN, ip);
	memcpy(frame + head, payload, ip->payload_len);
	wire_push(&g->s->to_core, frame, head + ip->payload_len, 0, false);
}

/* One fragment; `alters`: with other bytes than the packet has there. */
static void pack_piece(struct gate *g, const struct ip *whole, const uint8_t *l4, uint32_t at, uint32_t len, bool alters)
{
	static uint8_t copy[65536];
	struct ip ip = *whole;

	memcpy(copy, l4 + at, len);
	if (alters)
		copy[len - 1] ^= 0x55;
	ip.is_fragment = true;
	ip.frag_off = (uint16_t)at;
	ip.more_frags = at + len < whole->payload_len;
	ip.payload_len = len;
	pack_frame(g, &ip, copy);
}

void pack_send(struct gate *g, struct ip *ip, const uint8_t *l4, uint32_t mtu, bool overlap)
{
	uint32_t most = (mtu - ip_wire_hdr_len(ip->v6) - IP6_FRAG_LEN) & ~7u, n = (ip->payload_len + most - 1) / most;
	bool backwards = sim_chance(g->s, 300);

	ip->id = sim_rand(g->s, UINT32_MAX);
	if (!ip->v6)
		ip->id &= 0xffff;
	if (ip->payload_len + ip_wire_hdr_len(ip->v6) <= mtu) {
		pack_frame(g, ip, l4);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = (backwards ? n - 1 - i : i) * most;

		pack_piece(g, ip, l4, at, MIN(most, ip->payload_len - at), false);
		if (overlap && !i)
			pack_piece(g, ip, l4, at, MIN(most, ip->payload_len - at), true);
	}
}

/* ---- in */

static struct pack *pack_find(struct gate *g, const struct ip *ip)
{
	struct pack *p;

	for (GList *l = g->parts.head; l; l = l->next) {
		p = l->data;
		if (p->id == ip->id && addr_eq(&p->src, &ip->src))
			return p;
	}
	if (g->parts.length == PACK_SETS)
		g_free(g_queue_pop_head(&g->parts));
	p = g_new0(struct pack, 1);
	p->id = ip->id;
	p->src = ip->src;
	g_queue_push_tail(&g->parts, p);
	return p;
}

const uint8_t *pack_gather(struct gate *g, const struct ip *ip, const uint8_t *l4, uint32_t *ret_len)
{
	static uint8_t whole[PACK_UNITS * 8];
	struct pack *p = pack_find(g, ip);
	uint32_t units = (ip->payload_len + 7) / 8, first = ip->frag_off / 8;

	if (first + units > PACK_UNITS || (ip->more_frags && ip->payload_len % 8)) {
		sim_fail(g->s, "a fragment of %u bytes at %u", ip->payload_len, ip->frag_off);
		return NULL;
	}
	memcpy(p->data + ip->frag_off, l4, ip->payload_len);
	for (uint32_t i = 0; i < units; i++) {
		if (!p->unit[first + i])
			p->have += MIN(8, ip->payload_len - 8 * i);
		p->unit[first + i] = true;
	}
	if (!ip->more_frags)
		p->total = ip->frag_off + ip->payload_len;
	if (!p->total || p->have < p->total)
		return NULL;
	memcpy(whole, p->data, p->total);
	*ret_len = p->total;
	g_queue_remove(&g->parts, p);
	g_free(p);
	return whole;
}

void pack_clear(struct gate *g)
{
	g_queue_clear_full(&g->parts, g_free);
}
