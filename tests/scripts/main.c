/* main.c - runs script files and prints TAP: one test for each file.
 *
 * script-runner [-v] [--no-fork] FILE|FOLDER...      folders are searched for *.pkt
 * Each script has a process of its own, so that a crash or an endless loop is one failed test.
 * System calls (this is a test program): fork, waitpid, pipe, alarm.
 */
#include "tests/scripts/play.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAIN_SECONDS = 10 }; /* of one script; all of them take milliseconds */

static gint main_order(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void main_collect(GPtrArray *files, const char *path)
{
	g_autoptr(GPtrArray) names = NULL;
	GDir *dir;
	const char *name;

	if (!g_file_test(path, G_FILE_TEST_IS_DIR)) {
		g_ptr_array_add(files, g_strdup(path));
		return;
	}
	dir = g_dir_open(path, 0, NULL);
	names = g_ptr_array_new_with_free_func(g_free);
	while (dir && (name = g_dir_read_name(dir)))
		g_ptr_array_add(names, g_build_filename(path, name, NULL));
	if (dir)
		g_dir_close(dir);
	g_ptr_array_sort(names, main_order);
	for (guint i = 0; i < names->len; i++)
		if (g_file_test(names->pdata[i], G_FILE_TEST_IS_DIR) || g_str_has_suffix(names->pdata[i], ".pkt"))
			main_collect(files, names->pdata[i]);
}

/* Plays one file; the report goes to fd. */
static bool main_play(const char *path, bool verbose, FILE *to)
{
	struct script *s = script_load(path);
	g_autofree char *report = NULL;
	bool fine;

	if (!s) {
		fprintf(to, "# cannot read it\n");
		return false;
	}
	fine = play_run(s, verbose, NULL, &report);
	fputs(report, to);
	script_free(s);
	return fine;
}

static bool main_fork(const char *path, bool verbose, GString *report)
{
	int pipes[2], status = 0;
	char buf[4096];
	ssize_t n;
	pid_t pid;

	fflush(NULL);
	if (pipe(pipes) || (pid = fork()) < 0) {
		g_string_append(report, "# fork failed\n");
		return false;
	}
	if (!pid) {
		FILE *to = fdopen(pipes[1], "w");
		bool fine;

		alarm(MAIN_SECONDS);
		fine = main_play(path, verbose, to);
		fclose(to);
		exit(fine ? 0 : 1);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], buf, sizeof(buf))) > 0)
		g_string_append_len(report, buf, n);
	close(pipes[0]);
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		g_string_append_printf(report, "# ended by signal %d\n", WTERMSIG(status));
	else if (WEXITSTATUS(status) > 1)
		g_string_append_printf(report, "# exit status %d\n", WEXITSTATUS(status));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static bool main_test(const char *path, guint number, bool verbose, bool forks)
{
	struct script *s = script_load(path);
	g_autoptr(GString) report = g_string_new(NULL);
	bool fine;

	if (forks)
		fine = main_fork(path, verbose, report);
	else
		fine = main_play(path, verbose, stdout);
	printf("%s %u - %s: %s\n%s", fine ? "ok" : "not ok", number, path, s ? s->title : "", report->str);
	script_free(s);
	return fine;
}

/* "PATH STATE/event" for each pair that the script shows. */
static bool main_states(const char *path)
{
	g_autoptr(GHashTable) states = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct script *s = script_load(path);
	g_autofree char *report = NULL;
	bool fine = s && play_run(s, false, states, &report);
	GHashTableIter i;
	gpointer name;

	g_hash_table_iter_init(&i, states);
	while (fine && g_hash_table_iter_next(&i, &name, NULL))
		printf("%s %s\n", path, (char *)name);
	script_free(s);
	return fine;
}

int main(int argc, char **argv)
{
	g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
	bool verbose = false, forks = true, states = false, fine = true;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-v"))
			verbose = true;
		else if (!strcmp(argv[i], "--no-fork"))
			forks = false;
		else if (!strcmp(argv[i], "--states"))
			states = true;
		else
			main_collect(files, argv[i]);
	}
	for (guint i = 0; states && i < files->len; i++)
		fine &= main_states(files->pdata[i]);
	if (states)
		return fine && files->len ? 0 : 1;
	printf("1..%u\n", files->len);
	for (guint i = 0; i < files->len; i++)
		fine &= main_test(files->pdata[i], i + 1, verbose, forks);
	return fine && files->len ? 0 : 1;
}
