/* resolv_watch_test.c - every way in which a resolv.conf changes, seen by inotify; nothing else is.  Below: gateway/resolv_watch.h. */
#include "gateway/resolv_watch.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_US = 5000000, CALM_US = 250000 };

struct fixture {
	GMainContext *ctx;
	struct loop *loop;
	struct resolv_watch *w;
	char *dir, *path;
	struct addr first;
	unsigned n, calls;
};

static void heard(void *arg, const struct addr *servers, unsigned n)
{
	struct fixture *f = arg;

	f->calls++;
	f->n = n;
	f->first = n ? servers[0] : addr_any;
}

static char *in_dir(const struct fixture *f, const char *name)
{
	return g_build_filename(f->dir, name, NULL);
}

static void put(const struct fixture *f, const char *name, const char *text)
{
	g_autofree char *path = in_dir(f, name);
	FILE *file = fopen(path, "we"); /* in place: truncates */

	g_assert_nonnull(file);
	g_assert_cmpint(fputs(text, file), >=, 0);
	fclose(file);
}

static void move(const struct fixture *f, const char *from, const char *to)
{
	g_autofree char *a = in_dir(f, from), *b = in_dir(f, to);

	g_assert_cmpint(rename(a, b), ==, 0);
}

static void point(const struct fixture *f, const char *name, const char *target)
{
	g_autofree char *path = in_dir(f, name);

	unlink(path);
	g_assert_cmpint(symlink(target, path), ==, 0);
}

static void begin(struct fixture *f)
{
	GError *err = NULL;

	*f = (struct fixture){ .ctx = g_main_context_new(), .dir = g_dir_make_tmp("resolv-XXXXXX", NULL) };
	f->loop = loop_new(f->ctx, &err);
	g_assert_no_error(err);
	f->path = in_dir(f, "resolv.conf");
}

static void start(struct fixture *f)
{
	f->w = resolv_watch_new(f->loop, f->path, heard, f);
	g_assert_nonnull(f->w);
}

static void turn(struct fixture *f)
{
	if (!g_main_context_iteration(f->ctx, FALSE))
		g_usleep(1000);
}

static void until(struct fixture *f, const char *server)
{
	int64_t limit = loop_now(NULL) + WAIT_US;
	struct addr want;

	g_assert_true(addr_parse(server, &want, NULL));
	while (!addr_eq(&f->first, &want) && loop_now(NULL) < limit)
		turn(f);
	g_assert_true(addr_eq(&f->first, &want));
}

static void calm(struct fixture *f)
{
	int64_t limit = loop_now(NULL) + CALM_US;
	unsigned calls;

	while (loop_now(NULL) < limit - CALM_US / 2) /* what is under way */
		turn(f);
	calls = f->calls;
	while (loop_now(NULL) < limit)
		turn(f);
	g_assert_cmpuint(f->calls, ==, calls);
}

static void end(struct fixture *f)
{
	char *argv[] = { (char *)"rm", (char *)"-r", f->dir, NULL };

	resolv_watch_free(f->w);
	resolv_watch_free(NULL);
	loop_free(f->loop);
	g_main_context_unref(f->ctx);
	g_assert_true(g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
	g_free(f->dir);
	g_free(f->path);
}

static void in_place(void)
{
	struct fixture f;

	begin(&f);
	put(&f, "resolv.conf", "nameserver 192.0.2.1\n");
	start(&f);
	calm(&f);
	g_assert_cmpuint(f.calls, ==, 0);
	put(&f, "resolv.conf", "nameserver 192.0.2.2\n");
	until(&f, "192.0.2.2");
	calm(&f);
	put(&f, "hosts", "not ours\n");
	calm(&f);
	put(&f, "resolv.conf", "# nobody\n");
	while (f.n)
		turn(&f);
	end(&f);
}

/* Replaced by rename, as most writers do; gone for a while; and again, so the marks follow the new file. */
static void replaced(void)
{
	struct fixture f;
	unsigned calls;

	begin(&f);
	put(&f, "resolv.conf", "nameserver 192.0.2.1\n");
	start(&f);
	put(&f, "new", "nameserver 192.0.2.2\n");
	move(&f, "new", "resolv.conf");
	until(&f, "192.0.2.2");
	put(&f, "resolv.conf", "nameserver 192.0.2.3\n");
	until(&f, "192.0.2.3");
	calm(&f);
	calls = f.calls;
	move(&f, "resolv.conf", "away"); /* what cannot be read changes nothing */
	calm(&f);
	g_assert_cmpuint(f.calls, ==, calls);
	move(&f, "away", "resolv.conf");
	put(&f, "resolv.conf", "nameserver 192.0.2.4\n");
	until(&f, "192.0.2.4");
	end(&f);
}

/* A symlink to a symlink: its target written, replaced, each link swapped. */
static void symlinks(void)
{
	struct fixture f;
	g_autofree char *run = NULL;

	begin(&f);
	run = in_dir(&f, "run");
	g_assert_cmpint(g_mkdir(run, 0700), ==, 0);
	put(&f, "run/stub", "nameserver 192.0.2.1\n");
	put(&f, "run/full", "nameserver 192.0.2.2\n");
	point(&f, "run/current", "stub");
	point(&f, "resolv.conf", "run/current");
	start(&f);
	put(&f, "run/stub", "nameserver 192.0.2.3\n");
	until(&f, "192.0.2.3");
	point(&f, "run/current", "full");
	until(&f, "192.0.2.2");
	put(&f, "run/full.new", "nameserver 192.0.2.4\n");
	move(&f, "run/full.new", "run/full");
	until(&f, "192.0.2.4");
	point(&f, "resolv.conf", "run/stub");
	until(&f, "192.0.2.3");
	calm(&f);
	put(&f, "run/full", "nameserver 192.0.2.9\n"); /* nobody looks there any more */
	calm(&f);
	until(&f, "192.0.2.3");
	end(&f);
}

/* It leads to a directory that comes later, as at boot. */
static void dangling(void)
{
	struct fixture f;
	g_autofree char *run = NULL, *deep = NULL;

	begin(&f);
	run = in_dir(&f, "run");
	deep = in_dir(&f, "run/resolve");
	point(&f, "resolv.conf", "run/resolve/stub");
	start(&f);
	g_assert_cmpint(g_mkdir(run, 0700), ==, 0);
	calm(&f);
	g_assert_cmpint(g_mkdir(deep, 0700), ==, 0);
	calm(&f);
	put(&f, "run/resolve/stub", "nameserver 192.0.2.1\n");
	until(&f, "192.0.2.1");
	end(&f);
}

/* A link that leads to itself is no endless loop. */
static void circle(void)
{
	struct fixture f;

	begin(&f);
	point(&f, "resolv.conf", "resolv.conf");
	start(&f);
	calm(&f);
	point(&f, "new", "nowhere");
	move(&f, "new", "resolv.conf");
	put(&f, "nowhere", "nameserver 192.0.2.1\n");
	until(&f, "192.0.2.1");
	end(&f);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/resolv_watch/in-place", in_place);
	g_test_add_func("/resolv_watch/replaced", replaced);
	g_test_add_func("/resolv_watch/symlinks", symlinks);
	g_test_add_func("/resolv_watch/dangling", dangling);
	g_test_add_func("/resolv_watch/circle", circle);
	return g_test_run();
}
