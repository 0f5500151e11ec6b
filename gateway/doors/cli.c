/* cli.c - main(): the commands of `slirpgate`, rows of a table.
 *
 * What it is not: a parser of any command's own options (cli_run_args.c, cli_attach_args.c, cli_doctor.c).
 * Exit status: 2 for a wrong command line, 1 for what fails later; cli_run.c has its own rules.
 */
#include "gateway/doors/cli.h"

#include "gateway/doors/cli_option.h"
#include "gateway/journal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name, *help;
	int (*main)(int argc, char **argv);
} commands[] = {
	{ "run", "a command in a network namespace of its own, no root needed", cli_run },
	{ "attach", "a network namespace that exists already", cli_attach },
	{ "ctl", "asks a running gateway, or changes it", cli_ctl },
	{ "doctor", "what this machine lacks, and the remedy", cli_doctor },
	{ "wrap", "a program built for libslirp (QEMU, slirp4netns), on this one", cli_wrap },
};

struct top_args {
	bool help, version;
};

static bool set_version(void *ctx, const char *value, GError **err)
{
	((struct top_args *)ctx)->version = true;
	return true;
}

static bool set_help(void *ctx, const char *value, GError **err)
{
	((struct top_args *)ctx)->help = true;
	return true;
}

static const struct cli_option options[] = {
	{ 'V', "version", NULL, "name and version", set_version },
	{ 'h', "help", NULL, "this text; slirpgate COMMAND --help: the command's", set_help },
	{ 0, NULL, NULL, NULL, NULL },
};

static char *help_text(void)
{
	GString *s = g_string_new("Usage: slirpgate COMMAND [OPTIONS]\n"
				  "\n"
				  "A user-mode network gateway: carries a guest's connections over ordinary sockets.\n"
				  "\n");
	g_autofree char *rows = cli_option_help(options, NULL);

	for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++)
		g_string_append_printf(s, "  %-8s%s\n", commands[i].name, commands[i].help);
	g_string_append_printf(s, "\n%s\nMore in slirpgate(1).\n", rows);
	return g_string_free(s, FALSE);
}

static int usage_error(const char *what, const char *word)
{
	struct journal *journal = journal_new(STDERR_FILENO, JOURNAL_ERROR);

	journal_say(journal, JOURNAL_ERROR, "%s%s; see slirpgate --help", what, word);
	journal_free(journal);
	return CLI_EXIT_USAGE;
}

static int print(const char *text)
{
	return journal_text(STDOUT_FILENO, text) < 0 ? CLI_EXIT_RUNTIME : 0;
}

/* A caller may leave standard descriptors closed; ours must not take their numbers. */
static void hold_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct top_args args = { 0 };
	g_autoptr(GError) err = NULL;
	g_autofree char *text = help_text();
	int used = argc > 0 ? cli_option_parse(options, &args, argc - 1, argv + 1, &err) + 1 : 0;

	hold_standard_descriptors();
	if (err)
		return usage_error("", err->message);
	if (args.help)
		return print(text);
	if (args.version)
		return print("slirpgate " SLIRPGATE_VERSION "\n");
	if (used >= argc)
		return usage_error("a command is missing", "");
	for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
		if (!strcmp(argv[used], commands[i].name))
			return commands[i].main(argc - used - 1, argv + used + 1);
	}
	return usage_error("no such command: ", argv[used]);
}
