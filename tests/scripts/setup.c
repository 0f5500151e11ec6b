/* setup.c - the verbs that set the stage: option, tunable, conn, link.
 *
 * Below: play.h.  Above: play.c.
 */
#include "tests/scripts/play.h"

#include <stddef.h>
#include <string.h>

static bool setup_number(struct play *p, struct words *w, int64_t *ret)
{
	return words_number(w, ret) || play_fail(p, "a number is missing");
}

static bool setup_endpoint(struct play *p, const char *text, struct endpoint *ret)
{
	const char *end = NULL;
	int64_t port;

	if (text) {
		addr_parse(*text == '[' ? text + 1 : text, &ret->addr, &end);
		if (end && *end == ']')
			end++;
	}
	if (!end || *end != ':' || !script_number(end + 1, &port, &end) || *end)
		return play_fail(p, "ADDRESS:PORT or [ADDRESS]:PORT is missing");
	ret->port = (uint16_t)port;
	return true;
}

static bool setup_switch(struct play *p, struct words *w, bool *a, bool *b)
{
	bool on = words_take(w, "on");

	if (!on && !words_take(w, "off"))
		return play_fail(p, "on or off");
	*a = on;
	if (b)
		*b = on;
	return true;
}

/* What is left of the line, with blanks between the words. */
static bool setup_text(struct play *p, struct words *w, char *to, size_t room)
{
	g_autoptr(GString) s = g_string_new(NULL);

	while (words_peek(w))
		g_string_append_printf(s, "%s%s", s->len ? " " : "", words_next(w));
	return g_strlcpy(to, s->str, room) < room || play_fail(p, "the text is too long");
}

/* "memory fails N": the next N allocations; "memory fails all"; "memory back" */
static bool setup_memory(struct play *p, struct words *w)
{
	int64_t n;

	p->mem.fail_from = p->mem.asked;
	p->mem.fail_count = 0;
	if (words_take(w, "back"))
		return true;
	if (!words_take(w, "fails"))
		return play_fail(p, "memory fails NUMBER, memory fails all, memory back");
	if (words_take(w, "all"))
		p->mem.fail_count = UINT64_MAX;
	else if (setup_number(p, w, &n))
		p->mem.fail_count = (uint64_t)n;
	return !p->fail;
}

bool setup_option(struct play *p, struct words *w)
{
	int64_t n;
	struct endpoint e;

	if (words_take(w, "v6"))
		return p->v6 = true;
	if (words_take(w, "strict_order"))
		return p->strict_order = true;
	if (words_take(w, "manual_turns"))
		return p->manual = true;
	if (words_take(w, "memory"))
		return setup_memory(p, w);
	if (words_take(w, "far")) {
		if (!setup_endpoint(p, words_next(w), &e))
			return false;
		*(addr_is_v4(&e.addr) ? &p->far4 : &p->far6) = e;
		return true;
	}
	if (words_take(w, "slot")) {
		if (!setup_number(p, w, &n))
			return false;
		p->slot_max = (uint32_t)n;
		return true;
	}
	if (p->st)
		return play_fail(p, "this option must stand before the first event");
	if (words_take(w, "only_v4"))
		return !(p->cfg.v6 = false);
	if (words_take(w, "only_v6"))
		return !(p->cfg.v4 = false) && (p->v6 = true);
	if (words_take(w, "link_lossy"))
		return !(p->cfg.link.lossless = false);
	if (words_take(w, "tso"))
		return setup_switch(p, w, &p->cfg.link.tso4, &p->cfg.link.tso6) && ((p->tso = p->cfg.link.tso4), true);
	if (words_take(w, "slaac"))
		return p->cfg.slaac = true;
	if (words_take(w, "hostname"))
		return setup_text(p, w, p->cfg.hostname, sizeof(p->cfg.hostname));
	if (words_take(w, "domain"))
		return setup_text(p, w, p->cfg.domain, sizeof(p->cfg.domain));
	if (words_take(w, "search"))
		return setup_text(p, w, p->cfg.search, sizeof(p->cfg.search));
	if (words_take(w, "uso"))
		return setup_switch(p, w, &p->cfg.link.gso_udp, NULL);
	if (words_take(w, "mtu")) {
		if (!setup_number(p, w, &n))
			return false;
		p->cfg.link.mtu = (uint16_t)n;
		return true;
	}
	if (words_take(w, "guest_queue")) {
		if (!setup_number(p, w, &n))
			return false;
		p->cfg.link.guest_queue = (uint32_t)n;
		return true;
	}
	return play_fail(p, "no such option");
}

/* Values outside the range of the row are fine here: a script may want a table of two. */
bool setup_tunable(struct play *p, struct words *w)
{
	static const struct {
		const char *name;
		size_t offset;
	} list[] = {
#define SETUP_ROW(name, unit, def, min, max, why) { #name, offsetof(struct stack_tunables, name) },
		STACK_TUNABLES(SETUP_ROW)
#undef SETUP_ROW
	};
	const char *name = words_next(w), *value = words_peek(w), *end;
	int64_t n;

	if (p->st)
		return play_fail(p, "a tunable must stand before the first event");
	for (size_t i = 0; name && i < G_N_ELEMENTS(list); i++) {
		if (strcmp(list[i].name, name))
			continue;
		if (!value || !script_number(value, &n, &end) || *end) /* a plain number is a count or bytes, "40ms" a time */
			if (!value || !script_time(value, &n, &end) || *end)
				return play_fail(p, "a number, or a time with its unit, is missing");
		words_next(w);
		memcpy((char *)&p->cfg.tune + list[i].offset, &n, sizeof(n));
		return true;
	}
	return play_fail(p, "no such tunable");
}

/* The guest takes its port again for another connection, whose initial sequence number is the old one + n. */
static bool setup_incarnation(struct play *p, struct words *w, struct conn *c)
{
	struct conn old = *c;
	int64_t n;

	if (!setup_number(p, w, &n))
		return false;
	if (c->flow)
		return play_fail(p, "the old connection is not gone");
	memset(c, 0, sizeof(*c));
	c->play = p;
	c->port = old.port;
	c->guest = old.guest;
	c->far = old.far;
	c->isn = old.isn + (uint32_t)n;
	c->space = PLAY_SPACE;
	c->ts_last = old.ts_last;
	return true;
}

/* "conn@40001 v6", "... to ADDRESS:PORT", "... from ADDRESS", "... iss NUMBER", "... incarnation +200000" */
bool setup_conn(struct play *p, struct words *w, uint16_t port)
{
	bool before = p->v6;
	struct conn *c;
	int64_t n;

	if (words_take(w, "v6"))
		p->v6 = true;
	c = play_conn(p, port);
	p->v6 = before;
	while (words_peek(w)) {
		if (words_take(w, "to")) {
			if (!setup_endpoint(p, words_next(w), &c->far))
				return false;
			if (!addr_is_v4(&c->far.addr))
				c->guest.addr = p->cfg.guest6;
		} else if (words_take(w, "from")) {
			if (!words_peek(w) || !addr_parse(words_next(w), &c->guest.addr, NULL))
				return play_fail(p, "from ADDRESS");
		} else if (words_take(w, "iss")) {
			if (!setup_number(p, w, &n))
				return false;
			c->isn = (uint32_t)n;
		} else if (words_take(w, "incarnation")) {
			if (!setup_incarnation(p, w, c))
				return false;
		} else {
			return play_fail(p, "conn does not know \"%s\"", words_peek(w));
		}
	}
	return true;
}

/* "link full", "link room 3", "link ready", "link up" */
bool setup_link(struct play *p, struct words *w)
{
	int64_t n = 0;

	if (words_take(w, "full") || (words_take(w, "room") && words_number(w, &n))) {
		p->link_room = n;
		return true;
	}
	if (words_take(w, "up")) {
		if (!play_start(p))
			return false;
		stack_link_up(p->st, p->now);
		stack_expire(p->st, p->now);
		return true;
	}
	if (!words_take(w, "ready"))
		return play_fail(p, "link full, link room NUMBER, link ready [NUMBER] or link up");
	p->link_room = words_number(w, &n) ? n : -1;
	if (!play_start(p))
		return false;
	stack_link_ready(p->st);
	return true;
}

/* "pressure on", "pressure off" */
bool setup_pressure(struct play *p, struct words *w)
{
	bool on = false;

	if (!play_start(p) || !setup_switch(p, w, &on, NULL))
		return false;
	stack_pressure(p->st, on, p->now);
	return true;
}
