/* fuzz_control.c - requests to the control socket from any bytes: one line is one answer, which is JSON of the promised shape.
 *
 * There is no gateway behind it: what is tried is the parser, the check of arguments and the table.
 */
#include "gateway/doors/control.h"
#include "gateway/journal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fuzz_shutdown(void *arg)
{
	(void)arg;
}

static void fuzz_check(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal *journal = journal_new(STDERR_FILENO, JOURNAL_ERROR);
	struct control_env env = { .journal = journal, .shutdown = fuzz_shutdown };
	g_autofree char *line = g_strndup((const char *)data, size), *answer = NULL;
	g_autoptr(JsonNode) root = NULL;
	JsonObject *o;

	for (char *p = line; *p; p++) /* a line, as control.c would hand it over */
		if (*p == '\n')
			*p = ' ';
	answer = control_answer(&env, line, strlen(line));
	fuzz_check(answer[strlen(answer) - 1] == '\n' && strchr(answer, '\n') == answer + strlen(answer) - 1);
	root = json_from_string(answer, NULL);
	fuzz_check(root && JSON_NODE_HOLDS_OBJECT(root));
	o = json_node_get_object(root);
	fuzz_check(json_object_has_member(o, "return") != json_object_has_member(o, "error"));
	journal_free(journal);
	return 0;
}
