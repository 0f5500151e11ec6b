/* names_wire.c - names to labels and back.  See names_wire.h. */
#include "slirp/wire/names_wire.h"
#include "slirp/base/bytes.h"

enum {
	POINTER = 0xc0,
	POINTER_MAX = 0x3fff,
	LABELS_MAX = 256, /* places in one list that a pointer may lead to; more are written out */
};

/* What is being written: the places of all labels so far. */
struct names {
	uint8_t *p;
	uint32_t len, room;
	uint16_t at[LABELS_MAX];
	uint32_t n_at;
	bool compress;
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Length of the label at text, which ends before a dot or `end`. */
static uint32_t label_len(const char *text, const char *end)
{
	const char *dot = memchr(text, '.', (size_t)(end - text));

	return (uint32_t)((dot ? dot : end) - text);
}

static const char *label_next(const char *text, const char *end)
{
	text += label_len(text, end);
	return text < end ? text + 1 : text;
}

/* Each label 1..63, the whole at most 255 on the wire. */
static bool name_good(const char *text, const char *end)
{
	if (text == end || end - text + 2 > NAMES_NAME_MAX)
		return false;
	for (; text < end; text = label_next(text, end))
		if (!label_len(text, end) || label_len(text, end) > NAMES_LABEL_MAX)
			return false;
	return true;
}

/* Is the name written at `off` the one in text?  Everything below p + len was written by us, so its pointers are good. */
static bool name_same(const struct names *w, uint32_t off, const char *text, const char *end)
{
	for (;;) {
		while (w->p[off] >= POINTER)
			off = bytes_get16(w->p + off) & POINTER_MAX;
		if (!w->p[off] || text == end)
			return !w->p[off] && text == end;
		if (w->p[off] != label_len(text, end))
			return false;
		for (uint32_t i = 0; i < w->p[off]; i++)
			if (lower((char)w->p[off + 1 + i]) != lower(text[i]))
				return false;
		off += 1u + w->p[off];
		text = label_next(text, end);
	}
}

/* The place of an earlier name that is equal to this suffix, or -1. */
static int name_find(const struct names *w, uint32_t n_at, const char *text, const char *end)
{
	for (uint32_t i = 0; w->compress && i < n_at; i++)
		if (name_same(w, w->at[i], text, end))
			return w->at[i];
	return -1;
}

/* False: no room; nothing is written. */
static bool name_put(struct names *w, const char *text, const char *end)
{
	uint32_t len = w->len, n_at = w->n_at, known = w->n_at;
	int found = -1;

	while (text < end && (found = name_find(w, known, text, end)) < 0) {
		uint32_t n = label_len(text, end);

		if (w->room - len < n + 1)
			return false;
		if (n_at < LABELS_MAX && len <= POINTER_MAX)
			w->at[n_at++] = (uint16_t)len;
		w->p[len] = (uint8_t)n;
		memcpy(w->p + len + 1, text, n);
		len += n + 1;
		text = label_next(text, end);
	}
	if (w->room - len < (found < 0 ? 1u : 2u))
		return false;
	if (found < 0) {
		w->p[len++] = 0;
	} else {
		bytes_put16(w->p + len, (uint16_t)(POINTER << 8 | found));
		len += 2;
	}
	w->len = len;
	w->n_at = n_at;
	return true;
}

uint32_t names_wire_put(uint8_t *p, uint32_t room, const char *list, bool compress)
{
	struct names w = { .p = p, .room = room, .compress = compress };

	while (*list) {
		size_t n = strcspn(list, " ");
		const char *end = list + n;

		if (n > 1 && end[-1] == '.')
			end--;
		if (name_good(list, end) && !name_put(&w, list, end))
			break;
		list += n + (list[n] == ' ');
	}
	return w.len;
}

/* One name from `off` on; returns where the next one begins, 0: malformed. */
static uint32_t name_get(const uint8_t *p, uint32_t len, uint32_t off, bool compressed, char *text, uint32_t room, uint32_t *used)
{
	uint32_t next = 0, low = off, wire = 0;

	while (off < len && p[off]) {
		uint32_t n = p[off];

		if (n >= POINTER) {
			if (!compressed || len - off < 2)
				return 0;
			if (!next)
				next = off + 2;
			off = bytes_get16(p + off) & POINTER_MAX;
			if (off >= low) /* only backwards, so it ends */
				return 0;
			low = off;
			continue;
		}
		wire += n + 1;
		if (n > NAMES_LABEL_MAX || len - off <= n || wire >= NAMES_NAME_MAX || room - *used < n + 2)
			return 0;
		if (memchr(p + off + 1, ' ', n) || memchr(p + off + 1, '.', n) || memchr(p + off + 1, 0, n))
			return 0;
		memcpy(text + *used, p + off + 1, n);
		*used += n;
		text[(*used)++] = '.';
		off += n + 1;
	}
	if (off >= len || !wire)
		return 0;
	text[*used - 1] = ' ';
	return next ? next : off + 1;
}

bool names_wire_get(const uint8_t *p, uint32_t len, bool compressed, char *text, uint32_t room)
{
	uint32_t used = 0;

	if (!room)
		return false;
	for (uint32_t off = 0; off < len;) {
		off = name_get(p, len, off, compressed, text, room, &used);
		if (!off) {
			*text = '\0';
			return false;
		}
	}
	text[used ? used - 1 : 0] = '\0';
	return true;
}
