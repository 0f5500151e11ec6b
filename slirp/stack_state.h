/* stack_state.h - the inside of struct stack, for the neighbours on this floor only.
 *
 * What it is: the tables and the lists of one core, and the few calls that stack.c offers its neighbours.
 * Below: stack.h, slirp/base.  Above: the files directly in slirp/, and nobody else.
 */
#ifndef SLIRP_STACK_STATE_H
#define SLIRP_STACK_STATE_H

#include "slirp/base/htab.h"
#include "slirp/base/list.h"
#include "slirp/base/timerq.h"
#include "slirp/guests.h"
#include "slirp/ip_frag.h"
#include "slirp/stack.h"
#include "slirp/tcp_ooo.h"
#include "slirp/tcp_rx.h"
#include "slirp/tcp_tw.h"

struct stack {
	struct stack_config cfg;
	struct stack_host *host;
	struct reason_tally *drops;
	struct stack_stats stats;

	struct addr all4;     /* the subnet's broadcast address, or 255.255.255.255 where it has none */
	struct htab conns;    /* struct tcp_conn by tuple */
	struct timerq timers; /* struct tcp_conn.timer */
	struct tcp_tw tw;
	struct list touched; /* connections that want a try at the next flush, in order of touch */
	struct list stalled; /* connections that met a full link before they could send, in order */
	struct list stalled_sent; /* those that met it after they had sent something */
	struct tcp_rx_pool rx;
	struct tcp_ooo_pool ooo;
	bool ra_heard;	 /* the guest has asked for router advertisements, or the link came up */
	uint8_t ra_left; /* initial advertisements still to be sent */
	int64_t ra_at;	 /* when the last one left */
	int64_t ra_next; /* when the next initial one leaves; TIMERQ_NEVER */
	struct guests guests;
	bool ra_wanted;	 /* somebody wants one to be sent */
	struct ip_frag frag;
	uint16_t ip_id;	     /* of the next IPv4 packet */
	uint32_t ip_frag_id; /* counts fragmented IPv6 packets */
	struct list calm, hurried; /* all synchronized connections; hurried: those whose deadline does not know of the pressure yet */
	bool pressure;		   /* stack_pressure() */
	int64_t pressure_at;	   /* when it began */
	uint32_t challenges;	   /* challenge ACKs since challenge_at */
	int64_t challenge_at;
	int64_t icmp_credit, icmp_at; /* ICMP errors that may leave, in millionths, and when that was so */
};

static inline uint32_t stack_hash(const struct stack *st, const struct tuple *t)
{
	return (uint32_t)siphash(&st->cfg.key, t, sizeof(*t));
}

/* fe80::... */
static inline struct addr stack_linklocal(const struct stack *st)
{
	return st->cfg.ll6;
}

static inline bool stack_is_ours(const struct stack *st, const struct addr *a);

/* An IPv4 address that a guest may call its own. */
static inline bool stack_is_guest4(const struct stack *st, const struct addr *a)
{
	const struct stack_config *c = &st->cfg;

	if (!c->any_guest)
		return addr_eq(a, &c->guest4);
	return addr_is_v4(a) && prefix_contains(&c->net4, a) && !addr_eq(a, &c->net4.addr) && !addr_eq(a, &st->all4) &&
	       !stack_is_ours(st, a) &&
	       !(st->host->stands_for && st->host->stands_for(st->host, a));
}

/* An IPv6 address that the guest may call its own, besides link-local ones. */
static inline bool stack_is_guest6(const struct stack *st, const struct addr *a)
{
	const struct stack_config *c = &st->cfg;

	if (!c->any_guest && addr_eq(a, &c->guest6))
		return true;
	return (c->slaac || c->any_guest) && prefix_contains(&c->net6, a) && !addr_eq(a, &c->gw6) && !addr_eq(a, &c->dns6) &&
	       !addr_eq(a, &c->net6.addr); /* the subnet-router anycast address, RFC 4291 2.6.1 */
}

/* Everybody on the guest's own link: 255.255.255.255, the subnet's broadcast address, a multicast group. */
static inline bool stack_is_group(const struct stack *st, const struct addr *a)
{
	return addr_is_multicast(a) || addr_is_broadcast4(a) || addr_eq(a, &st->all4);
}

/* Our address the guest may talk to itself: gateway or name server. */
static inline bool stack_is_ours(const struct stack *st, const struct addr *a)
{
	const struct stack_config *c = &st->cfg;

	if (addr_is_v4(a))
		return c->v4 && (addr_eq(a, &c->gw4) || addr_eq(a, &c->dns4));
	return c->v6 && (addr_eq(a, &c->gw6) || addr_eq(a, &c->dns6));
}

#endif
