/* flow_test.c - caps and counts of the flow table: C1, C2, C4, C10; D1, D2, F15. */
#include "gateway/flow.h"
#include "gateway/dns_relay.h"
#include "gateway/gateway_tunable.h"
#include "slirp/base/list.h"

#include <glib.h>
#include <sys/resource.h>

enum { OWN_DESCRIPTORS = 32 }; /* link, epoll, timer, netlink, inotify, signals, standard streams; and room */

static const struct siphash_key key = { { 1, 2 } };

struct item {
	struct flow flow;
	struct fixture *f;
	unsigned freed, ended;
	enum reason why;
	uint32_t moved;
	int64_t heard_at;
};

struct fixture {
	GMainContext *ctx;
	struct loop *loop;
	struct gateway_tunables tune;
	struct flow_table t;
	unsigned looks, full, begun, over;
};

static void on_reap(struct loop_reap *r)
{
	container_of(r, struct item, flow.reap)->freed++;
}

static uint32_t look(struct flow *flow, int64_t *ret_heard_at)
{
	struct item *i = container_of(flow, struct item, flow);

	i->f->looks++;
	*ret_heard_at = i->heard_at;
	return i->moved;
}

static void end(struct flow *flow, enum reason why, int64_t now)
{
	struct item *i = container_of(flow, struct item, flow);

	i->ended++;
	i->why = why;
	flow_end(&i->f->t, flow, why, on_reap);
}

static unsigned full(void *arg)
{
	return ((struct fixture *)arg)->full;
}

static void pressure(void *arg, bool on)
{
	struct fixture *f = arg;

	f->begun += on;
	f->over += !on;
}

static void up(struct fixture *f, uint32_t max, uint32_t half_open, uint32_t each)
{
	struct flow_table_ops ops = { look, end, full, pressure, f };

	*f = (struct fixture){ .ctx = g_main_context_new(), .tune = gateway_tunable_defaults };
	f->tune.tcp_flows_max = max;
	f->tune.tcp_half_open_max = half_open;
	f->tune.tcp_half_open_dest = each;
	f->loop = loop_new(f->ctx, NULL);
	g_assert_true(flow_table_init(&f->t, f->loop, &f->tune, &ops, &key, NULL));
}

static void down(struct fixture *f)
{
	loop_free(f->loop);
	g_assert_cmpuint(f->t.now, ==, 0);
	g_assert_cmpuint(f->t.half.now, ==, 0);
	flow_table_clear(&f->t);
	g_main_context_unref(f->ctx);
}

static struct endpoint to(uint32_t n)
{
	const uint8_t b[4] = { 192, 0, (uint8_t)(n >> 8), (uint8_t)n };

	return (struct endpoint){ .addr = addr_from_v4(b) };
}

/* Room is made, the flow begins. */
static void begin(struct fixture *f, struct item *i, uint32_t dest, int64_t now)
{
	struct endpoint e = to(dest);

	i->f = f;
	i->heard_at = now;
	g_assert_cmpint(flow_room(&f->t, &e, now), ==, R_ACCEPTED);
	g_assert_true(flow_begin(&f->t, &i->flow, &e));
}

static void opened(struct fixture *f, struct item *i, int64_t now)
{
	begin(f, i, 1, now);
	flow_opened(&f->t, &i->flow, now);
}

static void caps(void)
{
	struct item item[5] = { 0 };
	struct endpoint e = to(1);
	struct fixture f;

	up(&f, 4, 2, 2);
	for (int i = 0; i < 4; i++) {
		begin(&f, &item[i], 1, 0);
		g_assert_cmpint(item[i].flow.state, ==, FLOW_HELD);
		flow_opened(&f.t, &item[i].flow, 0);
		g_assert_cmpint(item[i].flow.state, ==, FLOW_OPEN);
	}
	g_assert_cmpint(flow_room(&f.t, &e, 1), ==, R_FLOW_CAP); /* T18: the fifth */
	g_assert_cmpuint(f.t.now, ==, 4);
	g_assert_cmpuint(f.t.opened, ==, 4);
	flow_end(&f.t, &item[2].flow, R_CLOSED, on_reap);
	flow_end(&f.t, &item[2].flow, R_HOST_ERROR, on_reap); /* a second end is none */
	g_assert_cmpuint(f.t.now, ==, 3);
	g_assert_cmpuint(f.t.closes.n[R_CLOSED], ==, 1);
	g_assert_cmpuint(f.t.closes.n[R_HOST_ERROR], ==, 0);
	g_assert_cmpuint(item[2].freed, ==, 0); /* not in the middle of a turn */
	g_assert_cmpint(flow_room(&f.t, &e, 1), ==, R_ACCEPTED);
	g_main_context_iteration(f.ctx, FALSE);
	g_assert_cmpuint(item[2].freed, ==, 1);
	for (int i = 0; i < 4; i++)
		flow_end(&f.t, &item[i].flow, R_SHUTDOWN, on_reap);
	g_main_context_iteration(f.ctx, FALSE);
	for (int i = 0; i < 4; i++)
		g_assert_cmpuint(item[i].freed, ==, 1);
	down(&f);
}

/* A held flow that ends takes its place among the half-open with it. */
static void held_ends(void)
{
	struct item item[300] = { 0 };
	struct fixture f;

	up(&f, 4, 1, 1);
	for (unsigned i = 0; i < G_N_ELEMENTS(item); i++) { /* B9 in small: more than there is room for, one after the other */
		begin(&f, &item[i], i, 0);
		flow_end(&f.t, &item[i].flow, R_GUEST_RESET, on_reap);
	}
	g_assert_cmpuint(f.t.closes.n[R_GUEST_RESET], ==, G_N_ELEMENTS(item));
	g_assert_cmpuint(f.t.closes.n[R_HALF_OPEN_CAP], ==, 0);
	g_assert_cmpuint(f.t.opened, ==, 0);
	down(&f);
}

/* D2: beyond the cap of a destination its oldest goes; beyond that of all, the busiest destination's. */
static void half_open(void)
{
	struct item item[12] = { 0 };
	struct fixture f;

	up(&f, 100, 8, 5);
	for (int i = 0; i < 6; i++)
		begin(&f, &item[i], 1, 0);
	g_assert_cmpuint(item[0].ended, ==, 1);
	g_assert_cmpint(item[0].why, ==, R_HALF_OPEN_CAP);
	g_assert_cmpuint(f.t.half.now, ==, 5);
	for (int i = 6; i < 9; i++) /* others: three more */
		begin(&f, &item[i], (uint32_t)i, 0);
	g_assert_cmpuint(f.t.half.now, ==, 8);
	begin(&f, &item[9], 77, 0); /* one too many: destination 1 is the busiest */
	g_assert_cmpuint(item[1].ended, ==, 1);
	begin(&f, &item[10], 78, 0);
	g_assert_cmpuint(item[2].ended, ==, 1);
	flow_opened(&f.t, &item[3].flow, 0); /* who stands is not half-open any more */
	begin(&f, &item[11], 79, 0);
	g_assert_cmpuint(item[3].ended, ==, 0);
	g_assert_cmpuint(f.t.closes.n[R_HALF_OPEN_CAP], ==, 3);
	for (unsigned i = 0; i < G_N_ELEMENTS(item); i++)
		flow_end(&f.t, &item[i].flow, R_SHUTDOWN, on_reap);
	down(&f);
}

/* F15: when no place is left, a flow on which nothing moves makes room, and one that moves, or is new, does not. */
static void idle_first(void)
{
	int64_t idle = gateway_tunable_defaults.tcp_evict_idle;
	struct item item[4] = { 0 };
	struct endpoint e = to(9);
	struct fixture f;

	up(&f, 3, 3, 3);
	for (int i = 0; i < 3; i++)
		opened(&f, &item[i], i);
	for (int i = 0; i < 3; i++)
		item[i].moved = 5; /* since the beginning */
	g_assert_cmpint(flow_room(&f.t, &e, 10), ==, R_FLOW_CAP);
	for (int i = 0; i < 3; i++)
		item[i].heard_at = idle; /* probes are answered */
	item[0].moved = item[2].moved = 6;
	g_assert_cmpint(flow_room(&f.t, &e, idle + 9), ==, R_FLOW_CAP);
	begin(&f, &item[3], 9, idle + 10);
	g_assert_cmpuint(item[1].ended, ==, 1);
	g_assert_cmpint(item[1].why, ==, R_EVICTED);
	g_assert_cmpuint(item[0].ended + item[2].ended, ==, 0);
	item[2].heard_at = 1; /* silent altogether: no second look is needed */
	g_assert_true(flow_give_way(&f.t, idle + 11));
	g_assert_cmpuint(item[2].ended, ==, 1);
	g_assert_false(flow_give_way(&f.t, idle + 11));
	for (int i = 0; i < 4; i++)
		flow_end(&f.t, &item[i].flow, R_SHUTDOWN, on_reap);
	down(&f);
}

/* The search for an idle flow is bounded, and goes on where it stopped. */
static void bounded(void)
{
	enum { N = 1000 };
	struct item *item = g_new0(struct item, N);
	struct endpoint e = to(9);
	struct fixture f;
	unsigned tries = 0;

	up(&f, N, N, N);
	for (int i = 0; i < N; i++)
		opened(&f, &item[i], 1000);
	item[N - 1].heard_at = -gateway_tunable_defaults.tcp_evict_idle;
	f.looks = 0;
	while (flow_room(&f.t, &e, 1001)) {
		tries++;
		g_assert_cmpuint(f.looks, <=, FLOW_LOOKS * tries);
	}
	g_assert_cmpuint(item[N - 1].ended, ==, 1);
	for (int i = 0; i < N; i++)
		flow_end(&f.t, &item[i].flow, R_SHUTDOWN, on_reap);
	down(&f);
	g_free(item);
}

/* Pressure begins at three quarters and ends at half, whichever resource it is. */
static void under_pressure(void)
{
	struct item item[100] = { 0 };
	struct fixture f;

	up(&f, 100, 100, 100);
	for (int i = 0; i < 74; i++)
		opened(&f, &item[i], 0);
	g_assert_cmpuint(f.begun, ==, 0);
	opened(&f, &item[74], 0);
	g_assert_cmpuint(f.begun, ==, 1);
	g_assert_true(f.t.pressure.on);
	for (int i = 74; i >= 51; i--)
		flow_end(&f.t, &item[i].flow, R_CLOSED, on_reap);
	g_assert_cmpuint(f.over, ==, 0);
	flow_end(&f.t, &item[50].flow, R_CLOSED, on_reap);
	g_assert_cmpuint(f.over, ==, 1);
	f.full = 80; /* descriptors, say */
	flow_end(&f.t, &item[49].flow, R_CLOSED, on_reap);
	g_assert_cmpuint(f.begun, ==, 2);
	f.full = 51;
	flow_end(&f.t, &item[48].flow, R_CLOSED, on_reap);
	g_assert_true(f.t.pressure.on);
	f.full = 50;
	flow_end(&f.t, &item[47].flow, R_CLOSED, on_reap);
	g_assert_false(f.t.pressure.on);
	g_assert_cmpuint(f.t.pressure.times, ==, 2);
	for (int i = 0; i < 100; i++)
		if (item[i].f)
			flow_end(&f.t, &item[i].flow, R_SHUTDOWN, on_reap);
	down(&f);
}

/* No memory for a destination: the flow does not begin. */
static void no_memory(void)
{
	struct mem mem = { .fail_count = UINT64_MAX };
	struct item item = { 0 };
	struct endpoint e = to(1);
	struct fixture f;

	up(&f, 4, 4, 4);
	f.t.half.mem = &mem;
	g_assert_false(flow_begin(&f.t, &item.flow, &e));
	g_assert_cmpuint(f.t.now, ==, 0);
	mem.fail_count = 0;
	item.f = &f;
	g_assert_true(flow_begin(&f.t, &item.flow, &e));
	flow_cancel(&f.t, &item.flow);
	g_assert_cmpuint(f.t.closes.n[R_NO_MEMORY], ==, 0);
	down(&f);
}

/* The default is what the descriptor limit leaves, and the reserve is enough for everybody else; half-open ones never fill a small table. */
static void descriptor_limit(void)
{
	static const struct {
		rlim_t limit;
		uint32_t want;
	} row[] = { { 64, 32 }, { 1024, 512 }, { 1112, 556 }, { 1113, 557 }, { 4096, 3540 } };
	struct flow_table_ops ops = { look, end, NULL, NULL, NULL };
	struct gateway_tunables tune = gateway_tunable_defaults;
	struct rlimit old, now;
	struct flow_table t;

	g_assert_cmpint(FLOW_RESERVE, >=, DNS_RELAY_INFLIGHT + gateway_tunable_defaults.ping_sockets_max + OWN_DESCRIPTORS);
	g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
	for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
		now = (struct rlimit){ MIN(row[i].limit, old.rlim_max), old.rlim_max };
		g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &now), ==, 0);
		g_assert_true(flow_table_init(&t, NULL, &tune, &ops, &key, NULL));
		if (now.rlim_cur == row[i].limit) {
			g_assert_cmpuint(flow_max(&t), ==, row[i].want);
			g_assert_cmpuint(flow_half_open_max(&t), ==, MIN(1024, (row[i].want + 1) / 2));
		}
		flow_table_clear(&t);
	}
	setrlimit(RLIMIT_NOFILE, &old);
	g_assert_true(flow_table_init(&t, NULL, &tune, &ops, &key, NULL));
	tune.tcp_flows_max = 7; /* a row that changes holds at once */
	g_assert_cmpuint(flow_max(&t), ==, 7);
	tune.tcp_half_open_max = 3;
	g_assert_cmpuint(flow_half_open_max(&t), ==, 3);
	flow_table_clear(&t);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/flow/caps", caps);
	g_test_add_func("/flow/held-ends", held_ends);
	g_test_add_func("/flow/half-open", half_open);
	g_test_add_func("/flow/idle-first", idle_first);
	g_test_add_func("/flow/bounded", bounded);
	g_test_add_func("/flow/under-pressure", under_pressure);
	g_test_add_func("/flow/no-memory", no_memory);
	g_test_add_func("/flow/descriptor-limit", descriptor_limit);
	return g_test_run();
}
