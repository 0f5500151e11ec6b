/* journal_test.c - what a line looks like, and how many similar ones are said. */
#include "gateway/journal.h"

#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

/* What the journal wrote into the pipe since the last call. */
static void take(int fd, char *buf, size_t size)
{
	ssize_t n = read(fd, buf, size - 1);

	buf[MAX(n, 0)] = '\0';
}

static void test_line(void)
{
	struct journal *j;
	char buf[256];
	int pair[2];

	g_assert_true(g_unix_open_pipe(pair, 0, NULL));
	j = journal_new(pair[1], JOURNAL_WARN);
	journal_say(j, JOURNAL_INFO, "not wanted");
	journal_say(NULL, JOURNAL_ERROR, "nowhere");
	journal_say(j, JOURNAL_WARN, "a %s\x1b[2J\n\xc2\x9b caf\xc3\xa9", "name");
	take(pair[0], buf, sizeof(buf));
	g_assert_cmpstr(buf, ==, "slirpgate: a name?[2J??? caf\xc3\xa9\n");
	journal_free(j);
	close(pair[0]);
	close(pair[1]);
}

static void test_limit(void)
{
	struct journal_limit limit = { 0 };
	struct journal *j;
	char buf[4096];
	int pair[2];

	g_assert_true(g_unix_open_pipe(pair, 0, NULL));
	j = journal_new(pair[1], JOURNAL_DEBUG);
	for (int i = 0; i < JOURNAL_BURST + 7; i++)
		journal_limited(j, &limit, 1000 + i, JOURNAL_INFO, "again");
	journal_limited(j, &limit, 1000 + JOURNAL_PERIOD, JOURNAL_INFO, "later");
	take(pair[0], buf, sizeof(buf));
	g_assert_nonnull(strstr(buf, "slirpgate: later (7 similar suppressed)\n"));
	*strstr(buf, "slirpgate: later") = '\0';
	g_assert_cmpuint(strlen(buf), ==, JOURNAL_BURST * strlen("slirpgate: again\n"));
	journal_free(j);
	close(pair[0]);
	close(pair[1]);
}

static void test_level(void)
{
	enum journal_level level = JOURNAL_ERROR;

	g_assert_true(journal_level_parse("debug", &level));
	g_assert_cmpint(level, ==, JOURNAL_DEBUG);
	g_assert_false(journal_level_parse("Debug", &level));
	g_assert_false(journal_level_parse("", &level));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/journal/line", test_line);
	g_test_add_func("/journal/limit", test_limit);
	g_test_add_func("/journal/level", test_level);
	return g_test_run();
}
