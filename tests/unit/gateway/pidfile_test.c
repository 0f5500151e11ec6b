/* pidfile_test.c - a PID file made, held, replaced and taken away. */
#include "gateway/pidfile.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
	char *dir, *path;
};

static void place_make(struct place *p, gconstpointer data)
{
	p->dir = g_dir_make_tmp("pidfile-XXXXXX", NULL);
	p->path = g_build_filename(p->dir, "pid", NULL);
}

static void place_clear(struct place *p, gconstpointer data)
{
	g_remove(p->path);
	g_assert_cmpint(g_rmdir(p->dir), ==, 0); /* nothing else is left behind */
	g_free(p->dir);
	g_free(p->path);
}

static void put(const struct place *p, const char *text)
{
	g_assert_true(g_file_set_contents(p->path, text, -1, NULL));
}

static void holds(const struct place *p, const char *want)
{
	g_autofree char *text = NULL;

	g_assert_true(g_file_get_contents(p->path, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, want);
}

static void test_life(struct place *p, gconstpointer data)
{
	g_autofree char *own = g_strdup_printf("%d\n", (int)getpid());
	g_autoptr(GError) err = NULL;
	int fd = pidfile_write(p->path, &err);

	g_assert_no_error(err);
	g_assert_cmpint(fd, >=, 0);
	holds(p, own);
	pidfile_remove(p->path, fd);
	g_assert_false(g_file_test(p->path, G_FILE_TEST_EXISTS));
	pidfile_remove(p->path, -1);
}

static void test_held(struct place *p, gconstpointer data)
{
	g_autofree char *own = g_strdup_printf("%d\n", (int)getpid());
	g_autoptr(GError) first = NULL;
	g_autoptr(GError) second = NULL;
	int fd = pidfile_write(p->path, NULL);

	g_assert_cmpint(fd, >=, 0);
	g_assert_false(pidfile_check(p->path, &first));
	g_assert_nonnull(strstr(first->message, "running"));
	g_assert_cmpint(pidfile_write(p->path, &second), ==, -1);
	g_assert_nonnull(second);
	holds(p, own);
	pidfile_remove(p->path, fd);
}

static void test_stale(struct place *p, gconstpointer data)
{
	static const char *const texts[] = { "", "1", "1\n", "4194303\n" };

	for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
		int fd;

		put(p, texts[i]);
		g_assert_true(pidfile_check(p->path, NULL));
		fd = pidfile_write(p->path, NULL);
		g_assert_cmpint(fd, >=, 0);
		pidfile_remove(p->path, fd);
		g_assert_false(g_file_test(p->path, G_FILE_TEST_EXISTS));
	}
}

/* A process that was killed leaves its file, and nobody holds it. */
static void test_killed(struct place *p, gconstpointer data)
{
	pid_t pid = fork();
	int status, fd;

	if (pid == 0)
		_exit(pidfile_write(p->path, NULL) < 0);
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_cmpint(status, ==, 0);
	g_assert_true(g_file_test(p->path, G_FILE_TEST_EXISTS));
	fd = pidfile_write(p->path, NULL);
	g_assert_cmpint(fd, >=, 0);
	pidfile_remove(p->path, fd);
}

static void test_other_kinds(struct place *p, gconstpointer data)
{
	static const char *const texts[] = { "dear reader\n", "12 34\n", "-1\n", "123456789012345678901234567890\nx" };
	g_autoptr(GError) folder = NULL;

	for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(GError) err = NULL;

		put(p, texts[i]);
		g_assert_false(pidfile_check(p->path, &err));
		g_assert_nonnull(err);
		g_assert_cmpint(pidfile_write(p->path, NULL), ==, -1);
		holds(p, texts[i]);
	}
	g_assert_false(pidfile_check(p->dir, &folder));
	g_assert_nonnull(folder);
}

static void test_replaced_by_another(struct place *p, gconstpointer data)
{
	int fd = pidfile_write(p->path, NULL);

	g_remove(p->path);
	put(p, "7\n");
	pidfile_remove(p->path, fd);
	holds(p, "7\n");
}

static void test_no_folder(struct place *p, gconstpointer data)
{
	g_autofree char *path = g_build_filename(p->dir, "none", "pid", NULL);
	g_autoptr(GError) err = NULL;

	g_assert_cmpint(pidfile_write(path, &err), ==, -1);
	g_assert_nonnull(strstr(err->message, path));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *path;
		void (*fn)(struct place *p, gconstpointer data);
	} tests[] = {
		{ "/pidfile/life", test_life },
		{ "/pidfile/held", test_held },
		{ "/pidfile/stale", test_stale },
		{ "/pidfile/killed", test_killed },
		{ "/pidfile/other_kinds", test_other_kinds },
		{ "/pidfile/replaced_by_another", test_replaced_by_another },
		{ "/pidfile/no_folder", test_no_folder },
	};

	g_test_init(&argc, &argv, NULL);
	for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].path, struct place, NULL, place_make, tests[i].fn, place_clear);
	return g_test_run();
}
