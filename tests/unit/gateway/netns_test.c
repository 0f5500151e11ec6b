/* netns_test.c - what a failed execvp() means, as a shell says it. */
#include "gateway/netns.h"

#include <errno.h>
#include <glib/gstdio.h>

static void exec_error(void)
{
	g_autofree char *dir = g_dir_make_tmp("netns_test_XXXXXX", NULL), *file = g_build_filename(dir, "plain", NULL);
	g_autofree char *sub = g_build_filename(dir, "folder", NULL), *path = g_strdup_printf("/nonexistent:%s", dir);
	g_autofree char *none = g_strconcat("/nonexistent:", dir, "/folder", NULL);
	const struct {
		const char *name, *path;
		int err, want_err;
		enum netns_error want;
	} row[] = {
		{ "plain", path, EACCES, EACCES, NETNS_ERROR_NOT_EXECUTABLE }, /* there, without its x */
		{ "plain", none, EACCES, ENOENT, NETNS_ERROR_NOT_FOUND },      /* not there; a directory in front of it was closed */
		{ "folder", path, EACCES, ENOENT, NETNS_ERROR_NOT_FOUND },     /* a directory is no command */
		{ "nothing", path, ENOENT, ENOENT, NETNS_ERROR_NOT_FOUND },
		{ "nothing", "", EACCES, ENOENT, NETNS_ERROR_NOT_FOUND },
		{ "/closed/plain", path, EACCES, EACCES, NETNS_ERROR_NOT_EXECUTABLE }, /* named: nothing is searched */
		{ "./plain", path, ENOTDIR, ENOTDIR, NETNS_ERROR_NOT_FOUND },
		{ "plain", path, ENOEXEC, ENOEXEC, NETNS_ERROR_NOT_EXECUTABLE },
		{ "plain", path, ENOMEM, ENOMEM, NETNS_ERROR_NOT_EXECUTABLE },
	};

	g_assert_true(g_file_set_contents(file, "", 0, NULL));
	g_assert_cmpint(g_mkdir(sub, 0700), ==, 0);
	for (size_t i = 0; i < G_N_ELEMENTS(row); i++) {
		int err = row[i].err;

		g_assert_cmpint(netns_exec_error(row[i].name, row[i].path, &err), ==, row[i].want);
		g_assert_cmpint(err, ==, row[i].want_err);
	}
	g_unlink(file);
	g_rmdir(sub);
	g_rmdir(dir);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/netns/exec-error", exec_error);
	return g_test_run();
}
