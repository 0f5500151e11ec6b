/* journal.h - what the program says to a person.
 *
 * What it is: the only place that prints.  A line is "slirpgate: text", leaves by one write(2), and bytes that could play tricks with a
 * terminal (a guest chooses some of them) become '?'.
 * What it is not: a counter; packets are counted by reason (slirp/base/reason.h) and hot paths never come here below level debug.
 * Below: nothing.  Above: gateway, gateway/doors.  syscalls: write
 */
#ifndef GATEWAY_JOURNAL_H
#define GATEWAY_JOURNAL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum journal_level {
	JOURNAL_ERROR,
	JOURNAL_WARN,
	JOURNAL_INFO,
	JOURNAL_DEBUG,
};

enum {
	JOURNAL_BURST = 5,	   /* similar lines said per period */
	JOURNAL_PERIOD = 10000000, /* microseconds */
};

struct journal;

/* Says lines up to level on fd, which stays the caller's. */
struct journal *journal_new(int fd, enum journal_level level);
void journal_free(struct journal *j);

/* From now on. */
void journal_set_level(struct journal *j, enum journal_level level);

/* "error", "warn", "info" or "debug". */
bool journal_level_parse(const char *text, enum journal_level *ret);

/* Whether a line of this level would be said: for callers whose text is costly to make. */
bool journal_wants(const struct journal *j, enum journal_level level);

/* A NULL journal says nothing. */
void journal_say(const struct journal *j, enum journal_level level, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* One per kind of line that an outsider can repeat; zeroed by its owner. */
struct journal_limit {
	int64_t since; /* start of the period, 0: none yet */
	unsigned said;
	uint64_t suppressed;
};

/* As journal_say(), at most JOURNAL_BURST lines per JOURNAL_PERIOD; the next line said tells how many similar ones were not. */
void journal_limited(const struct journal *j, struct journal_limit *limit, int64_t now, enum journal_level level, const char *format, ...)
	G_GNUC_PRINTF(5, 6);

/* Text that was asked for (help, counters, a report), as it is, to fd.  Returns 0 or -errno. */
int journal_text(int fd, const char *text);

#endif
