/* cli_doctor.c - `slirpgate doctor`: what this machine lacks, and the remedy.
 *
 * Below: probe.h (the abilities themselves), cli_report.h.  Above: cli.c.
 */
#include "gateway/doors/cli.h"
#include "gateway/doors/cli_option.h"
#include "gateway/doors/cli_report.h"
#include "gateway/journal.h"
#include "gateway/probe.h"

#include <unistd.h>

struct doctor_args {
	bool json, help;
};

static bool set_json(void *ctx, const char *value, GError **err)
{
	((struct doctor_args *)ctx)->json = true;
	return true;
}

static bool set_help(void *ctx, const char *value, GError **err)
{
	((struct doctor_args *)ctx)->help = true;
	return true;
}

static const struct cli_option options[] = {
	{ 0, "json", NULL, "one JSON object for jq", set_json },
	{ 'h', "help", NULL, "this text", set_help },
	{ 0, NULL, NULL, NULL, NULL },
};

static const char help[] = "Usage: slirpgate doctor [OPTIONS]\n"
			   "\n"
			   "Tries what `slirpgate run` needs and uses, and names the remedy for what is missing.\n"
			   "Exit status: 0 when everything needed is there, 1 when not, 2 wrong usage.\n"
			   "\n";

static void row_text(GString *s, const struct probe *p, const struct probe_result *r)
{
	if (r->ok)
		g_string_append_printf(s, "ok       %s: %s\n", p->name, r->found);
	else if (p->needed)
		g_string_append_printf(s, "MISSING  %s: %s; remedy: %s\n", p->name, r->found, r->remedy);
	else
		g_string_append_printf(s, "MISSING  (optional) %s: %s; without it %s; remedy: %s\n", p->name, r->found, p->without, r->remedy);
}

static void row_json(GString *s, const struct probe *p, const struct probe_result *r)
{
	g_string_append_printf(s, "%s{\"name\":\"%s\",\"ok\":%s,\"needed\":%s,\"found\":", s->len ? "," : "", p->name, r->ok ? "true" : "false",
			       p->needed ? "true" : "false");
	cli_report_json_string(s, r->found);
	if (!r->ok) {
		g_string_append(s, ",\"remedy\":");
		cli_report_json_string(s, r->remedy);
	}
	g_string_append_c(s, '}');
}

static int examine(bool json)
{
	g_autoptr(GString) rows = g_string_new(NULL);
	g_autofree char *text = NULL;
	bool fit = true;

	for (const struct probe *p = probe_list; p->name; p++) {
		struct probe_result r = { 0 };

		p->run(&r);
		fit = fit && (r.ok || !p->needed);
		if (json)
			row_json(rows, p, &r);
		else
			row_text(rows, p, &r);
		g_free(r.found);
	}
	text = json ? g_strdup_printf("{\"ok\":%s,\"checks\":[%s]}\n", fit ? "true" : "false", rows->str) : g_strdup(rows->str);
	return journal_text(STDOUT_FILENO, text) == 0 && fit ? 0 : CLI_EXIT_RUNTIME;
}

int cli_doctor(int argc, char **argv)
{
	struct journal *journal = journal_new(STDERR_FILENO, JOURNAL_WARN);
	struct doctor_args args = { 0 };
	g_autoptr(GError) err = NULL;
	int used = cli_option_parse(options, &args, argc, argv, &err);
	int status;

	if (used < 0) {
		journal_say(journal, JOURNAL_ERROR, "doctor: %s", err->message);
		status = CLI_EXIT_USAGE;
	} else if (used < argc) {
		journal_say(journal, JOURNAL_ERROR, "doctor: %s: takes no arguments", argv[used]);
		status = CLI_EXIT_USAGE;
	} else if (args.help) {
		g_autofree char *rows = cli_option_help(options, NULL);
		g_autofree char *text = g_strconcat(help, rows, NULL);

		status = journal_text(STDOUT_FILENO, text) < 0 ? CLI_EXIT_RUNTIME : 0;
	} else {
		status = examine(args.json);
	}
	journal_free(journal);
	return status;
}
