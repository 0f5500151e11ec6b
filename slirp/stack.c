/* stack.c - the front of the core: frames in by ethertype, flush and deadlines out.
 *
 * What it is not: protocol logic; ARP and NDP stand in neigh.c, NC-SI in ncsi.c, IP in ip_in.c, TCP in tcp_*.c.
 * Below: neigh.h, ip_in.h, tcp_*.h.  Above: gateway/gateway.c, tests.
 */
#include "slirp/stack.h"

#include "slirp/ip_in.h"
#include "slirp/ip_out.h"
#include "slirp/ncsi.h"
#include "slirp/neigh.h"
#include "slirp/ra.h"
#include "slirp/stack_state.h"
#include "slirp/tcp_conn.h"
#include "slirp/tcp_out.h"
#include "slirp/tcp_timer.h"

#include <glib.h>

enum { STACK_V4_BITS = 96, STACK_V6_BITS = 128 }; /* an IPv4 prefix counts its bits behind ::ffff:0:0/96 */

enum { STACK_HURRY_BUDGET = 64 }; /* connections per turn whose deadline is computed anew when pressure begins */

void stack_config_init(struct stack_config *cfg)
{
	*cfg = (struct stack_config){ 0 };
#define STACK_TUNABLE_DEFAULT(name, unit, def, min, max, why) cfg->tune.name = def;
	STACK_TUNABLES(STACK_TUNABLE_DEFAULT)
#undef STACK_TUNABLE_DEFAULT
}

/* What follows from the rest unless it was given. */
static void stack_fill_defaults(struct stack_config *c)
{
	static const struct mac none;

	if (mac_eq(&c->gw_mac6, &none))
		c->gw_mac6 = c->gw_mac;
	if (addr_is_unspecified(&c->ll6)) {
		const uint8_t *m = c->gw_mac6.b;
		const uint8_t b[16] = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5] };

		c->ll6 = addr_from_v6(b);
	}
}

static uint32_t stack_tw_hash(const void *of, const struct tuple *t)
{
	return stack_hash(of, t);
}

/* RFC 3021: a prefix of 31 bits has no broadcast address. */
static struct addr stack_broadcast4(const struct prefix *net)
{
	static const uint8_t everybody[4] = { 255, 255, 255, 255 };

	if (!addr_is_v4(&net->addr) || net->len < STACK_V4_BITS || net->len > STACK_V4_BITS + 30)
		return addr_from_v4(everybody);
	return prefix_nth(net, (uint32_t)((1ull << (STACK_V6_BITS - net->len)) - 1));
}

struct stack *stack_new(const struct stack_config *cfg, struct stack_host *host, struct reason_tally *drops)
{
	struct stack *st = g_try_new0(struct stack, 1);

	if (!st)
		return NULL;
	st->cfg = *cfg;
	stack_fill_defaults(&st->cfg);
	st->host = host;
	st->drops = drops;
	st->icmp_credit = cfg->tune.icmp_burst * STACK_S;
	st->ra_next = TIMERQ_NEVER;
	st->all4 = stack_broadcast4(&cfg->net4);
	list_init(&st->touched);
	list_init(&st->stalled);
	list_init(&st->stalled_sent);
	list_init(&st->calm);
	list_init(&st->hurried);
	timerq_init(&st->timers);
	tcp_tw_init(&st->tw, (uint32_t)cfg->tune.time_wait_max, cfg->tune.time_wait, stack_tw_hash, st);
	st->timers.mem = st->tw.mem = cfg->mem;
	tcp_ooo_pool_init(&st->ooo, cfg->tune.ooo_max, cfg->tune.ooo_conn_max, cfg->mem);
	if (!ip_frag_init(&st->frag, &st->cfg, drops) || !htab_init(&st->conns)) {
		stack_free(st);
		return NULL;
	}
	st->conns.mem = st->frag.sets.mem = cfg->mem;
	return st;
}

void stack_free(struct stack *st)
{
	if (!st)
		return;
	tcp_tw_clear(&st->tw);
	tcp_ooo_pool_clear(&st->ooo);
	ip_frag_clear(&st->frag);
	htab_clear(&st->conns);
	timerq_clear(&st->timers);
	g_free(st);
}

/* The MACs that we answer ARP and NDP with: 52:55 and the IPv4 address, 52:56 and the end of the IPv6 address, when guests are learned. */
static bool stack_is_our_mac(const struct stack *st, const struct mac *m)
{
	if (mac_eq(m, &st->cfg.gw_mac) || mac_eq(m, &st->cfg.gw_mac6))
		return true;
	return st->cfg.any_guest && m->b[0] == st->cfg.gw_mac.b[0] && (m->b[1] == st->cfg.gw_mac.b[1] || m->b[1] == st->cfg.gw_mac6.b[1]);
}

/* Is this frame from a guest we know, to somebody we play? */
static enum reason stack_check_macs(const struct stack *st, const struct eth *eth)
{
	if (st->cfg.any_guest ? mac_is_group(&eth->src) || stack_is_our_mac(st, &eth->src) : !mac_eq(&eth->src, &st->cfg.guest_mac))
		return R_SPOOFED_MAC;
	if (!stack_is_our_mac(st, &eth->dst) && !mac_is_group(&eth->dst))
		return R_NOT_FOR_US;
	return R_ACCEPTED;
}

static enum reason stack_dispatch(struct stack *st, const struct frame *f, int64_t now)
{
	struct eth eth;
	enum reason r = eth_wire_parse(f->head, f->head_len, &eth);

	if (!r && eth.type == ETH_TYPE_NCSI && st->cfg.ncsi.on)
		return ncsi_in(st, f->head + ETH_HDR_LEN, f->head_len - ETH_HDR_LEN);
	if (!r)
		r = stack_check_macs(st, &eth);
	if (r)
		return r;
	switch (eth.type) {
	case ETH_TYPE_ARP:
		return neigh_arp_in(st, &eth, f->head + ETH_HDR_LEN, f->head_len - ETH_HDR_LEN);
	case ETH_TYPE_IPV4:
		return st->cfg.v4 ? ip_in(st, f, &eth, now) : R_FAMILY_OFF;
	case ETH_TYPE_IPV6:
		return st->cfg.v6 ? ip_in(st, f, &eth, now) : R_FAMILY_OFF;
	default:
		return R_ETHERTYPE;
	}
}

enum reason stack_input(struct stack *st, const struct frame *f, int64_t now)
{
	enum reason r;

	st->stats.rx_frames++;
	st->stats.rx_bytes += f->head_len + f->rest_len;
	r = stack_dispatch(st, f, now);
	if (st->ra_heard && now - st->ra_at >= st->cfg.tune.ra_refresh)
		ra_refresh(st, now);
	if (r)
		reason_count(st->drops, r);
	return r;
}

void stack_pressure(struct stack *st, bool on, int64_t now)
{
	if (on == st->pressure)
		return;
	st->pressure = on;
	if (on) {
		st->pressure_at = now;
		list_splice_tail(&st->hurried, &st->calm);
	} else {
		list_splice_tail(&st->calm, &st->hurried); /* what is cached is early now, which is legal */
	}
}

static void stack_hurry(struct stack *st)
{
	for (int i = 0; i < STACK_HURRY_BUDGET && !list_empty(&st->hurried); i++) {
		struct list *n = list_pop_head(&st->hurried);

		list_push_tail(&st->calm, n);
		tcp_timer_rekey(container_of(n, struct tcp_conn, alive));
	}
}

bool stack_neighbour(const struct stack *st, unsigned n, struct addr *addr, struct mac *mac)
{
	return guests_nth(st, n, addr, mac);
}

uint16_t stack_ip_id(struct stack *st, uint16_t set)
{
	if (set)
		st->ip_id = set;
	return st->ip_id;
}

void stack_advertise(struct stack *st)
{
	st->ra_wanted = st->cfg.v6;
}

void stack_flush(struct stack *st, int64_t now)
{
	struct list batch, *n;

	stack_hurry(st);
	if (st->ra_wanted)
		ra_refresh(st, now);
	st->ra_wanted = false;
	list_init(&batch);
	list_splice_tail(&batch, &st->touched);
	while ((n = list_pop_head(&batch)))
		tcp_out_flush(container_of(n, struct tcp_conn, touched), now);
	if (st->guests.wants)
		neigh_ask(st, &st->guests.wanted);
	st->guests.wants = false;
	st->rx.used = 0;
	ip_frag_flushed(&st->frag);
}

void stack_expire(struct stack *st, int64_t now)
{
	struct ip_frag_late late;
	struct timer *t;

	while ((t = timerq_pop(&st->timers, now)))
		tcp_timer_expire(container_of(t, struct tcp_conn, timer), now);
	while (ip_frag_expire(&st->frag, now, &late))
		ip_out_late(st, &late.ip, late.l4, now);
	ra_expire(st, now);
}

int64_t stack_deadline(const struct stack *st)
{
	int64_t conns = timerq_next(&st->timers), frags = ip_frag_deadline(&st->frag), first = conns < frags ? conns : frags;

	return first < st->ra_next ? first : st->ra_next;
}

bool stack_pending(const struct stack *st)
{
	return !list_empty(&st->touched) || !list_empty(&st->hurried);
}

void stack_link_up(struct stack *st, int64_t now)
{
	if (st->cfg.v6)
		ra_begin(st, now);
}

void stack_link_ready(struct stack *st)
{
	/* first those that got nothing, then those that did */
	list_splice_tail(&st->stalled, &st->touched);
	list_splice_tail(&st->touched, &st->stalled);
	list_splice_tail(&st->touched, &st->stalled_sent);
}

void stack_stats(const struct stack *st, struct stack_stats *ret)
{
	*ret = st->stats;
	ret->conns = htab_count(&st->conns);
}

const struct stack_config *stack_cfg(const struct stack *st)
{
	return &st->cfg;
}

struct stack_tunables *stack_tune(struct stack *st)
{
	return &st->cfg.tune;
}
