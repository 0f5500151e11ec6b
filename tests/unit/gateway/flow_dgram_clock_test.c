/* flow_dgram_clock_test.c - the timers of UDP sessions on a clock that the test moves: who keeps a session alive, and for how long; and a flood
 * beside a stupid twin.  See flow_dgram_stage.h.  B34 B35 B36 C45 D6 D7; RFC 4787 REQ-5, REQ-6. */
#include "tests/unit/gateway/flow_dgram_stage.h"

struct clocked {
	struct fixture f;
	int64_t now;
	int fd;		      /* the server */
	struct tuple t;	      /* to it */
	struct endpoint from; /* the guest, as the server sees it */
};

static int64_t clocked_now(void *arg)
{
	return ((struct clocked *)arg)->now;
}

static void open_clocked(struct clocked *c, bool v6)
{
	struct fixture *f = &c->f;

	*c = (struct clocked){ .now = 1000 * S, .fd = host_at(v6, 0) };
	c->t = tuple_to(v6, GUEST_PORT, port_of(c->fd));
	begin(f);
	loop_free(f->loop);
	f->loop = loop_new_driven(&(struct loop_clock){ clocked_now, c }, NULL, NULL, NULL);
	g_assert_nonnull(f->loop);
	f->env.loop = f->loop;
	start(f);
}

static void close_clocked(struct clocked *c)
{
	end(&c->f);
	close(c->fd);
}

/* Time passes, and the loop has every chance to notice. */
static void pass(struct clocked *c, int64_t us)
{
	c->now += us;
	loop_due(c->f.loop);
	loop_run(c->f.loop);
}

static void guest_speaks(struct clocked *c)
{
	g_assert_cmpint(guest_sends(&c->f, &c->t, 1, c->now), ==, R_ACCEPTED);
	g_assert_cmpint(host_gets(c->fd, &c->from), ==, 1);
}

/* The server sends; true: the guest hears it. */
static bool server_speaks(struct clocked *c)
{
	struct pollfd p = { .fd = loop_fd(c->f.loop), .events = POLLIN };
	guint before = c->f.seen->len;
	uint64_t filtered = c->f.drops.n[R_UDP_FILTERED];

	host_sends(c->fd, &c->from, 1, 1);
	if (!stats(&c->f).sockets)
		return false;
	while (c->f.seen->len == before && c->f.drops.n[R_UDP_FILTERED] == filtered) {
		loop_due(c->f.loop);
		g_assert_cmpint(poll(&p, 1, WAIT_MS), ==, 1);
		loop_run(c->f.loop);
	}
	return c->f.seen->len == before + 1;
}

static uint64_t sessions(const struct clocked *c)
{
	return stats(&c->f).now;
}

/* C45: the server is silent: 30 s, and the next datagram makes a new session, to a server that may hear another port now. */
static void server_silent(gconstpointer v6)
{
	struct clocked c;

	open_clocked(&c, v6);
	guest_speaks(&c);
	pass(&c, 30 * S - 1);
	g_assert_cmpuint(sessions(&c), ==, 1);
	pass(&c, 1);
	g_assert_cmpuint(sessions(&c), ==, 0);
	g_assert_cmpuint(stats(&c.f).sockets, ==, 0);
	g_assert_false(server_speaks(&c)); /* too late */
	guest_speaks(&c);
	g_assert_true(server_speaks(&c));
	g_assert_cmpuint(stats(&c.f).opened, ==, 2);
	close_clocked(&c);
}

/* B36, D7: only the client sends, for an hour: one session, whether it was ever answered or not. */
static void client_only(gconstpointer v6)
{
	struct clocked c;

	open_clocked(&c, v6);
	for (int i = 0; i < 180; i++) {
		guest_speaks(&c);
		pass(&c, 20 * S);
	}
	g_assert_true(server_speaks(&c));
	for (int i = 0; i < 20; i++) {
		guest_speaks(&c);
		pass(&c, 170 * S);
	}
	g_assert_cmpuint(stats(&c.f).opened, ==, 1);
	g_assert_true(server_speaks(&c)); /* the same port still */
	close_clocked(&c);
}

/* B36, D7: only the server sends, for an hour: the guest hears everything, and 180 s after the last it is over. */
static void server_only(gconstpointer v6)
{
	struct clocked c;

	open_clocked(&c, v6);
	guest_speaks(&c);
	for (int i = 0; i < 21; i++) {
		g_assert_true(server_speaks(&c));
		pass(&c, 170 * S);
	}
	g_assert_true(server_speaks(&c));
	pass(&c, 180 * S - 1);
	g_assert_cmpuint(sessions(&c), ==, 1);
	pass(&c, 1);
	g_assert_cmpuint(sessions(&c), ==, 0);
	g_assert_false(server_speaks(&c));
	close_clocked(&c);
}

/* B35: a refused port keeps nothing alive and blackholes nothing: the guest is told each time, the session ages as any other, and once the server
 * is there the datagram arrives. */
static void refused_for_long(gconstpointer v6)
{
	struct pollfd p = { .events = POLLIN };
	struct clocked c;
	uint16_t port;

	open_clocked(&c, v6);
	port = c.t.far.port;
	close(c.fd);
	p.fd = loop_fd(c.f.loop);
	for (guint i = 0; i < 10; i++) {
		g_assert_cmpint(guest_sends(&c.f, &c.t, 1, c.now), ==, R_ACCEPTED);
		while (c.f.seen->len == i) {
			loop_due(c.f.loop);
			g_assert_cmpint(poll(&p, 1, WAIT_MS), ==, 1);
			loop_run(c.f.loop);
		}
		g_assert_true(g_array_index(c.f.seen, struct seen, i).error);
		g_assert_cmpint(g_array_index(c.f.seen, struct seen, i).why, ==, ICMP_UNREACH_PORT);
		pass(&c, 29 * S);
	}
	g_assert_cmpuint(stats(&c.f).opened, ==, 1);
	pass(&c, S);
	g_assert_cmpuint(sessions(&c), ==, 0); /* errors keep no session alive */
	c.fd = host_at(v6, port);
	guest_speaks(&c);
	g_assert_true(server_speaks(&c));
	close_clocked(&c);
}

/* ---- a flood */

enum { FLOOD = 20000, FLOOD_GUESTS = 40, FLOOD_FARS = 30, FLOOD_SESSIONS = 64, FLOOD_SOCKETS = 16 };

/* The table as it should be: who was used when. */
struct twin {
	int64_t used[FLOOD_GUESTS][FLOOD_FARS]; /* 0: no session */
	int64_t guest_used[FLOOD_GUESTS];	/* 0: no socket */
	uint64_t evicted;
};

static unsigned twin_count(const struct twin *w, int guest)
{
	unsigned n = 0;

	for (int g = 0; g < FLOOD_GUESTS; g++)
		for (int k = 0; k < FLOOD_FARS; k++)
			n += (guest < 0 || g == guest) && w->used[g][k];
	return n;
}

static unsigned twin_sockets(const struct twin *w)
{
	unsigned n = 0;

	for (int g = 0; g < FLOOD_GUESTS; g++)
		n += w->guest_used[g] != 0;
	return n;
}

/* The least recently used endpoint goes with all it has. */
static void twin_close_oldest(struct twin *w)
{
	int oldest = -1;

	for (int g = 0; g < FLOOD_GUESTS; g++)
		if (w->guest_used[g] && (oldest < 0 || w->guest_used[g] < w->guest_used[oldest]))
			oldest = g;
	w->evicted += twin_count(w, oldest);
	memset(w->used[oldest], 0, sizeof(w->used[oldest]));
	w->guest_used[oldest] = 0;
}

/* The least recently used session goes, and its endpoint if that was its last. */
static void twin_end_oldest(struct twin *w, int keep)
{
	int og = -1, ok = -1;

	for (int g = 0; g < FLOOD_GUESTS; g++)
		for (int k = 0; k < FLOOD_FARS; k++)
			if (w->used[g][k] && (og < 0 || w->used[g][k] < w->used[og][ok]))
				og = g, ok = k;
	w->used[og][ok] = 0;
	w->evicted++;
	if (og != keep && !twin_count(w, og))
		w->guest_used[og] = 0;
}

static void twin_send(struct twin *w, int g, int k, int64_t now)
{
	if (!w->used[g][k]) {
		if (!w->guest_used[g] && twin_sockets(w) == FLOOD_SOCKETS)
			twin_close_oldest(w);
		w->guest_used[g] = now;
		if (twin_count(w, -1) == FLOOD_SESSIONS)
			twin_end_oldest(w, g);
	}
	w->used[g][k] = w->guest_used[g] = now;
}

/* B34, D6: whatever a guest does, sessions and sockets stay below their caps, and those that go are the least recently used. */
static void flood(gconstpointer v6)
{
	GRand *rand = g_rand_new_with_seed(35);
	struct twin *w = g_new0(struct twin, 1);
	struct clocked c;

	open_clocked(&c, v6);
	c.f.tune.udp_sessions_max = FLOOD_SESSIONS;
	c.f.tune.udp_sockets_max = FLOOD_SOCKETS;
	for (int i = 1; i <= FLOOD; i++) {
		int g = g_rand_int_range(rand, 0, g_rand_boolean(rand) ? 4 : FLOOD_GUESTS), k = g_rand_int_range(rand, 0, FLOOD_FARS);
		struct tuple t = tuple_to(v6, (uint16_t)(GUEST_PORT + g), (uint16_t)(1000 + k));
		struct flow_dgram_stats st;

		c.now++;
		twin_send(w, g, k, i);
		g_assert_cmpint(guest_sends(&c.f, &t, 1, c.now), ==, R_ACCEPTED);
		st = stats(&c.f);
		g_assert_cmpuint(st.now, <=, FLOOD_SESSIONS);
		g_assert_cmpuint(st.sockets, <=, FLOOD_SOCKETS);
		g_assert_cmpuint(st.now, ==, twin_count(w, -1));
		g_assert_cmpuint(st.sockets, ==, twin_sockets(w));
		g_assert_cmpuint(st.evicted, ==, w->evicted);
		g_assert_cmpuint(st.opened, ==, st.now + st.evicted);
		if (i % 64 == 0) /* what ended is freed at the end of a turn */
			pass(&c, 0);
	}
	g_assert_cmpuint(w->evicted, >, FLOOD / 10);
	close_clocked(&c);
	g_free(w);
	g_rand_free(rand);
}

static void add(const char *name, GTestDataFunc fn)
{
	for (int v6 = 0; v6 < 2; v6++) {
		g_autofree char *path = g_strdup_printf("/flow_dgram_clock/%s/%s", name, v6 ? "v6" : "v4");

		g_test_add_data_func(path, v6 ? "v6" : NULL, fn);
	}
}

int main(int argc, char **argv)
{
	isolate();
	g_test_init(&argc, &argv, NULL);
	add("C45_server_silent", server_silent);
	add("B36_client_only", client_only);
	add("B36_server_only", server_only);
	add("B35_refused_for_long", refused_for_long);
	add("B34_flood", flood);
	return g_test_run();
}
