/* play.c - the loop: lines become events, the clock moves, turns end.  See play.h and README.md. */
#include "tests/scripts/play.h"
#include "tests/scripts/craft.h"

#include <string.h>

enum {
	PLAY_SPIN = 2000,    /* deadlines served at one moment before it counts as a spin */
	PLAY_TURNS = 100000, /* flushes in a row */
	PLAY_HISTORY = 14,
};

uint8_t play_pattern(uint16_t port, bool to_guest, uint32_t pos)
{
	return (uint8_t)(pos * 167 + (pos >> 8) * 13 + (pos >> 16) * 7 + port * 3u + (to_guest ? 91 : 0));
}

bool play_reason(const char *name, enum reason *ret)
{
	for (int r = 0; r < R_COUNT; r++)
		if (!strcmp(reason_name((enum reason)r), name)) {
			*ret = (enum reason)r;
			return true;
		}
	return false;
}

void play_note(struct play *p, const char *fmt, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	g_ptr_array_add(p->history, g_strdup_printf("+%.6f %s", (double)(p->now - p->start) / 1e6, text));
	if (p->verbose)
		g_printerr("# %4d %s\n", p->line + 1, (char *)p->history->pdata[p->history->len - 1]);
	else if (p->history->len > 4 * PLAY_HISTORY)
		g_ptr_array_remove_range(p->history, 0, PLAY_HISTORY);
}

bool play_fail(struct play *p, const char *fmt, ...)
{
	va_list ap;

	if (p->fail)
		return false;
	p->fail = g_string_new(NULL);
	g_string_append_printf(p->fail, "# %s:%d: %s\n#   ", p->script->path, p->line + 1, p->text ? p->text : "at the end of the script");
	va_start(ap, fmt);
	g_string_append_vprintf(p->fail, fmt, ap);
	va_end(ap);
	g_string_append_c(p->fail, '\n');
	return false;
}

/* ---- connections */

struct conn *play_conn_find(struct play *p, uint16_t port)
{
	return g_hash_table_lookup(p->conns, GUINT_TO_POINTER(port));
}

struct conn *play_conn(struct play *p, uint16_t port)
{
	struct conn *c = play_conn_find(p, port);

	if (c)
		return c;
	c = g_new0(struct conn, 1);
	c->play = p;
	c->port = port;
	c->guest = (struct endpoint){ p->v6 ? p->cfg.guest6 : p->cfg.guest4, port };
	c->far = p->v6 ? p->far6 : p->far4;
	c->isn = 0x10000000u + port * 65539u;
	c->space = PLAY_SPACE;
	g_hash_table_insert(p->conns, GUINT_TO_POINTER(port), c);
	return c;
}

/* ---- the stack and its turns */

static struct addr play_addr(const char *text)
{
	struct addr a = { { 0 } };

	addr_parse(text, &a, NULL);
	return a;
}

static void play_config(struct play *p)
{
	struct stack_config *c = &p->cfg;

	stack_config_init(c);
	c->v4 = c->v6 = true;
	eth_wire_mac_parse("52:55:0a:00:02:02", &c->gw_mac, NULL);
	eth_wire_mac_parse("52:54:00:12:34:56", &c->guest_mac, NULL);
	c->gw4 = play_addr("10.0.2.2");
	c->dns4 = play_addr("10.0.2.3");
	c->guest4 = play_addr("10.0.2.15");
	c->gw6 = play_addr("fd00::2");
	c->dns6 = play_addr("fd00::3");
	c->guest6 = play_addr("fd00::15");
	prefix_parse("10.0.2.0/24", false, &c->net4, NULL, NULL);
	prefix_parse("fd00::/64", false, &c->net6, NULL, NULL);
	c->link = (struct stack_link){ .mtu = 1500, .lossless = true };
	c->key = (struct siphash_key){ { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u } };
	c->mem = &p->mem;
	p->far4 = (struct endpoint){ play_addr("192.0.2.1"), 80 };
	p->far6 = (struct endpoint){ play_addr("2001:db8::1"), 80 };
}

bool play_start(struct play *p)
{
	if (!p->st)
		p->st = stack_new(&p->cfg, &p->host, &p->drops);
	return p->st || play_fail(p, "stack_new() failed");
}

bool play_flush(struct play *p)
{
	if (!play_start(p))
		return false;
	stack_flush(p->st, p->now);
	fake_reap(p);
	craft_release(p);
	for (int turns = 0; !p->manual && !p->fail && stack_pending(p->st); turns++) {
		if (turns == PLAY_TURNS)
			return play_fail(p, "stack_pending() stays true for ever");
		stack_flush(p->st, p->now);
		fake_reap(p);
	}
	return !p->fail;
}

/* Moves the clock to `to`, serving deadlines on the way; stops early at the first frame if asked. */
static bool play_advance(struct play *p, int64_t to, bool until_frame)
{
	int spin = 0;

	if (!play_start(p))
		return false;
	while (!p->fail && !(until_frame && !g_queue_is_empty(&p->outs))) {
		int64_t at = stack_deadline(p->st);

		if (at > to) {
			p->now = to;
			break;
		}
		spin = at > p->now ? 0 : spin + 1;
		if (spin > PLAY_SPIN)
			return play_fail(p, "stack_deadline() stays at the same moment: the loop would spin");
		p->now = MAX(p->now, at);
		states_time(p);
		stack_expire(p->st, p->now);
		fake_reap(p);
		play_flush(p);
	}
	return !p->fail;
}

/* "+0.5" or "+0.9..1.1" */
static bool play_clock(struct play *p, struct words *w)
{
	const char *text = words_peek(w), *end;
	int64_t from, to, start = p->now;

	p->range = false;
	if (!text || text[0] != '+')
		return true;
	words_next(w);
	if (p->batch)
		return play_fail(p, "time does not pass inside batch");
	if (!script_time(text + 1, &from, &end))
		return play_fail(p, "time is written +SECONDS, +40ms or +FROM..TO");
	if (g_str_has_prefix(end, "..")) {
		if (!script_time(end + 2, &to, &end) || *end)
			return play_fail(p, "time is written +FROM..TO");
		p->range = true;
		if ((from && !expect_silence(p, 0, true)) || !play_advance(p, start + to, true))
			return false;
		if (p->now < start + from)
			return play_fail(p, "a frame came %.3f s later, too early", (double)(p->now - start) / 1e6);
		return true;
	}
	return *end ? play_fail(p, "time is written +SECONDS, +40ms or +FROM..TO") : play_advance(p, start + from, false);
}

/* ---- lines */

bool play_asks(const struct words *w)
{
	const char *next = words_peek(w);

	return next && (!strcmp(next, "got") || !strcmp(next, "dials") || !strcmp(next, "consumed") || !strcmp(next, "answers") || !strcmp(next, "established"));
}

static bool play_event(struct play *p, const char *verb, struct words *w, uint16_t port, bool *known)
{
	bool fine;

	*known = true;
	if (!strcmp(verb, "guest"))
		fine = guest_line(p, w, port);
	else if (!strcmp(verb, "host") && play_asks(w))
		return host_line(p, w, port);
	else if (!strcmp(verb, "host"))
		fine = play_start(p) && host_line(p, w, port);
	else if (!strcmp(verb, "link"))
		fine = setup_link(p, w);
	else if (!strcmp(verb, "pressure"))
		fine = setup_pressure(p, w);
	else if (!strcmp(verb, "turn"))
		fine = true;
	else
		return *known = false;
	return fine && !p->fail && (p->batch || play_flush(p));
}

static bool play_question(struct play *p, const char *verb, struct words *w, uint16_t port, bool any_port)
{
	if (!strcmp(verb, "expect"))
		return expect_line(p, w, port);
	if (!strcmp(verb, "silence"))
		return expect_silence(p, port, any_port);
	if (!strcmp(verb, "gone"))
		return expect_gone(p, w, port);
	if (!strcmp(verb, "drop"))
		return expect_drop(p, w);
	if (!strcmp(verb, "counted"))
		return expect_counted(p, w);
	if (!strcmp(verb, "stat"))
		return expect_stat(p, w);
	if (!strcmp(verb, "option"))
		return setup_option(p, w);
	if (!strcmp(verb, "tunable"))
		return setup_tunable(p, w);
	if (!strcmp(verb, "conn"))
		return setup_conn(p, w, port);
	if (!strcmp(verb, "leftover"))
		return (p->leftover_ok = words_take(w, "ok")) || play_fail(p, "leftover ok");
	return play_fail(p, "no such verb: %s", verb);
}

static bool play_text(struct play *p, const char *text);
static bool play_open(struct play *p, struct words *w, uint16_t port);

/* "verb" or "verb@PORT" */
static bool play_words(struct play *p, struct words *w)
{
	const char *first = words_next(w), *at = first ? strchr(first, '@') : NULL, *end;
	g_autofree char *verb = NULL;
	int64_t port = PLAY_PORT;
	bool known, fine;

	if (!first) /* a line of time alone */
		return true;
	verb = at ? g_strndup(first, (gsize)(at - first)) : g_strdup(first);
	if (at && (!script_number(at + 1, &port, &end) || *end))
		return play_fail(p, "a port number is missing behind @");
	if (!strcmp(verb, "open"))
		return play_open(p, w, (uint16_t)port);
	fine = play_event(p, verb, w, (uint16_t)port, &known);
	if (!known)
		fine = play_question(p, verb, w, (uint16_t)port, !at);
	if (fine && words_peek(w))
		return play_fail(p, "what does \"%s\" mean here?", words_peek(w));
	return fine && !p->fail;
}

/* "open@PORT [words for the SYN]": the whole handshake, each step of it checked */
static bool play_open(struct play *p, struct words *w, uint16_t port)
{
	static const char *const steps[][2] = { { "host", " dials" }, { "host", " connected" }, { "expect", " S. 0:0(0) ack 1" },
						{ "guest", " . 1:1(0) ack 1" }, { "silence", "" } };
	g_autoptr(GString) syn = g_string_new(NULL);
	bool fine;

	g_string_printf(syn, "guest@%u S 0:0(0)", port);
	while (words_peek(w))
		g_string_append_printf(syn, " %s", words_next(w));
	fine = play_text(p, syn->str);
	for (size_t i = 0; fine && i < G_N_ELEMENTS(steps); i++) {
		g_string_printf(syn, "%s@%u%s", steps[i][0], port, steps[i][1]);
		fine = play_text(p, syn->str);
	}
	return fine;
}

/* Replaces $name by the number of the repeat block around. */
static char *play_substitute(struct play *p, const char *line)
{
	GString *s = g_string_new(line);
	GHashTableIter it;
	gpointer name, value;

	g_hash_table_iter_init(&it, p->vars);
	while (g_hash_table_iter_next(&it, &name, &value))
		g_string_replace(s, name, value, 0);
	return g_string_free(s, FALSE);
}

static bool play_text(struct play *p, const char *text)
{
	struct words w;
	bool fine = words_split(text, &w) ? play_clock(p, &w) && play_words(p, &w) : play_fail(p, "too many words, or an open <");

	words_clear(&w);
	return fine;
}

static bool play_line(struct play *p, const char *line)
{
	g_free(p->text);
	p->text = play_substitute(p, line);
	return play_text(p, p->text);
}

static bool play_lines(struct play *p, int from, int to);

static bool play_repeat(struct play *p, struct words *w, int from, int to)
{
	g_autofree char *name = NULL;
	int64_t n;
	bool fine = true;

	if (!words_number(w, &n) || !words_peek(w))
		return play_fail(p, "repeat NUMBER NAME {");
	name = g_strconcat("$", words_next(w), NULL);
	for (int64_t i = 0; fine && i < n; i++) {
		g_hash_table_insert(p->vars, g_strdup(name), g_strdup_printf("%" G_GINT64_FORMAT, i));
		fine = play_lines(p, from, to);
	}
	g_hash_table_remove(p->vars, name);
	return fine;
}

static bool play_block(struct play *p, int open, int close)
{
	struct words w;
	bool fine;

	if (close < 0)
		return play_fail(p, "the block has no end");
	words_split(p->script->lines[open], &w);
	if (!play_clock(p, &w)) {
		fine = false;
	} else if (words_take(&w, "batch")) {
		p->batch = true;
		fine = play_lines(p, open + 1, close);
		p->batch = false;
		fine = fine && play_flush(p);
	} else if (words_take(&w, "repeat")) {
		fine = play_repeat(p, &w, open + 1, close);
	} else {
		fine = play_fail(p, "a block is batch { or repeat NUMBER NAME {");
	}
	words_clear(&w);
	return fine;
}

static bool play_lines(struct play *p, int from, int to)
{
	for (int i = from; i < to; i++) {
		const char *line = p->script->lines[i];
		int close;

		p->line = i;
		if (!*line)
			continue;
		if (!g_str_has_suffix(line, "{")) {
			if (!play_line(p, line))
				return false;
			continue;
		}
		close = script_block_end(p->script, i);
		if (!play_block(p, i, close))
			return false;
		i = close;
	}
	return true;
}

/* ---- one script */

static void play_init(struct play *p, const struct script *s, bool verbose)
{
	p->script = s;
	p->verbose = verbose;
	p->vars = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	p->conns = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	p->inflight = g_ptr_array_new();
	p->dead = g_ptr_array_new();
	p->history = g_ptr_array_new_with_free_func(g_free);
	g_queue_init(&p->outs);
	g_queue_init(&p->dgrams);
	g_queue_init(&p->echoes);
	g_queue_init(&p->gathers);
	p->gathered = g_ptr_array_new_with_free_func(g_free);
	p->link_room = -1;
	p->start = p->now = 3600 * (int64_t)G_USEC_PER_SEC;
	p->syn_answer = p->dgram_answer = p->echo_answer = R_ACCEPTED;
	play_config(p);
	fake_init(p);
}

static void play_clear(struct play *p)
{
	struct out *o;

	while ((o = g_queue_pop_head(&p->outs))) {
		g_free(o->text);
		g_free(o);
	}
	g_queue_clear_full(&p->dgrams, g_free);
	g_queue_clear_full(&p->echoes, g_free);
	gather_clear(p);
	g_hash_table_destroy(p->vars);
	g_hash_table_destroy(p->conns);
	g_ptr_array_unref(p->inflight);
	g_ptr_array_unref(p->dead);
	g_ptr_array_unref(p->history);
	g_free(p->text);
	if (p->fail)
		g_string_free(p->fail, TRUE);
}

/* Whatever happened, the core must be able to end everything. */
static void play_teardown(struct play *p)
{
	struct stack_stats s;

	if (!p->st)
		return;
	tcp_conn_drop_all(p->st, R_SHUTDOWN, p->now);
	fake_reap(p);
	stack_flush(p->st, p->now);
	fake_reap(p);
	craft_release(p);
	stack_stats(p->st, &s);
	if (s.conns)
		play_fail(p, "%u connections survive tcp_conn_drop_all()", s.conns);
	stack_free(p->st);
}

bool play_run(const struct script *s, bool verbose, GHashTable *states, char **ret_report)
{
	struct play p = { 0 };
	GString *report = g_string_new(NULL);
	bool fine;

	play_init(&p, s, verbose);
	p.states = states;
	fine = play_lines(&p, 0, s->n);
	g_clear_pointer(&p.text, g_free);
	fine = fine && expect_end(&p);
	if (!fine && p.fail) {
		guint from = p.history->len > PLAY_HISTORY ? p.history->len - PLAY_HISTORY : 0;

		g_string_append(report, p.fail->str);
		for (guint i = from; i < p.history->len; i++)
			g_string_append_printf(report, "#     %s\n", (char *)p.history->pdata[i]);
	}
	play_teardown(&p);
	if (fine && p.fail) {
		g_string_append(report, p.fail->str);
		fine = false;
	}
	play_clear(&p);
	*ret_report = g_string_free(report, FALSE);
	return fine;
}
