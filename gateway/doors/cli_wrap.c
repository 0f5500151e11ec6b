/* cli_wrap.c - `slirpgate wrap`: a program that was built for libslirp, run on ours.
 *
 * What it is: LD_LIBRARY_PATH, and exec.  Nothing of us stays.
 * Exit status: the command's; 125 when the library is not there, 126 and 127 when the command cannot be run or is not found, as env(1).
 * Below: cli_option.h, journal.h.  Above: cli.c.
 */
#include "gateway/doors/cli.h"
#include "gateway/doors/cli_option.h"
#include "gateway/journal.h"

#include <errno.h>
#include <glib.h>
#include <unistd.h>

enum { WRAP_EXIT_FAILED = 125, WRAP_EXIT_CANNOT = 126, WRAP_EXIT_NOT_FOUND = 127 };

#define LIBRARY_NAME "libslirp.so.0"

struct wrap_args {
	const char *library; /* NULL: wrap_default() */
	bool help;
};

static bool set_library(void *ctx, const char *value, GError **err)
{
	((struct wrap_args *)ctx)->library = value;
	return true;
}

static bool set_help(void *ctx, const char *value, GError **err)
{
	((struct wrap_args *)ctx)->help = true;
	return true;
}

static const struct cli_option options[] = {
	{ 0, "library", "DIR", "where libslirp.so.0 is; default: where it was built or installed", set_library },
	{ 'h', "help", NULL, "this text", set_help },
	{ 0, NULL, NULL, NULL, NULL },
};

static const char help[] = "Usage: slirpgate wrap [OPTIONS] [--] COMMAND [ARGUMENTS]\n"
			   "\n"
			   "Runs COMMAND with slirpgate's libslirp.so.0 in place of the system's: qemu-system-x86_64 -netdev user, slirp4netns.\n"
			   "\n";

/* Where this program was built, if that is where it is, or else where the library was installed. */
static char *wrap_default(void)
{
	g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *at = program ? g_path_get_dirname(program) : g_strdup(".");
	g_autofree char *dir = g_build_filename(at, "gateway", "doors", NULL);
	g_autofree char *library = g_build_filename(dir, LIBRARY_NAME, NULL);

	return g_strdup(program && !access(library, F_OK) ? dir : SLIRPGATE_LIBRARY);
}

/* In front of what is there already. */
static void wrap_path(const char *dir)
{
	const char *before = g_getenv("LD_LIBRARY_PATH");
	g_autofree char *path = before && *before ? g_strconcat(dir, ":", before, NULL) : g_strdup(dir);

	g_setenv("LD_LIBRARY_PATH", path, TRUE);
}

static int wrap_exec(const struct journal *journal, const char *dir, char **argv)
{
	g_autofree char *library = g_build_filename(dir, LIBRARY_NAME, NULL);
	int e;

	if (access(library, 04)) { /* to read */
		journal_say(journal, JOURNAL_ERROR, "wrap: %s: %s", library, g_strerror(errno));
		return WRAP_EXIT_FAILED;
	}
	wrap_path(dir);
	execvp(argv[0], argv);
	e = errno;
	journal_say(journal, JOURNAL_ERROR, "wrap: %s: %s", argv[0], g_strerror(e));
	return e == ENOENT ? WRAP_EXIT_NOT_FOUND : WRAP_EXIT_CANNOT;
}

int cli_wrap(int argc, char **argv)
{
	struct journal *journal = journal_new(STDERR_FILENO, JOURNAL_WARN);
	struct wrap_args args = { 0 };
	g_autoptr(GError) err = NULL;
	int used = cli_option_parse(options, &args, argc, argv, &err), status = CLI_EXIT_USAGE;

	if (used < 0) {
		journal_say(journal, JOURNAL_ERROR, "wrap: %s", err->message);
	} else if (args.help) {
		g_autofree char *rows = cli_option_help(options, NULL);
		g_autofree char *text = g_strconcat(help, rows, NULL);

		status = journal_text(STDOUT_FILENO, text) < 0 ? CLI_EXIT_RUNTIME : 0;
	} else if (used == argc) {
		journal_say(journal, JOURNAL_ERROR, "wrap: a command is missing");
	} else {
		g_autofree char *dir = args.library ? g_canonicalize_filename(args.library, NULL) : wrap_default(); /* the command may go elsewhere */

		status = wrap_exec(journal, dir, argv + used);
	}
	journal_free(journal);
	return status;
}
