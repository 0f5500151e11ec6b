/* tftp_file_test.c - which names lead to a file, with openat2() and without it, and where the directory goes. */
#include "gateway/tftp_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* TOP/secret, TOP/served/...: the latter is what may be read. */
struct tree {
	char *top, *served;
};

static char *below(const struct tree *t, const char *name)
{
	return g_build_filename(t->served, name, NULL);
}

static void put(const struct tree *t, const char *name, const char *text)
{
	g_autofree char *path = below(t, name);

	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void link_to(const struct tree *t, const char *name, const char *text)
{
	g_autofree char *path = below(t, name);

	g_assert_cmpint(symlink(text, path), ==, 0);
}

static void make(struct tree *t)
{
	g_autofree char *sub = NULL, *fifo = NULL, *absolute = NULL;

	t->top = g_dir_make_tmp("slirpgate-XXXXXX", NULL);
	g_assert_nonnull(t->top);
	t->served = g_build_filename(t->top, "served", NULL);
	sub = below(t, "sub/deep");
	g_assert_cmpint(g_mkdir_with_parents(sub, 0700), ==, 0);
	put(t, "../secret", "secret");
	put(t, "file", "12345");
	put(t, "sub/deep/er", "deep");
	link_to(t, "good", "sub/./deep//er");
	link_to(t, "sub/up", "../file");
	link_to(t, "chain", "sub/up");
	link_to(t, "dir", "sub/deep");
	link_to(t, "out", "../secret");
	link_to(t, "sub/out", "../../secret");
	link_to(t, "in", "../served/file");
	link_to(t, "loop", "loop");
	link_to(t, "gone", "nothing");
	absolute = below(t, "file");
	link_to(t, "absolute", absolute);
	link_to(t, "proc", "/proc/self/cwd");
	fifo = below(t, "fifo");
	g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
}

static void drop(struct tree *t)
{
	const char *argv[] = { "rm", "-rf", t->top, NULL };

	g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
	g_free(t->top);
	g_free(t->served);
}

/* What a name leads to: the text, or its error. */
static const struct {
	const char *name, *text;
	int err;	/* of tftp_file_open() */
	int err_walk;	/* 0: as above */
} rows[] = {
	{ "file", "12345", 0, 0 },
	{ "./file", "12345", 0, 0 },
	{ "sub/deep/er", "deep", 0, 0 },
	{ "sub//deep/./er", "deep", 0, 0 },
	{ "good", "deep", 0, 0 },
	{ "sub/up", "12345", 0, 0 },
	{ "chain", "12345", 0, 0 },
	{ "dir/er", "deep", 0, 0 },
	{ "nothing", NULL, ENOENT, 0 },
	{ "gone", NULL, ENOENT, 0 },
	{ "file/er", NULL, ENOTDIR, 0 },
	{ "sub/nothing/er", NULL, ENOENT, 0 },
	{ "out", NULL, EACCES, EXDEV },
	{ "sub/out", NULL, EACCES, EXDEV },
	{ "in", NULL, EACCES, EXDEV }, /* by a way around */
	{ "absolute", NULL, EACCES, EXDEV },
	{ "proc", NULL, EACCES, EXDEV },
	{ "proc/file", NULL, EACCES, EXDEV },
	{ "loop", NULL, EACCES, ELOOP },
	{ "sub", NULL, EACCES, EISDIR },
	{ "dir", NULL, EACCES, EISDIR },
	{ ".", NULL, EACCES, EISDIR },
};

static void check_text(int fd, const char *text)
{
	char buf[64];
	ssize_t n = read(fd, buf, sizeof(buf));

	g_assert_cmpmem(buf, n, text, strlen(text));
	g_assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

static void test_names(void)
{
	static const char *const never[] = { "", "/", "file/", "..", "../secret", "/../secret", "sub/../file", "sub/..", "fifo", "sub/../../secret" };
	struct tftp_dir d;
	struct tree t;
	uint64_t size;

	make(&t);
	tftp_dir_init(&d, t.served);
	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		int fd = tftp_file_open(&d, rows[i].name, &size);

		g_test_message("%s", rows[i].name);
		g_assert_cmpint(MIN(fd, 0), ==, -rows[i].err);
		if (fd >= 0) {
			g_assert_cmpuint(size, ==, strlen(rows[i].text));
			check_text(fd, rows[i].text);
		}
	}
	for (unsigned i = 0; i < G_N_ELEMENTS(never); i++)
		g_assert_cmpint(tftp_file_open(&d, never[i], &size), ==, -EACCES);
	check_text(tftp_file_open(&d, "//file", &size), "12345");
	tftp_dir_clear(&d);
	drop(&t);
}

/* What is left where openat2() is missing; no descriptor stays behind. */
static void test_walk(void)
{
	char many[FILENAME_MAX + 100];
	int dir, probe, fd;
	struct tree t;

	make(&t);
	dir = open(t.served, O_PATH | O_DIRECTORY | O_CLOEXEC);
	probe = dup(dir);
	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		fd = tftp_file_walk(dir, rows[i].name);
		g_test_message("%s", rows[i].name);
		g_assert_cmpint(MIN(fd, 0), ==, -(rows[i].err_walk ? rows[i].err_walk : rows[i].err));
		if (fd >= 0)
			check_text(fd, rows[i].text);
	}
	g_assert_cmpint(tftp_file_walk(dir, "../secret"), ==, -EXDEV);
	g_assert_cmpint(tftp_file_walk(dir, "sub/../../secret"), ==, -EXDEV);
	check_text(tftp_file_walk(dir, "sub/deep/../../file"), "12345");
	memset(many, 'a', sizeof(many));
	many[300] = '\0';
	g_assert_cmpint(tftp_file_walk(dir, many), ==, -ENAMETOOLONG);
	memset(many, '/', sizeof(many));
	many[sizeof(many) - 1] = '\0';
	g_assert_cmpint(tftp_file_walk(dir, many), ==, -ENAMETOOLONG);
	fd = dup(dir);
	g_assert_cmpint(fd, ==, probe + 1);
	close(fd);
	close(probe);
	close(dir);
	drop(&t);
}

/* The directory may come later, move, and be replaced. */
static void test_directory(void)
{
	g_autofree char *later = NULL, *moved = NULL;
	struct tftp_dir d;
	struct tree t;
	uint64_t size;

	make(&t);
	later = g_build_filename(t.top, "later", NULL);
	moved = g_build_filename(t.top, "moved", NULL);
	tftp_dir_init(&d, later);
	g_assert_cmpint(tftp_file_open(&d, "file", &size), ==, -ENOENT);
	g_assert_cmpint(g_rename(t.served, later), ==, 0);
	check_text(tftp_file_open(&d, "file", &size), "12345");
	g_assert_cmpint(g_rename(later, moved), ==, 0);
	check_text(tftp_file_open(&d, "file", &size), "12345");
	tftp_dir_clear(&d);
	g_assert_cmpint(g_mkdir(later, 0700), ==, 0);
	tftp_dir_init(&d, later);
	g_assert_cmpint(g_rmdir(later), ==, 0);
	g_assert_cmpint(g_rename(moved, later), ==, 0);
	check_text(tftp_file_open(&d, "file", &size), "12345");
	tftp_dir_clear(&d);
	drop(&t);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/tftp_file/names", test_names);
	g_test_add_func("/tftp_file/walk", test_walk);
	g_test_add_func("/tftp_file/directory", test_directory);
	return g_test_run();
}
