/* script.h - a script file as text: its lines, their words, numbers and times.
 *
 * What it is: reading and splitting; it knows nothing of TCP.
 * Below: GLib.  Above: everything else in tests/scripts.
 *
 * prefixes: script_ words_
 */
#ifndef TESTS_SCRIPTS_SCRIPT_H
#define TESTS_SCRIPTS_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

enum { WORDS_MAX = 64 };

struct script {
	char *path;
	char *title;  /* the first comment line, without '#' */
	char **lines; /* comments and outer blanks removed; NULL-terminated */
	int n;
};

/* The words of one line; "<a b,c d>" is one word. */
struct words {
	char *w[WORDS_MAX];
	int n, at;
};

struct script *script_load(const char *path); /* NULL: not readable */
void script_free(struct script *s);
/* The index of the "}" that closes the block opened in line `open`, or -1. */
int script_block_end(const struct script *s, int open);

/* "1+44*1448", "0x10", "-3": sums of products; *end is where parsing stopped.  False: no number there. */
bool script_number(const char *text, int64_t *ret, const char **end);
/* "0.25" (seconds), "40ms", "5s", "200us" -> microseconds. */
bool script_time(const char *text, int64_t *ret, const char **end);

bool words_split(const char *text, struct words *ret); /* false: too many words or an open "<" */
void words_clear(struct words *w);
const char *words_next(struct words *w); /* NULL at the end */
const char *words_peek(const struct words *w);
bool words_take(struct words *w, const char *literal); /* consumes the next word if it is this one */
bool words_number(struct words *w, int64_t *ret);      /* consumes the next word, which must be a number as a whole */

#endif
