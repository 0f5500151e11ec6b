/* guests.c - learned neighbours and leases.  See guests.h. */
#include "slirp/guests.h"

#include "slirp/stack_state.h"

static struct guests_entry *guests_find(struct guests *g, const struct addr *addr, unsigned *hit)
{
	if (g->e[*hit].used && addr_eq(&g->e[*hit].addr, addr))
		return &g->e[*hit];
	for (unsigned i = 0; i < GUESTS_MAX; i++) {
		if (g->e[i].used && addr_eq(&g->e[i].addr, addr)) {
			*hit = i;
			return &g->e[i];
		}
	}
	return NULL;
}

/* A free one, or the least recently used. */
static struct guests_entry *guests_oldest(struct guests *g)
{
	struct guests_entry *e = g->e, *oldest = e;

	for (unsigned i = 1; i < GUESTS_MAX; i++)
		if (e[i].used < oldest->used)
			oldest = &e[i];
	return oldest;
}

void guests_seen(struct stack *st, const struct addr *addr, const struct mac *mac)
{
	struct guests *g = &st->guests;
	struct guests_entry *e;

	if (!st->cfg.any_guest || mac_is_group(mac))
		return;
	e = guests_find(g, addr, &g->in);
	if (!e)
		e = guests_oldest(g);
	*e = (struct guests_entry){ .addr = *addr, .mac = *mac, .used = ++g->clock };
	if (g->wants && addr_eq(&g->wanted, addr))
		g->wants = false;
}

struct mac guests_mac(struct stack *st, const struct addr *addr)
{
	static const struct mac everybody = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	struct guests *g = &st->guests;
	struct guests_entry *e;

	if (!st->cfg.any_guest)
		return st->cfg.guest_mac;
	if (addr_is_v4(addr) && addr_is_broadcast4(addr))
		return everybody;
	if (!addr_is_v4(addr) && addr_is_multicast(addr)) /* RFC 2464 7 */
		return (struct mac){ { 0x33, 0x33, addr->b[12], addr->b[13], addr->b[14], addr->b[15] } };
	e = guests_find(g, addr, &g->out);
	if (e) {
		e->used = ++g->clock;
		return e->mac;
	}
	g->wanted = *addr;
	g->wants = true;
	return everybody;
}

static struct addr guests_lease_addr(const struct stack *st, unsigned place)
{
	return prefix_nth(&(struct prefix){ st->cfg.guest4, 96 }, place);
}

/* A place whose address is the gateway's, a service's, the subnet's own or outside of it is nobody's.  The first one is what was asked for. */
static bool guests_lease_may(const struct stack *st, unsigned place)
{
	struct addr a = guests_lease_addr(st, place);

	return !place || stack_is_guest4(st, &a);
}

/* The place of the range that an address is; NULL: none. */
static struct guests_entry *guests_lease_at(struct stack *st, const struct addr *a)
{
	for (unsigned i = 0; a && i < GUESTS_LEASES; i++) {
		struct addr nth = guests_lease_addr(st, i);

		if (addr_eq(&nth, a))
			return guests_lease_may(st, i) ? &st->guests.leases[i] : NULL;
	}
	return NULL;
}

static struct guests_entry *guests_lease_oldest(struct stack *st)
{
	struct guests_entry *e = st->guests.leases, *oldest = e;

	for (unsigned i = 1; i < GUESTS_LEASES; i++)
		if (e[i].used < oldest->used && guests_lease_may(st, i))
			oldest = &e[i];
	return oldest;
}

struct addr guests_lease(struct stack *st, const struct mac *mac, const struct addr *asked)
{
	struct guests *g = &st->guests;
	struct guests_entry *e = guests_lease_at(st, asked);

	if (e && e->used && !mac_eq(&e->mac, mac))
		e = NULL;
	for (unsigned i = 0; !e && i < GUESTS_LEASES; i++)
		if (g->leases[i].used && mac_eq(&g->leases[i].mac, mac) && guests_lease_may(st, i))
			e = &g->leases[i];
	if (!e)
		e = guests_lease_oldest(st);
	for (unsigned i = 0; i < GUESTS_LEASES; i++) /* one lease each */
		if (g->leases[i].used && mac_eq(&g->leases[i].mac, mac))
			g->leases[i].used = 0;
	*e = (struct guests_entry){ .mac = *mac, .used = ++g->clock };
	return guests_lease_addr(st, (unsigned)(e - g->leases));
}

bool guests_lease_get(const struct stack *st, unsigned n, struct mac *ret)
{
	const struct guests_entry *e = &st->guests.leases[n];

	if (e->used)
		*ret = e->mac;
	return e->used;
}

void guests_lease_put(struct stack *st, unsigned n, const struct mac *mac)
{
	st->guests.leases[n] = mac ? (struct guests_entry){ .mac = *mac, .used = ++st->guests.clock } : (struct guests_entry){ .used = 0 };
}

bool guests_nth(const struct stack *st, unsigned n, struct addr *addr, struct mac *mac)
{
	for (unsigned i = 0; i < GUESTS_MAX; i++) {
		if (!st->guests.e[i].used || n--)
			continue;
		*addr = st->guests.e[i].addr;
		*mac = st->guests.e[i].mac;
		return true;
	}
	return false;
}
