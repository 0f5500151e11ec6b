/* gate.c - the whole gateway in virtual time:  build/tests/sim/gatesim [-v] SEED [COUNT], see runner.c.
 *
 * Half of the worlds drive the loop as an application does (loop_due(), loop_run()), half let GLib host it, whose poll() is gate_wait().
 * A world ends well when what sim.c asks for holds, and besides: every descriptor was closed, every flow was counted with a reason, no
 * datagram was altered or came to somebody else, and the tables emptied by themselves.
 * Below: gate.h.  Above: tests/meson.build.
 *
 * prefixes: gate_
 */
#include "tests/sim/gate.h"

#include <errno.h>
#include <string.h>

enum {
	GATE_WAITS = 400000, /* calls in one world */
	GATE_SPINS = 20000,  /* at one moment */
};

static const int64_t GATE_HOURS = 24ll * 3600 * SIM_S;

/* ---- the link */

static struct gate *gate_of(struct link *l)
{
	return container_of(l, struct gate, link);
}

static int gate_link_rx(struct link *l, struct stack *st, unsigned budget, int64_t now, bool *more)
{
	struct gate *g = gate_of(l);
	struct wire_frame *f;
	unsigned n = 0;

	if (g->link_gone)
		return -ENODEV;
	g->s->st = st;
	while (n < budget && n < g->s->batch_max && (f = wire_pop(&g->s->to_core, now))) {
		enum reason r = wire_input(g->s, f);

		sim_note(g->s, "core takes %u bytes: %s", f->len, reason_name(r));
		n++;
	}
	*more = wire_next(&g->s->to_core) <= now;
	return (int)n;
}

static void gate_link_rx_done(struct link *l)
{
	struct sim *s = gate_of(l)->s;

	for (guint i = 0; i < s->turn->len; i++)
		g_free(s->turn->pdata[i]);
	g_ptr_array_set_size(s->turn, 0);
}

static bool gate_link_tx_get(struct link *l, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss)
{
	struct sim *s = gate_of(l)->s;

	return s->host.tx_get(&s->host, slot, head_len, payload_len, mss);
}

static void gate_link_tx_put(struct link *l, struct tx_slot *slot, const struct frame_meta *meta, uint32_t used)
{
	struct sim *s = gate_of(l)->s;

	s->host.tx_put(&s->host, slot, meta, used);
}

static bool gate_link_tx_flush(struct link *l)
{
	struct sim *s = gate_of(l)->s;

	if (!s->was_full || s->to_guest.frames.length >= s->queue_max)
		return false;
	s->was_full = false;
	return true;
}

static void gate_link_free(struct link *l)
{
	gate_link_rx_done(l);
	gate_fd_free(gate_of(l)->link_fd);
}

static const struct link_ops gate_link_ops = {
	.rx = gate_link_rx,
	.rx_done = gate_link_rx_done,
	.tx_get = gate_link_tx_get,
	.tx_put = gate_link_tx_put,
	.tx_flush = gate_link_tx_flush,
	.free = gate_link_free,
};

static void gate_on_link_gone(void *arg, int err)
{
	struct gate *g = arg;

	if (!g->link_gone || err != ENODEV)
		sim_fail(g->s, "the link is said to be gone (%d) and is not", err);
	g->over = true;
}

/* ---- time */

/* Everybody but the gateway does what is due. */
static void gate_events(struct gate *g)
{
	struct sim *s = g->s;
	struct wire_frame *f;

	world_tick(s);
	talk_tick(g);
	conf_tick(g);
	gate_net_tick(g);
	while (!s->fail && (f = wire_pop(&s->to_guest, s->now))) {
		if (!world_to_guest(s, f) && !s->to_guest.faults.corrupt)
			sim_fail(s, "a frame of %u bytes that no guest would take", f->len);
		g_free(f);
	}
	g->link_gone |= g->link_dies_at <= s->now;
	if (gate_poll(g->link_fd))
		gate_wake(g->link_fd, EPOLLIN);
}

static bool gate_done(struct gate *g)
{
	struct gateway_stats st;

	if (g->over || g->s->fail)
		return true;
	if (g->ends_at <= g->s->now)
		return true;
	if (in_next(g) != SIM_NEVER || !world_conns_done(g->s) || !talk_done(g) || !conf_done(g) || gate_net_next(g) != SIM_NEVER || g->open)
		return false;
	gateway_stats(g->gw, &st);
	return !st.flows_now && !st.half_open_now && !st.udp_sessions_now && !st.udp_sockets_now;
}

static int64_t gate_next(const struct gate *g)
{
	const struct sim *s = g->s;
	int64_t at = MIN(MIN(wire_next(&s->to_guest), wire_next(&s->to_core)), MIN(world_next(s), MIN(talk_next(g), conf_next(g))));

	return MIN(MIN(at, gate_net_next(g)), MIN(g->ends_at, g->link_dies_at > s->now ? g->link_dies_at : SIM_NEVER));
}

/* Until the set has something or the clock says `until`.  False: nobody will ever do anything. */
static bool gate_pass(struct gate *g, struct gate_fd *set, int64_t until)
{
	struct sim *s = g->s;

	for (;;) {
		int64_t at;

		gate_events(g);
		if (gate_set_ready(set) || until <= s->now || gate_done(g))
			return true;
		at = MIN(gate_next(g), until);
		if (at == SIM_NEVER || at - s->started > GATE_HOURS)
			return sim_fail(s, "nothing goes on%s", at == SIM_NEVER ? ": no event is left" : " for hours");
		world_step_to(s, at);
	}
}

void gate_wait(struct gate *g, struct gate_fd *set, int timeout)
{
	struct sim *s = g->s;

	g->idle_waits = g->wait_at == s->now ? g->idle_waits + 1 : 0;
	g->wait_at = s->now;
	if (g->idle_waits > GATE_SPINS || ++g->waits > GATE_WAITS)
		sim_fail(s, "livelock: %" G_GUINT64_FORMAT " waits, %u at one moment", g->waits, g->idle_waits);
	if (s->fail || g->over) {
		s->now += SIM_S; /* whoever waits for time to move shall not wait for ever */
		return;
	}
	if (timeout)
		gate_pass(g, set, MIN(in_next(g), timeout < 0 ? SIM_NEVER : s->now + timeout * 1000ll));
	else
		gate_events(g);
}

/* GLib's poll(). */
static gint gate_poll_glib(GPollFD *fds, guint n, gint timeout)
{
	gint ready = 0;

	gate_wait(gate_now, gate_now->set, timeout);
	for (guint i = 0; i < n; i++) {
		fds[i].revents = fds[i].fd == gate_now->set->fd && gate_set_ready(gate_now->set) ? G_IO_IN : 0;
		ready += fds[i].revents != 0;
	}
	return ready;
}

static void gate_play(struct gate *g)
{
	while (!gate_done(g)) {
		in_tick(g);
		if (!g->loop) {
			g_main_context_iteration(g->ctx, TRUE);
			continue;
		}
		if (gate_set_ready(g->set) || loop_due(g->loop) <= g->s->now) {
			loop_run(g->loop);
			gate_wait(g, g->set, 0);
		} else if (!gate_pass(g, g->set, MIN(in_next(g), loop_due(g->loop)))) {
			break;
		}
	}
}

/* ---- making and judging */

static int64_t gate_clock(void *arg)
{
	return ((struct gate *)arg)->s->now;
}

static void gate_character(struct gate *g)
{
	struct sim *s = g->s;

	g->emfile = sim_chance(s, 100) ? 1 + sim_rand(s, 200) : 0;
	g->enobufs = sim_chance(s, 100) ? 1 + sim_rand(s, 100) : 0;
	g->eagain = sim_chance(s, 100) ? 1 + sim_rand(s, 200) : 0;
	g->enomem = sim_chance(s, 100) ? 1 + sim_rand(s, 100) : 0;
	g->no_peek_off = sim_chance(s, 250);
	g->link_dies_at = sim_chance(s, 30) ? s->now + sim_time(s, 0, 2 * SIM_S) : SIM_NEVER;
	g->ends_at = sim_chance(s, 30) ? s->now + sim_time(s, 0, 2 * SIM_S) : SIM_NEVER;
}

/* Few places: some flows do not begin, or give way to others, as where the environment is short of something. */
static void gate_caps(struct gate *g, struct gateway_config *cfg)
{
	if (!sim_chance(g->s, 80))
		return;
	g->s->faults++;
	cfg->tune.tcp_flows_max = 1 + sim_rand(g->s, 8);
	cfg->tune.tcp_half_open_max = 1 + sim_rand(g->s, 4);
	cfg->tune.tcp_half_open_dest = 1 + sim_rand(g->s, 4);
}

static void gate_make(struct gate *g)
{
	static const struct far_told *const told = &gate_tcp_told;
	struct sim *s = g->s;
	struct gateway_config cfg;
	g_autoptr(GError) err = NULL;

	s->told = told;
	s->other = talk_to_guest;
	s->local = conf_to_guest;
	gate_character(g);
	gateway_config_init(&cfg);
	gate_caps(g, &cfg);
	cfg.mtu = s->cfg.link.mtu;
	cfg.own_addresses = true;
	cfg.dns[0] = sim_addr(s->v6 ? "2001:db8:53::1" : "198.51.100.53");
	cfg.dns[1] = sim_addr(s->v6 ? "2001:db8:53::2" : "198.51.100.54");
	cfg.n_dns = GATE_DNS_SERVERS;
	g->link_fd = gate_fd_new(g, GATE_LINK);
	g->link = (struct link){ .ops = &gate_link_ops, .fd = g->link_fd->fd, .caps = s->cfg.link };
	if (sim_chance(s, 500)) {
		g->loop = loop_new_driven(&(struct loop_clock){ .now = gate_clock, .arg = g }, NULL, NULL, &err);
		g->gw = gateway_new_on(&cfg, &g->link, g->loop, &err);
	} else {
		g->ctx = g_main_context_new();
		g_main_context_set_poll_func(g->ctx, gate_poll_glib);
		g->gw = gateway_new(&cfg, &g->link, g->ctx, &err);
	}
	if (!g->gw)
		g_error("gateway_new: %s", err->message);
	gateway_on_link_gone(g->gw, gate_on_link_gone, g);
	g->set = g->link_fd->set;
}

/* Every flow has an end that was counted. */
static void gate_judge_counts(struct gate *g)
{
	struct sim *s = g->s;
	static const enum reason silences[] = { R_GUEST_SILENT, R_HALF_CLOSE_TIMEOUT, R_HANDSHAKE_TIMEOUT, R_CONNECT_TIMEOUT, R_EVICTED, R_HALF_OPEN_CAP };
	struct gateway_stats st;
	uint64_t ends = 0, silent = 0;

	gateway_stats(g->gw, &st);
	for (int r = 0; r < R_COUNT; r++)
		ends += st.closes.n[r];
	if (st.closes.n[R_ACCEPTED])
		sim_fail(s, "%" G_GUINT64_FORMAT " flows ended for no reason", st.closes.n[R_ACCEPTED]);
	if (!s->alloc_fails && ends + st.flows_now != g->begun)
		sim_fail(s, "%" G_GUINT64_FORMAT " flows began, %" G_GUINT64_FORMAT " ends were counted", g->begun, ends);
	if (st.closes.n[R_CLOSED] < s->clean)
		sim_fail(s, "%" G_GUINT64_FORMAT " flows closed in order, %u were seen", st.closes.n[R_CLOSED], s->clean);
	for (unsigned i = 0; i < G_N_ELEMENTS(silences); i++)
		silent += st.closes.n[silences[i]];
	if (s->silent > silent)
		sim_fail(s, "%u flows were reset and no silence was counted", s->silent);
}

static char *gate_world(uint64_t seed, bool verbose, enum sim_break broken)
{
	struct sim *s = g_new0(struct sim, 1);
	struct gate *g = g_new0(struct gate, 1);
	bool cut;
	char *fail;

	world_make(s, seed, verbose, broken);
	g->s = s;
	s->gate = g;
	g->link_dies_at = g->ends_at = SIM_NEVER;
	gate_now = g;
	gate_make(g);
	world_make_conns(s);
	talk_make(g);
	conf_make(g);
	g->started = true;
	alloc_begin(s);
	gate_play(g);
	cut = g->over || g->ends_at <= s->now;
	if (!cut)
		world_judge(s);
	if (!cut)
		in_judge(g);
	gate_judge_counts(g);
	g->over = true;
	alloc_end();
	gateway_free(g->gw);
	if (g->ctx)
		g_main_context_unref(g->ctx);
	for (int i = 0; i < GATE_FDS; i++)
		if (g->fds[i].kind)
			sim_fail(s, "descriptor %d is left open", g->fds[i].fd);
	fail = g_steal_pointer(&s->fail);
	gate_net_clear(g);
	pack_clear(g);
	gate_now = NULL;
	world_clear(s);
	g_free(g);
	g_free(s);
	return fail;
}

int main(int argc, char **argv)
{
	return runner_main(argc, argv, gate_world, SIM_BREAKS - 1);
}
