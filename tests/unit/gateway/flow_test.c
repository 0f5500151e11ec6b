/* flow_test.c - caps and counts of the flow table: C1, C2, C4, C10; D1, D2. */
#include "gateway/flow.h"
#include "gateway/dns_relay.h"
#include "gateway/gateway_tunable.h"
#include "slirp/base/list.h"

#include <glib.h>
#include <sys/resource.h>

enum { OWN_DESCRIPTORS = 32 }; /* link, epoll, timer, netlink, inotify, signals, standard streams; and room */

struct item {
	struct flow flow;
	unsigned freed;
};

static void on_reap(struct loop_reap *r)
{
	container_of(r, struct item, flow.reap)->freed++;
}

static void caps(void)
{
	GMainContext *ctx = g_main_context_new();
	struct loop *loop = loop_new(ctx, NULL);
	struct item item[5] = { 0 };
	struct flow_table t;

	flow_table_init(&t, loop, 4, 2);
	for (int i = 0; i < 2; i++) {
		g_assert_cmpint(flow_room(&t), ==, R_ACCEPTED);
		flow_begin(&t, &item[i].flow);
		g_assert_cmpint(item[i].flow.state, ==, FLOW_HELD);
	}
	g_assert_cmpint(flow_room(&t), ==, R_HALF_OPEN_CAP);
	flow_opened(&t, &item[0].flow);
	flow_opened(&t, &item[1].flow);
	g_assert_cmpint(flow_room(&t), ==, R_ACCEPTED);
	for (int i = 2; i < 4; i++) {
		flow_begin(&t, &item[i].flow);
		flow_opened(&t, &item[i].flow);
	}
	g_assert_cmpint(flow_room(&t), ==, R_FLOW_CAP); /* T18: the fifth */
	g_assert_cmpuint(t.now, ==, 4);
	g_assert_cmpuint(t.opened, ==, 4);
	flow_end(&t, &item[2].flow, R_CLOSED, on_reap);
	flow_end(&t, &item[2].flow, R_HOST_ERROR, on_reap); /* a second end is none */
	g_assert_cmpuint(t.now, ==, 3);
	g_assert_cmpuint(t.closes.n[R_CLOSED], ==, 1);
	g_assert_cmpuint(t.closes.n[R_HOST_ERROR], ==, 0);
	g_assert_cmpuint(item[2].freed, ==, 0); /* not in the middle of a turn */
	g_assert_cmpint(flow_room(&t), ==, R_ACCEPTED);
	g_main_context_iteration(ctx, FALSE);
	g_assert_cmpuint(item[2].freed, ==, 1);
	for (int i = 0; i < 4; i++)
		flow_end(&t, &item[i].flow, R_SHUTDOWN, on_reap);
	loop_free(loop);
	for (int i = 0; i < 4; i++)
		g_assert_cmpuint(item[i].freed, ==, 1);
	g_assert_cmpuint(t.now, ==, 0);
	g_assert_cmpuint(t.half_open, ==, 0);
	g_main_context_unref(ctx);
}

/* A held flow that ends takes its place among the half-open with it. */
static void held_ends(void)
{
	GMainContext *ctx = g_main_context_new();
	struct loop *loop = loop_new(ctx, NULL);
	struct item item[300] = { 0 };
	struct flow_table t;

	flow_table_init(&t, loop, 4, 1);
	for (unsigned i = 0; i < G_N_ELEMENTS(item); i++) { /* B9 in small: more than there is room for, one after the other */
		g_assert_cmpint(flow_room(&t), ==, R_ACCEPTED);
		flow_begin(&t, &item[i].flow);
		flow_end(&t, &item[i].flow, R_GUEST_RESET, on_reap);
	}
	g_assert_cmpuint(t.half_open, ==, 0);
	g_assert_cmpuint(t.now, ==, 0);
	g_assert_cmpuint(t.opened, ==, 0);
	g_assert_cmpuint(t.closes.n[R_GUEST_RESET], ==, G_N_ELEMENTS(item));
	loop_free(loop);
	g_main_context_unref(ctx);
}

/* The default is what the descriptor limit leaves, and the reserve is enough for everybody else. */
static void descriptor_limit(void)
{
	static const struct {
		rlim_t limit;
		uint32_t want;
	} row[] = { { 64, 32 }, { 1024, 512 }, { 1112, 556 }, { 1113, 557 }, { 4096, 3540 } };
	struct rlimit old, now;
	struct flow_table t;

	g_assert_cmpint(FLOW_RESERVE, >=, DNS_RELAY_INFLIGHT + gateway_tunable_defaults.ping_sockets_max + OWN_DESCRIPTORS);
	g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
	for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
		now = (struct rlimit){ MIN(row[i].limit, old.rlim_max), old.rlim_max };
		g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &now), ==, 0);
		flow_table_init(&t, NULL, 0, 0);
		if (now.rlim_cur == row[i].limit)
			g_assert_cmpuint(t.max, ==, row[i].want);
		g_assert_cmpuint(t.max_half_open, ==, FLOW_HALF_OPEN_MAX);
	}
	setrlimit(RLIMIT_NOFILE, &old);
	flow_table_init(&t, NULL, 7, 3);
	g_assert_cmpuint(t.max, ==, 7);
	g_assert_cmpuint(t.max_half_open, ==, 3);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/flow/caps", caps);
	g_test_add_func("/flow/held-ends", held_ends);
	g_test_add_func("/flow/descriptor-limit", descriptor_limit);
	return g_test_run();
}
