/* sim.c - the pure core in virtual time:  build/tests/sim/sim [-v] SEED [COUNT], see runner.c.
 *
 * A world ends well when both directions of every connection came over byte by byte, every end was told as what it was, the core's
 * tables are empty, what it was given came back, and no turn of the wheel went without time moving on.
 * Below: sim.h.  Above: tests/meson.build.
 */
#include "tests/sim/sim.h"

enum {
	SIM_STEPS = 400000, /* events in one world */
	SIM_TURNS = 20000,  /* flushes at one moment */
};

static const int64_t SIM_HOURS = 24ll * 3600 * SIM_S; /* virtual time in which every world must have ended */

static void sim_end_turn(struct sim *s)
{
	uint32_t turns = 0;

	do {
		stack_flush(s->st, s->now);
		up_reap(s);
		g_clear_pointer(&s->slot, g_free);
	} while (stack_pending(s->st) && ++turns < SIM_TURNS && !s->fail);
	if (turns >= SIM_TURNS)
		sim_fail(s, "stack_pending() after %u flushes", turns);
	for (guint i = 0; i < s->turn->len; i++)
		g_free(s->turn->pdata[i]);
	g_ptr_array_set_size(s->turn, 0);
}

static void sim_deliver(struct sim *s)
{
	uint32_t n = 0;
	struct wire_frame *f;

	while (!s->fail && (f = wire_pop(&s->to_guest, s->now))) {
		if (!world_to_guest(s, f) && !s->to_guest.faults.corrupt)
			sim_fail(s, "a frame of %u bytes that no guest would take", f->len);
		g_free(f);
	}
	if (s->was_full && s->to_guest.frames.length < s->queue_max) {
		s->was_full = false;
		stack_link_ready(s->st);
	}
	while (n < s->batch_max && (f = wire_pop(&s->to_core, s->now))) {
		enum reason r = wire_input(s, f);

		sim_note(s, "core takes %u bytes: %s", f->len, reason_name(r));
		n++;
	}
}

static int64_t sim_next_at(const struct sim *s)
{
	return MIN(MIN(wire_next(&s->to_guest), wire_next(&s->to_core)), MIN(stack_deadline(s->st), world_next(s)));
}

static bool sim_all_done(const struct sim *s)
{
	struct stack_stats stats;

	stack_stats(s->st, &stats);
	return !stats.conns && world_conns_done(s);
}

static void sim_step(struct sim *s, int64_t at)
{
	world_step_to(s, at);
	world_tick(s);
	up_reap(s);
	sim_deliver(s);
	up_reap(s);
	if (stack_deadline(s->st) <= s->now)
		stack_expire(s->st, s->now);
	sim_end_turn(s);
	if (stack_deadline(s->st) <= s->now)
		sim_fail(s, "a deadline that stays in the past");
}

static void sim_play(struct sim *s)
{
	while (!s->fail && !sim_all_done(s)) {
		int64_t at = sim_next_at(s);

		if (at == SIM_NEVER || at - s->started > SIM_HOURS)
			sim_fail(s, "nothing goes on%s", at == SIM_NEVER ? ": no event is left" : " for hours");
		else if (++s->steps > SIM_STEPS)
			sim_fail(s, "livelock: %d events", SIM_STEPS);
		else
			sim_step(s, at);
	}
}

static char *sim_world(uint64_t seed, bool verbose, enum sim_break broken)
{
	struct sim *s = g_new0(struct sim, 1);
	char *fail;

	world_make(s, seed, verbose, broken);
	up_host_init(s);
	s->told = &up_told;
	s->st = stack_new(&s->cfg, &s->host, &s->drops);
	world_make_conns(s);
	alloc_begin(s);
	sim_play(s);
	alloc_end();
	world_judge(s);
	tcp_conn_drop_all(s->st, R_SHUTDOWN, s->now);
	up_reap(s);
	if (s->given != s->gone)
		sim_fail(s, "%u connections given, %u came back", s->given, s->gone);
	sim_end_turn(s);
	fail = g_steal_pointer(&s->fail);
	stack_free(s->st);
	world_clear(s);
	g_free(s);
	return fail;
}

int main(int argc, char **argv)
{
	return runner_main(argc, argv, sim_world, SIM_LEAKS_FLOW);
}
