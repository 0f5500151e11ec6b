/* notation.c - one TCP segment as text.  See notation.h. */
#include "tests/scripts/notation.h"

#include <string.h>

static const char notation_letters[] = "FSRPxUEW"; /* by bit; '.' is ACK */

static bool notation_flags(const char *text, uint8_t *ret)
{
	uint8_t flags = 0;

	if (!strcmp(text, "-")) { /* no flag at all */
		*ret = 0;
		return true;
	}
	for (; *text; text++) {
		const char *at = strchr(notation_letters, *text);

		if (*text == '.')
			flags |= TCP_ACK;
		else if (at && *text != 'x')
			flags |= (uint8_t)(1 << (at - notation_letters));
		else
			return false;
	}
	*ret = flags;
	return true;
}

/* "1:11(10)", "1:11" or "1+5*2:11" */
static const char *notation_range(const char *text, struct notation *n)
{
	int64_t seq, end, len;

	if (!script_number(text, &seq, &text) || *text != ':')
		return "sequence numbers are written FROM:TO(LENGTH)";
	if (!script_number(text + 1, &end, &text))
		return "a number is missing behind ':'";
	if (*text == '(') {
		if (!script_number(text + 1, &len, &text) || strcmp(text, ")"))
			return "the length is written (N)";
		if (seq + len != end)
			return "FROM + LENGTH is not TO";
	} else if (*text) {
		return "something stands behind the sequence numbers";
	}
	n->has_seq = true;
	n->seq = (uint32_t)seq;
	n->end = (uint32_t)end;
	return NULL;
}

static bool notation_value(const char *text, uint32_t *ret, bool *any)
{
	int64_t v;

	if (!text)
		return false;
	*any = !strcmp(text, "*");
	if (*any)
		return true;
	if (!script_number(text, &v, &text) || *text)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool notation_sack(struct words *w, struct notation_opts *o)
{
	o->has_sack = true;
	while (words_peek(w)) {
		struct notation r = { 0 };

		if (o->n_sack == TCP_SACK_MAX || notation_range(words_next(w), &r))
			return false;
		o->sack[o->n_sack++] = (struct tcp_range){ r.seq, r.end };
	}
	return true;
}

static bool notation_junk(const char *hex, struct notation_opts *o)
{
	o->junk = g_byte_array_new();
	for (; hex && hex[0] && hex[1]; hex += 2) {
		uint8_t b = (uint8_t)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));

		g_byte_array_append(o->junk, &b, 1);
	}
	return hex && !*hex;
}

static bool notation_option(struct words *w, struct notation_opts *o)
{
	if (words_take(w, "nop") || words_take(w, "eol"))
		return true;
	if (words_take(w, "sackOK"))
		return o->has_sackok = true;
	if (words_take(w, "nots"))
		return o->no_ts = true;
	if (words_take(w, "mss"))
		return (o->has_mss = true) && notation_value(words_next(w), &o->mss, &o->any_mss);
	if (words_take(w, "wscale"))
		return (o->has_wscale = true) && notation_value(words_next(w), &o->wscale, &o->any_wscale);
	if (words_take(w, "sack"))
		return notation_sack(w, o);
	if (words_take(w, "hex"))
		return notation_junk(words_next(w), o);
	if (words_take(w, "TS")) {
		o->has_ts = true;
		return words_take(w, "val") && notation_value(words_next(w), &o->tsval, &o->any_tsval) &&
		       words_take(w, "ecr") && notation_value(words_next(w), &o->tsecr, &o->any_tsecr);
	}
	return false;
}

/* "<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>" */
static const char *notation_opts(const char *text, struct notation_opts *o)
{
	g_autofree char *inner = g_strndup(text + 1, strlen(text) - 2);
	g_auto(GStrv) parts = g_strsplit(inner, ",", -1);

	o->written = true;
	for (int i = 0; parts[i]; i++) {
		struct words w;
		bool good;

		if (!*g_strstrip(parts[i]))
			continue;
		good = words_split(parts[i], &w) && notation_option(&w, o) && !words_peek(&w);
		words_clear(&w);
		if (!good)
			return "an option between < and > is not understood";
	}
	return NULL;
}

static const char *notation_window(struct words *w, struct notation *n)
{
	const char *text = words_next(w);
	bool any;

	if (!text)
		return "a number is missing behind wnd";
	n->wnd_op = '=';
	if (g_str_has_prefix(text, "<=") || g_str_has_prefix(text, ">=")) {
		n->wnd_op = text[0];
		text += 2;
	}
	if (!notation_value(text, &n->wnd, &any) || any)
		return "wnd wants a number of bytes: wnd 1000, wnd <=1000, wnd >=1000";
	return NULL;
}

const char *notation_parse(struct words *w, struct notation *ret)
{
	const char *next = words_next(w), *wrong = NULL;
	bool any = false;

	memset(ret, 0, sizeof(*ret));
	if (!next || !notation_flags(next, &ret->flags))
		return "flags are letters of S F R P U E W and '.', or '-' for none";
	next = words_peek(w);
	if (next && g_ascii_isdigit(*next) && strchr(next, ':'))
		wrong = notation_range(words_next(w), ret);
	while (!wrong && (next = words_peek(w))) {
		if (words_take(w, "ack")) {
			ret->has_ack = true;
			if (!notation_value(words_next(w), &ret->ack, &any) || any)
				wrong = "a number is missing behind ack";
		} else if (words_take(w, "win")) {
			if (!notation_value(words_next(w), &ret->win, &any))
				wrong = "a number or * is missing behind win";
			ret->has_win = !any;
		} else if (words_take(w, "wnd")) {
			wrong = notation_window(w, ret);
		} else if (*next == '<') {
			wrong = notation_opts(words_next(w), &ret->opts);
		} else {
			break;
		}
	}
	return wrong;
}

void notation_clear(struct notation *n)
{
	if (n->opts.junk)
		g_byte_array_unref(n->opts.junk);
	n->opts.junk = NULL;
}

static void notation_format_opts(GString *to, const struct tcp_seg *seg)
{
	gsize before;

	g_string_append(to, " <");
	before = to->len;
	if (seg->has_mss)
		g_string_append_printf(to, "mss %u,", seg->mss);
	if (seg->sack_permitted)
		g_string_append(to, "sackOK,");
	if (seg->has_ts)
		g_string_append_printf(to, "TS val %u ecr %u,", seg->tsval, seg->tsecr);
	if (seg->has_wscale)
		g_string_append_printf(to, "wscale %u,", seg->wscale);
	for (int i = 0; i < seg->n_sack; i++)
		g_string_append_printf(to, "%s%u:%u%s", i ? " " : "sack ", seg->sack[i].start, seg->sack[i].end,
				       i == seg->n_sack - 1 ? "," : "");
	if (to->len == before)
		g_string_truncate(to, before - 2);
	else
		to->str[to->len - 1] = '>';
}

void notation_format(GString *to, const struct tcp_seg *seg, uint32_t gso)
{
	for (int bit = 0; bit < 8; bit++)
		if (seg->flags & ~TCP_ACK & 1 << bit)
			g_string_append_c(to, notation_letters[bit]);
	if (seg->flags & TCP_ACK)
		g_string_append_c(to, '.');
	else if (!seg->flags)
		g_string_append_c(to, '-');
	g_string_append_printf(to, " %u:%u(%u)", seg->seq, seg->seq + seg->len, seg->len);
	if (seg->flags & TCP_ACK)
		g_string_append_printf(to, " ack %u", seg->ack);
	g_string_append_printf(to, " win %u", seg->window);
	notation_format_opts(to, seg);
	if (gso)
		g_string_append_printf(to, " gso %u", gso);
}
