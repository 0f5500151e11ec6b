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
static struct guests_entry *guests_oldest(struct guests_entry *e, unsigned n)
{
	struct guests_entry *oldest = e;

	for (unsigned i = 1; i < n; i++)
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
		e = guests_oldest(g->e, GUESTS_MAX);
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

/* Which place of the range an address is; -1: none. */
static int guests_place(const struct stack *st, const struct addr *a)
{
	for (unsigned i = 0; i < GUESTS_LEASES; i++) {
		struct addr nth = prefix_nth(&(struct prefix){ st->cfg.guest4, 96 }, i);

		if (addr_eq(&nth, a))
			return (int)i;
	}
	return -1;
}

struct addr guests_lease(struct stack *st, const struct mac *mac, const struct addr *asked)
{
	struct guests *g = &st->guests;
	int place = asked ? guests_place(st, asked) : -1;
	struct guests_entry *e = place < 0 ? NULL : &g->leases[place];

	if (e && e->used && !mac_eq(&e->mac, mac))
		e = NULL;
	for (unsigned i = 0; !e && i < GUESTS_LEASES; i++)
		if (g->leases[i].used && mac_eq(&g->leases[i].mac, mac))
			e = &g->leases[i];
	if (!e)
		e = guests_oldest(g->leases, GUESTS_LEASES);
	for (unsigned i = 0; i < GUESTS_LEASES; i++) /* one lease each */
		if (g->leases[i].used && mac_eq(&g->leases[i].mac, mac))
			g->leases[i].used = 0;
	*e = (struct guests_entry){ .mac = *mac, .used = ++g->clock };
	return prefix_nth(&(struct prefix){ st->cfg.guest4, 96 }, (unsigned)(e - g->leases));
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
