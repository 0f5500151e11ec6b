/* far.c - what the network's side of each connection does, and when: dials, bytes, a slow reader, late ends, resets.
 *
 * It keeps the books and tells sim.told; who stands between, upstream calls (up.c) or sockets (gate_tcp.c), is not its affair.
 * Below: sim.h.  Above: up.c, gate_tcp.c.
 */
#include "tests/sim/sim.h"

enum {
	FAR_OFFERS = 20000,	   /* about as many pieces at most: beyond it the world takes too long */
	FAR_OFFERS_AT_ONCE = 2000, /* the same without a pause between them: beyond it it looks like a livelock */
};

void far_init(struct far *f, struct sim_conn *c, bool busy)
{
	struct sim *s = c->sim;
	static const uint32_t totals[] = { 0, 1, 500, 5000, 60000, 200000 };
	static const uint32_t caps[] = { 4096, 8000, 20000, 200000, 1 << 20 };
	static const enum reason refusals[] = { R_DIAL_REFUSED, R_DIAL_REFUSED, R_DIAL_TIMEOUT, R_NET_UNREACHABLE, R_HOST_UNREACHABLE,
						R_HOST_PROHIBITED, R_NO_DESCRIPTOR, R_NO_MEMORY, R_HOST_ERROR };

	*f = (struct far){ 0 };
	f->dial_at = f->offer_at = f->eof_at = f->reset_at = f->drain_at = SIM_NEVER;
	f->dial = sim_chance(s, 40) ? FAR_REFUSED_AT_ONCE : FAR_DIALS;
	f->refuses = sim_chance(s, 50);
	f->refusal = refusals[sim_rand(s, G_N_ELEMENTS(refusals))];
	f->dial_gap = sim_time(s, 0, sim_chance(s, 100) ? 9 * SIM_S : 50 * SIM_MS);
	f->total = sim_rand(s, totals[sim_rand(s, G_N_ELEMENTS(totals))] + 1);
	f->offer_max = sim_chance(s, 500) ? f->total + 1 : 1 + sim_rand(s, 20000);
	f->offer_gap = sim_chance(s, 500) ? 0 : 20 * SIM_MS;
	f->offer_max = MAX(f->offer_max, f->total / (f->offer_gap ? FAR_OFFERS : FAR_OFFERS_AT_ONCE));
	f->peek_max = sim_chance(s, 200) ? 200 + sim_rand(s, 5000) : 0;
	f->take_max = sim_chance(s, 100) ? 1000 + sim_rand(s, 5000) : 0;
	f->cap = caps[sim_rand(s, G_N_ELEMENTS(caps))];
	f->drain_max = sim_chance(s, 500) ? f->cap : 1 + sim_rand(s, f->cap);
	f->drain_max = MAX(f->drain_max, 400);
	f->drain_gap = sim_chance(s, 600) ? 1 : sim_time(s, 1, 100 * SIM_MS);
	f->eof_gap = sim_chance(s, 700) ? 0 : sim_time(s, 0, sim_chance(s, 50) ? (sim_chance(s, 100) ? 3 * 3600 : 200) * SIM_S : 5 * SIM_S);
	f->shy = sim_chance(s, 150) ? 1 + sim_rand(s, 300) : 0;
	f->tells_reset = sim_chance(s, 500);
	f->urges = s->gate && sim_chance(s, 100) ? 1 + sim_rand(s, 300) : 0;
	if (!busy) {
		f->take_max = f->peek_max = f->shy = 0;
		f->cap = 1 << 20;
		f->drain_max = f->cap;
		f->drain_gap = 1;
	}
}

int64_t far_next(const struct far *f)
{
	return MIN(MIN(f->dial_at, f->offer_at), MIN(MIN(f->eof_at, f->reset_at), f->drain_at));
}

static void far_on_dial(struct sim_conn *c)
{
	struct far *f = &c->far;
	struct sim *s = c->sim;

	f->dial_at = SIM_NEVER;
	if (f->refuses) {
		f->dial = FAR_REFUSED;
		s->told->refused(c);
		return;
	}
	f->dial = FAR_CONNECTED;
	s->told->connected(c);
	f->offer_at = s->now + sim_time(s, 0, f->offer_gap);
	if (sim_chance(s, 80))
		f->reset_at = s->now + sim_time(s, 0, 2 * SIM_S);
}

static void far_on_offer(struct sim_conn *c)
{
	struct far *f = &c->far;
	struct sim *s = c->sim;

	f->offer_at = SIM_NEVER;
	if (f->offered < f->total) {
		uint32_t room = f->rcv_max ? f->rcv_max - (f->offered - f->consumed) : UINT32_MAX;

		if (f->rcv_max && f->offered - f->consumed >= f->rcv_max)
			return; /* far_room() goes on */
		f->offered += MIN(room, sim_some(s, f->total - f->offered, f->offer_max));
		if (sim_chance(s, f->urges))
			f->mark = f->offered - 1;
		f->offer_at = s->now + sim_time(s, 0, f->offer_gap);
		s->told->readable(c);
	} else {
		f->eof_at = s->now + f->eof_gap;
	}
}

static void far_on_reset(struct sim_conn *c)
{
	struct far *f = &c->far;

	f->reset_at = f->eof_at = f->offer_at = SIM_NEVER;
	if (f->eof && f->shut)
		return; /* a socket that both sides have closed resets no more */
	f->failed = true;
	sim_note(c->sim, "%u far reset", c->guest.port);
	c->sim->told->failed(c);
}

static void far_on_drain(struct sim_conn *c)
{
	struct far *f = &c->far;
	struct sim *s = c->sim;

	f->drained += sim_some(s, f->written - f->drained, f->drain_max);
	f->drain_at = f->written > f->drained ? s->now + sim_time(s, 1, f->drain_gap) : SIM_NEVER;
	s->told->writable(c);
}

void far_tick(struct sim_conn *c)
{
	struct far *f = &c->far;
	int64_t now = c->sim->now;

	if (f->dial_at <= now)
		far_on_dial(c);
	if (f->offer_at <= now)
		far_on_offer(c);
	if (f->eof_at <= now) {
		f->eof_at = SIM_NEVER;
		f->eof = true;
		c->sim->told->readable(c);
	}
	if (f->drain_at <= now)
		far_on_drain(c);
	if (f->reset_at <= now)
		far_on_reset(c);
}

void far_room(struct sim_conn *c)
{
	struct far *f = &c->far;

	if (f->rcv_max && f->offer_at == SIM_NEVER && f->offered < f->total && f->dial == FAR_CONNECTED && !f->failed && !f->gone)
		f->offer_at = c->sim->now;
}

void far_over(struct far *f, enum reason why)
{
	f->gone = true;
	f->live = false;
	f->why = why;
	f->dial_at = f->offer_at = f->eof_at = f->reset_at = f->drain_at = SIM_NEVER;
}
