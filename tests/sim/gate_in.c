/* gate_in.c - clients of the host's side that want the guest, as publish/ brings them: connected sockets for inbound_open().
 *
 * Most guests accept, some refuse, some say nothing.  Each client hears the truth, and whoever brought it hears once how it ended.
 * Below: gate.h, far.c.  Above: gate.c.
 *
 * prefixes: in_
 */
#include "gateway/inbound.h"
#include "tests/sim/gate.h"

enum { IN_CAP_MIN = 8192 };

static void in_gone(void *arg, const struct endpoint *from, enum reason why)
{
	struct sim_conn *c = arg;
	struct endpoint client = in_client_end(c);

	sim_note(c->sim, "%u: its client's end is told as %s", c->guest.port, reason_name(why));
	if (c->in_told++ || why == R_ACCEPTED || !endpoint_eq(from, &client))
		sim_fail(c->sim, "%u: a client's end is told %u times, as %s", c->guest.port, c->in_told, reason_name(why));
	c->in_why = why;
}

/* Who comes: an address that the guest may see, or one that it may not. */
struct endpoint in_client_end(const struct sim_conn *c)
{
	uint16_t port = (uint16_t)(c->guest.port - SIM_PORT + SIM_FAR_PORT);

	if (c->in_hidden)
		return (struct endpoint){ sim_addr(c->sim->v6 ? "::1" : "127.0.0.1"), port };
	return (struct endpoint){ sim_addr(c->sim->v6 ? "2001:db8::1" : "192.0.2.1"), port };
}

static void in_open(struct gate *g, struct sim_conn *c)
{
	struct sim *s = g->s;
	struct gate_fd *f = gate_fd_new(g, GATE_TCP);
	struct far *far = &c->far;
	struct inbound_client client = { .fd = f->fd, .from = in_client_end(c), .guest = sim_guest_end(s, c->guest.port), .gone = in_gone, .arg = c };
	enum reason r;

	f->v6 = s->v6;
	f->conn = c;
	f->state = GATE_OPEN;
	far->sock = f;
	far->live = true;
	far->dial = FAR_CONNECTED;
	far->cap = MAX(far->cap, IN_CAP_MIN);
	far->drain_max = MAX(far->drain_max, IN_CAP_MIN / 4);
	far->rcv_max = f->rcvbuf / 2;
	far->offer_at = s->now + sim_time(s, 0, far->offer_gap);
	if (sim_chance(s, 80))
		far->reset_at = s->now + sim_time(s, 0, 2 * SIM_S);
	r = inbound_open(gateway_inbound(g->gw), &client);
	sim_note(s, "%u has a client: %s", c->guest.port, reason_name(r));
	if (!r)
		return;
	c->in_told++;
	c->in_why = r;
	g->begun++; /* an end is counted */
	if (!s->faults)
		sim_fail(s, "%u: a client is turned away: %s", c->guest.port, reason_name(r));
}

int64_t in_next(const struct gate *g)
{
	int64_t at = SIM_NEVER;

	for (int i = 0; i < g->s->n; i++)
		at = MIN(at, g->s->conn[i].in_at);
	return at;
}

void in_tick(struct gate *g)
{
	for (int i = 0; i < g->s->n && !g->over; i++) {
		struct sim_conn *c = &g->s->conn[i];

		if (c->in_at > g->s->now)
			continue;
		c->in_at = SIM_NEVER;
		in_open(g, c);
	}
}

/* Did it end as this guest ends it? */
static bool in_ended_well(const struct sim *s, const struct sim_conn *c)
{
	bool silence = s->lossy || s->to_guest.lost || s->to_core.lost || s->leapt || s->queue_max || c->guest.greets == GUEST_SAYS_NOTHING;

	switch (c->in_why) {
	case R_GUEST_REFUSED:
		return c->guest.greets == GUEST_REFUSES || c->guest.abort_at <= s->now;
	case R_CONNECT_TIMEOUT:
		return silence;
	case R_HOST_RESET:
		return c->far.failed;
	case R_GUEST_RESET:
		return c->guest.abort_at <= s->now;
	case R_CLOSED:
		return !c->far.aborted && c->guest.greets == GUEST_ACCEPTS;
	case R_GUEST_SILENT:
	case R_HALF_CLOSE_TIMEOUT:
		return c->far.aborted; /* world.c knows whether it may be */
	default:
		return s->faults;
	}
}

void in_judge(struct gate *g)
{
	struct sim *s = g->s;

	for (int i = 0; i < s->n; i++) {
		struct sim_conn *c = &s->conn[i];

		if (!c->guest.passive)
			continue;
		if (c->in_told != 1)
			sim_fail(s, "%u: its client's end was told %u times", c->guest.port, c->in_told);
		else if (!in_ended_well(s, c))
			sim_fail(s, "%u: its client's end was told as %s, the guest %s", c->guest.port, reason_name(c->in_why),
				 c->guest.greets == GUEST_ACCEPTS ? "accepts" : c->guest.greets == GUEST_REFUSES ? "refuses" : "says nothing");
		else if (c->in_why != R_CLOSED && !c->far.aborted && !c->far.failed)
			sim_fail(s, "%u: ended as %s and the client saw a clean end", c->guest.port, reason_name(c->in_why));
	}
}
