/* ra.c - router advertisements.  See ra.h. */
#include "slirp/ra.h"

#include "slirp/ip_out.h"
#include "slirp/stack_state.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/ra_wire.h"

enum {
	RA_LIFETIME = 65535, /* seconds, RFC 8319 */
	RA_HOP_LIMIT = 255,
	RA_INITIAL = 3, /* MAX_INITIAL_RTR_ADVERTISEMENTS, RFC 4861 10 */
	RA_INITIAL_S = 16, /* MAX_INITIAL_RTR_ADVERT_INTERVAL, seconds */
};

/* Bytes into the payload pieces of a slot; what does not fit is left. */
static uint32_t ra_fill(const struct tx_slot *slot, const uint8_t *p, uint32_t len)
{
	uint32_t done = 0;

	for (int i = 0; i < slot->n_pl && done < len; i++) {
		uint32_t n = len - done < slot->pl[i].iov_len ? len - done : (uint32_t)slot->pl[i].iov_len;

		memcpy(slot->pl[i].iov_base, p + done, n);
		done += n;
	}
	return done;
}

static enum reason ra_send(struct stack *st, const struct addr *to, int64_t now)
{
	const struct stack_config *cfg = &st->cfg;
	struct ra ra = { .managed = !cfg->any_guest, .other = true, .hop_limit = IP_HOP_LIMIT, .lifetime = RA_LIFETIME, .mac = cfg->gw_mac6,
			 .mtu = cfg->link.mtu, .prefix = cfg->net6, .on_link = true, .autonomous = cfg->slaac, .dns = cfg->dns6,
			 .search = cfg->search };
	struct ip ip = { .v6 = true, .src = stack_linklocal(st), .dst = *to, .proto = IP_PROTO_ICMPV6, .hop_limit = RA_HOP_LIMIT };
	struct frame_meta meta = { .l3_off = ETH_HDR_LEN, .head_len = ETH_HDR_LEN + IP6_HDR_LEN, .v6 = true };
	uint8_t msg[RA_MAX_LEN];
	uint32_t len = ip.payload_len = ra_wire_put(msg, &ra, &ip.src, &ip.dst);
	struct tx_slot slot;

	if (!ip_out_slot(st, &slot, meta.head_len, len, 0))
		return R_LINK_FULL;
	if (ra_fill(&slot, msg, len) != len)
		return R_LINK_FULL; /* the slot is abandoned */
	ip_out_head(st, slot.head, &ip);
	ip_out_put(st, &slot, &meta, len);
	st->ra_at = now;
	return R_ACCEPTED;
}

enum reason ra_refresh(struct stack *st, int64_t now)
{
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	struct addr to = addr_from_v6(all_nodes);

	return ra_send(st, &to, now);
}

void ra_begin(struct stack *st, int64_t now)
{
	st->ra_heard = true;
	st->ra_left = RA_INITIAL;
	st->ra_next = now;
}

void ra_expire(struct stack *st, int64_t now)
{
	if (now < st->ra_next)
		return;
	st->ra_next = --st->ra_left ? now + RA_INITIAL_S * STACK_S : TIMERQ_NEVER;
	ra_refresh(st, now);
}

enum reason ra_solicit_in(struct stack *st, const struct ip *ip, const uint8_t *p, uint32_t len, int64_t now)
{
	bool unknown = addr_is_unspecified(&ip->src), mac;
	enum reason r = ra_wire_solicit_parse(p, len, &mac);

	if (r)
		return r;
	if (ip->hop_limit != RA_HOP_LIMIT || (unknown && mac))
		return R_NDP_MALFORMED;
	st->ra_heard = true;
	r = unknown ? ra_refresh(st, now) : ra_send(st, &ip->src, now);
	if (!r)
		st->ra_next = TIMERQ_NEVER; /* it knows now */
	return r;
}
