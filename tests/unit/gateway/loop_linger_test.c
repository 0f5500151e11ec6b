/* loop_linger_test.c - a lingering loop: busy turns follow each other without GLib, and the context's other sources lose nothing.
 *
 * Below: gateway/loop.h.  Nothing here depends on how long anything takes.
 */
#include "gateway/loop.h"

#include <glib-unix.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Stands for traffic without end: a descriptor that is ready at every turn until the foreign source has been served. */
struct traffic {
	struct loop_watch w;
	struct loop *loop;
	int foreign;
	unsigned turns;
	bool served;
};

enum { BEFORE_FOREIGN = 10, TURNS_MAX = 200000 };

static void traffic_event(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct traffic *t = container_of(w, struct traffic, w);

	if (++t->turns == BEFORE_FOREIGN)
		eventfd_write(t->foreign, 1);
	g_assert_cmpuint(t->turns, <, TURNS_MAX); /* starved */
}

static gboolean foreign_ready(gint fd, GIOCondition condition, gpointer data)
{
	struct traffic *t = data;
	eventfd_t value;

	g_assert_cmpint(eventfd_read(fd, &value), ==, 0);
	t->served = true;
	return G_SOURCE_REMOVE;
}

static GSource *foreign_attach(GMainContext *ctx, struct traffic *t)
{
	GSource *s = g_unix_fd_source_new(t->foreign, G_IO_IN);

	g_source_set_callback(s, G_SOURCE_FUNC(foreign_ready), t, NULL);
	g_source_attach(s, ctx);
	return s;
}

static void linger_open(GMainContext **ctx, struct traffic *t)
{
	GError *err = NULL;

	*ctx = g_main_context_new();
	t->loop = loop_new(*ctx, &err);
	g_assert_no_error(err);
	loop_linger(t->loop);
	t->foreign = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	t->w.fn = traffic_event;
}

static void linger_close(GMainContext *ctx, struct traffic *t, int fd)
{
	loop_watch_close(t->loop, &t->w);
	g_assert_cmpint(t->w.fd, ==, fd);
	close(t->foreign);
	loop_free(t->loop);
	g_main_context_unref(ctx);
}

/* One dispatch makes many turns, and still the other source is served as soon as it is ready. */
static void linger_serves_others(void)
{
	struct traffic t = { .turns = 0 };
	int busy = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC); /* level-triggered and never read: always ready */
	GMainContext *ctx;
	GSource *s;
	unsigned rounds = 0;

	linger_open(&ctx, &t);
	s = foreign_attach(ctx, &t);
	g_assert_cmpint(loop_watch_add(t.loop, &t.w, busy, EPOLLIN), ==, 0);
	while (!t.served) {
		g_main_context_iteration(ctx, TRUE);
		rounds++;
	}
	g_assert_cmpuint(t.turns, >=, BEFORE_FOREIGN);
	g_assert_cmpuint(rounds, <, t.turns); /* turns did not each go through GLib */
	g_source_unref(s);
	linger_close(ctx, &t, busy);
}

/* A source that is added later is looked after too. */
static void linger_learns_new_sources(void)
{
	struct traffic t = { .turns = 0 };
	int busy = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	GMainContext *ctx;
	GSource *s;

	linger_open(&ctx, &t);
	g_assert_cmpint(loop_watch_add(t.loop, &t.w, busy, EPOLLIN | EPOLLET), ==, 0);
	while (!t.turns)
		g_main_context_iteration(ctx, TRUE);
	s = foreign_attach(ctx, &t);
	t.turns = 0;
	loop_watch_rearm(t.loop, &t.w, EPOLLIN);
	while (!t.served)
		g_main_context_iteration(ctx, TRUE);
	g_source_unref(s);
	linger_close(ctx, &t, busy);
}

/* When traffic has ended, turns end: GLib sleeps, and its own wake-up ends the sleep. */
static void linger_ends_in_sleep(void)
{
	struct traffic t = { .turns = 0 };
	int once = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	GMainContext *ctx;
	GSource *s;
	uint64_t turns;

	linger_open(&ctx, &t);
	g_assert_cmpint(loop_watch_add(t.loop, &t.w, once, EPOLLIN | EPOLLET), ==, 0);
	while (g_main_context_iteration(ctx, FALSE))
		;
	g_assert_cmpuint(t.turns, ==, 1);
	turns = loop_turns(t.loop);
	s = foreign_attach(ctx, &t);
	eventfd_write(t.foreign, 1);
	while (!t.served)
		g_main_context_iteration(ctx, TRUE);
	g_assert_cmpuint(loop_turns(t.loop), ==, turns);
	g_source_unref(s);
	linger_close(ctx, &t, once);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/loop/linger/serves_others", linger_serves_others);
	g_test_add_func("/loop/linger/learns_new_sources", linger_learns_new_sources);
	g_test_add_func("/loop/linger/ends_in_sleep", linger_ends_in_sleep);
	return g_test_run();
}
