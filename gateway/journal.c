/* journal.c - lines for a person.  Below: write(2).  Above: gateway, gateway/doors. */
#include "gateway/journal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct journal {
	int fd;
	enum journal_level level;
};

static const char *const level_names[] = {
	[JOURNAL_ERROR] = "error",
	[JOURNAL_WARN] = "warn",
	[JOURNAL_INFO] = "info",
	[JOURNAL_DEBUG] = "debug",
};

struct journal *journal_new(int fd, enum journal_level level)
{
	struct journal *j = g_new0(struct journal, 1);

	j->fd = fd;
	j->level = level;
	return j;
}

void journal_free(struct journal *j)
{
	g_free(j);
}

void journal_set_level(struct journal *j, enum journal_level level)
{
	j->level = level;
}

bool journal_level_parse(const char *text, enum journal_level *ret)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(level_names); i++) {
		if (!strcmp(text, level_names[i])) {
			*ret = (enum journal_level)i;
			return true;
		}
	}
	return false;
}

bool journal_wants(const struct journal *j, enum journal_level level)
{
	return j && level <= j->level;
}

int journal_text(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t n = write(fd, text, left);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			left -= (size_t)n;
		}
	}
	return 0;
}

/* Control characters, also those of C1 in UTF-8 (two bytes), are not for a terminal. */
static void defuse(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
		else if (*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
}

static void G_GNUC_PRINTF(3, 0) say(const struct journal *j, uint64_t suppressed, const char *format, va_list args)
{
	g_autofree char *text = g_strdup_vprintf(format, args);
	g_autofree char *tail = suppressed ? g_strdup_printf(" (%" G_GUINT64_FORMAT " similar suppressed)", suppressed) : NULL;
	g_autofree char *line = NULL;

	defuse(text);
	line = g_strconcat("slirpgate: ", text, tail ? tail : "", "\n", NULL);
	journal_text(j->fd, line); /* nobody is left to be told that this failed */
}

void journal_say(const struct journal *j, enum journal_level level, const char *format, ...)
{
	va_list args;

	if (!journal_wants(j, level))
		return;
	va_start(args, format);
	say(j, 0, format, args);
	va_end(args);
}

void journal_limited(const struct journal *j, struct journal_limit *limit, int64_t now, enum journal_level level, const char *format, ...)
{
	uint64_t suppressed;
	va_list args;

	if (!journal_wants(j, level))
		return;
	if (!limit->since || now - limit->since >= JOURNAL_PERIOD) {
		limit->since = now;
		limit->said = 0;
	}
	if (limit->said >= JOURNAL_BURST) {
		limit->suppressed++;
		return;
	}
	limit->said++;
	suppressed = limit->suppressed;
	limit->suppressed = 0;
	va_start(args, format);
	say(j, suppressed, format, args);
	va_end(args);
}
