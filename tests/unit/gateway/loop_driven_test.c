/* loop_driven_test.c - a loop that an application drives with its own clock and poll(). */
#include "tests/unit/gateway/loop_fake.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

struct app {
	struct fixture f;
	GString *journal;
	int64_t now;
	unsigned bells;
};

static int64_t app_now(void *arg)
{
	return ((struct app *)arg)->now;
}

static void app_bell(void *arg)
{
	((struct app *)arg)->bells++;
}

static void app_open(struct app *a)
{
	*a = (struct app){ .journal = g_string_new(NULL), .now = 1000 };
	a->f.journal = a->f.stack.journal = a->journal;
	a->f.stack.deadline = TIMERQ_NEVER;
	a->f.link = (struct link){ .ops = &fake_ops, .fd = -1 };
	a->f.loop = loop_new_driven(&(struct loop_clock){ app_now, a }, app_bell, a, NULL);
	g_assert_nonnull(a->f.loop);
}

/* With a core and a link behind it, and the first turn done. */
static void app_drive(struct app *a)
{
	loop_drive(a->f.loop, &a->f.link, &a->f.stack, on_gone, &a->f);
	loop_run(a->f.loop);
	g_string_truncate(a->journal, 0);
}

static void app_close(struct app *a)
{
	loop_free(a->f.loop);
	g_string_free(a->journal, TRUE);
}

static bool readable(const struct app *a)
{
	struct pollfd p = { .fd = loop_fd(a->f.loop), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

struct alarm {
	struct loop_timer t;
	struct app *app;
	unsigned fired;
};

static void alarm_fn(struct loop_timer *t, int64_t now)
{
	struct alarm *al = container_of(t, struct alarm, t);

	g_assert_cmpint(now, ==, al->app->now);
	al->fired++;
	loop_run(al->app->f.loop); /* an application that calls us from a callback of ours */
	g_assert_true(loop_in_turn(al->app->f.loop));
}

/* The clock is the application's: while it stands, nothing falls due. */
static void clock_frozen(void)
{
	struct app a;
	struct alarm al = { .t.fn = alarm_fn, .app = &a };

	app_open(&a);
	g_assert_cmpint(loop_now(a.f.loop), ==, 1000);
	g_assert_cmpint(loop_due(a.f.loop), ==, TIMERQ_NEVER);
	loop_timer_set(a.f.loop, &al.t, 5000);
	g_assert_cmpint(loop_due(a.f.loop), ==, 5000);
	loop_run(a.f.loop);
	g_assert_cmpuint(al.fired, ==, 0);
	a.now = 5000;
	g_assert_cmpint(loop_due(a.f.loop), ==, 0);
	loop_run(a.f.loop);
	g_assert_cmpuint(al.fired, ==, 1);
	g_assert_cmpint(loop_due(a.f.loop), ==, TIMERQ_NEVER);
	app_close(&a);
}

/* The bell rings once, for an application that may be asleep, and for nobody else. */
static void bell(void)
{
	struct app a;
	struct alarm al = { .t.fn = alarm_fn, .app = &a };

	app_open(&a);
	app_drive(&a);
	loop_kick(a.f.loop);
	g_assert_cmpuint(a.bells, ==, 0); /* between loop_run() and loop_due() */
	g_assert_cmpint(loop_due(a.f.loop), ==, 0);
	g_assert_false(readable(&a));
	loop_run(a.f.loop);

	g_assert_cmpint(loop_due(a.f.loop), ==, TIMERQ_NEVER);
	loop_kick(a.f.loop);
	loop_kick(a.f.loop);
	g_assert_cmpuint(a.bells, ==, 1);
	g_assert_true(readable(&a));
	loop_run(a.f.loop);
	g_assert_false(readable(&a));

	loop_timer_set(a.f.loop, &al.t, 5000);
	g_assert_cmpint(loop_due(a.f.loop), ==, 5000);
	loop_timer_set(a.f.loop, &al.t, 9000); /* later than it sleeps: it will find out */
	g_assert_cmpuint(a.bells, ==, 1);
	loop_timer_set(a.f.loop, &al.t, 3000);
	g_assert_cmpuint(a.bells, ==, 2);
	g_assert_true(readable(&a));
	loop_run(a.f.loop);
	g_assert_cmpint(loop_due(a.f.loop), ==, 3000);
	loop_timer_set(a.f.loop, &al.t, TIMERQ_NEVER);
	app_close(&a);
}

/* A link without descriptor: its word is enough, and the rx of that turn sees it. */
static void link_speaks(void)
{
	struct app a;

	app_open(&a);
	app_drive(&a);
	g_assert_cmpint(loop_due(a.f.loop), ==, TIMERQ_NEVER);
	a.f.link_more = 1;
	loop_link_ready(a.f.loop);
	g_assert_true(readable(&a));
	loop_run(a.f.loop);
	g_assert_cmpstr(a.journal->str, ==, "rfdtrfdt"); /* the second turn because of `more` */
	g_assert_cmpint(loop_due(a.f.loop), ==, TIMERQ_NEVER);
	app_close(&a);
}

/* One turn at once, without a word to an application that sleeps; what is left over, and a deadline before the end of its sleep, wake it. */
static void link_now(void)
{
	struct app a;

	app_open(&a);
	app_drive(&a);
	g_assert_cmpint(loop_due(a.f.loop), ==, TIMERQ_NEVER);
	loop_link_now(a.f.loop);
	g_assert_cmpstr(a.journal->str, ==, "rfdt");
	g_assert_cmpuint(a.bells, ==, 0);
	g_assert_false(readable(&a));
	a.f.stack.deadline = 5000;
	loop_link_now(a.f.loop);
	g_assert_cmpuint(a.bells, ==, 1);
	g_assert_true(readable(&a));
	g_assert_cmpint(loop_due(a.f.loop), ==, 5000);
	a.f.link_more = 1;
	loop_link_now(a.f.loop);
	g_assert_cmpuint(a.bells, ==, 2);
	g_assert_cmpint(loop_due(a.f.loop), ==, 0);
	a.f.link_rc = -EPIPE;
	loop_link_now(a.f.loop);
	g_assert_cmpint(a.f.gone, ==, EPIPE);
	app_close(&a);
}

/* Work without end is cut into bounded runs. */
static void bounded(void)
{
	struct app a;

	app_open(&a);
	app_drive(&a);
	a.f.stack.pending = 1000;
	loop_kick(a.f.loop);
	loop_run(a.f.loop);
	g_assert_cmpuint(a.f.stack.pending, >, 900);
	g_assert_cmpint(loop_due(a.f.loop), ==, 0);
	app_close(&a);
}

static void link_gone(void)
{
	struct app a;

	app_open(&a);
	app_drive(&a);
	a.f.link_rc = -EPIPE;
	loop_link_ready(a.f.loop);
	loop_run(a.f.loop);
	g_assert_cmpint(a.f.gone, ==, EPIPE);
	loop_link_ready(a.f.loop); /* nobody is there */
	loop_run(a.f.loop);
	g_assert_cmpint(a.f.gone, ==, EPIPE);
	app_close(&a);
}

/* A descriptor of ours makes the one descriptor readable, and nobody else serves it. */
static void event_fn(struct loop_watch *w, uint32_t events, int64_t now)
{
	eventfd_t n;

	eventfd_read(w->fd, &n);
}

static void one_descriptor(void)
{
	struct app a;
	struct loop_watch w = { .fn = event_fn };
	int fd = eventfd(0, EFD_NONBLOCK);

	app_open(&a);
	g_assert_cmpint(loop_watch_add(a.f.loop, &w, fd, EPOLLIN), ==, 0);
	g_assert_false(readable(&a));
	eventfd_write(fd, 1);
	g_assert_true(readable(&a));
	loop_run(a.f.loop);
	g_assert_false(readable(&a));
	loop_watch_close(a.f.loop, &w);
	app_close(&a);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/loop_driven/clock_frozen", clock_frozen);
	g_test_add_func("/loop_driven/bell", bell);
	g_test_add_func("/loop_driven/link_speaks", link_speaks);
	g_test_add_func("/loop_driven/link_now", link_now);
	g_test_add_func("/loop_driven/bounded", bounded);
	g_test_add_func("/loop_driven/link_gone", link_gone);
	g_test_add_func("/loop_driven/one_descriptor", one_descriptor);
	return g_test_run();
}
