/* portspec_parse.c - the grammar of portspec.h, read by a cursor that can show the wrong character.
 *
 * Numbers are read as people's scripts write them: blanks and a plus sign in front are let pass.
 *
 * prefixes: cursor_ chunk_ ports_ portspec_
 */
#include "publish/portspec.h"

#include <string.h>

enum { PORTS = 65536 };

/* One SPEC under way. */
struct cursor {
	const char *text, *at;
	const struct portspec_dialect *dialect;
	GError **err;
	GArray *rules;			 /* collected; appended to the table when all is well */
	struct portspec_rule common;	 /* protocol and BIND */
	bool explicit, all, follow;	 /* chunks seen */
	struct portspec_rule all_target; /* of "all:TOADDR" */
	uint8_t taken[PORTS / 8];	 /* a set of ports: excluded, then also included explicitly */
};

static bool cursor_fail(struct cursor *c, const char *at, const char *format, ...) G_GNUC_PRINTF(3, 4);

static bool cursor_fail(struct cursor *c, const char *at, const char *format, ...)
{
	g_autofree char *clause = NULL;
	va_list args;

	va_start(args, format);
	clause = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error(c->err, PORTSPEC_ERROR, PORTSPEC_ERROR_SYNTAX, "Invalid port specifier '%s': %s, column %u", c->text, clause,
		    (unsigned)(at - c->text) + 1);
	return false;
}

static bool cursor_take(struct cursor *c, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(c->at, word, n))
		return false;
	c->at += n;
	return true;
}

static bool cursor_at_end(const struct cursor *c)
{
	return !*c->at || *c->at == ',';
}

static bool ports_has(const uint8_t *set, uint32_t port)
{
	return set[port / 8] >> (port % 8) & 1;
}

static void ports_put(uint8_t *set, uint32_t first, uint32_t last)
{
	for (uint32_t port = first; port <= last; port++)
		set[port / 8] |= (uint8_t)(1u << (port % 8));
}

static bool cursor_port(struct cursor *c, uint16_t *ret)
{
	const char *began = c->at;
	uint32_t port = 0;

	while (*c->at == ' ' || *c->at == '\t')
		c->at++;
	if (*c->at == '+')
		c->at++;
	if (!g_ascii_isdigit(*c->at))
		return cursor_fail(c, c->at, "a port number is missing");
	for (; g_ascii_isdigit(*c->at); c->at++) {
		port = port * 10 + (uint32_t)(*c->at - '0');
		if (port >= PORTS)
			return cursor_fail(c, began, "ports end at 65535");
	}
	*ret = (uint16_t)port;
	return true;
}

static bool cursor_range(struct cursor *c, uint16_t *first, uint16_t *last)
{
	const char *began = c->at;

	if (!cursor_port(c, first))
		return false;
	*last = *first;
	if (cursor_take(c, "-") && !cursor_port(c, last))
		return false;
	if (*last < *first)
		return cursor_fail(c, began, "the range ends before it begins");
	if (!*first && *last)
		return cursor_fail(c, began, "a range begins at port 1 at the lowest");
	return true;
}

/* ADDR or [ADDR]; false without an error when there is none, c->at then being where it was. */
static bool cursor_addr(struct cursor *c, struct addr *ret)
{
	const char *began = c->at, *end;
	bool bracket = cursor_take(c, "[");

	if (addr_parse(c->at, ret, &end)) {
		c->at = end;
		if (!bracket || cursor_take(c, "]"))
			return true;
	}
	c->at = began;
	return false;
}

static bool cursor_ifname(struct cursor *c)
{
	size_t n = strcspn(c->at, "/,");

	if (!n || n >= IF_NAMESIZE || memchr(c->at, ' ', n) || memchr(c->at, ':', n))
		return cursor_fail(c, c->at, "an interface name has 1 to %d characters", IF_NAMESIZE - 1);
	memcpy(c->common.ifname, c->at, n);
	c->at += n;
	return true;
}

/* [BIND "/"].  An address is a BIND only if "/" or "%" follows: what stands in front of a ":" is a port. */
static bool cursor_bind(struct cursor *c)
{
	const char *began = c->at;

	c->common.dual = true;
	c->common.bind = addr_any;
	if (cursor_addr(c, &c->common.bind) && (*c->at == '/' || *c->at == '%')) {
		c->common.dual = false;
	} else {
		c->at = began;
		c->common.bind = addr_any;
		if (!cursor_take(c, "*") && *c->at != '%' && *c->at != '/')
			return true;
	}
	if (cursor_take(c, "%") && !cursor_ifname(c))
		return false;
	if (!cursor_take(c, "/"))
		return cursor_fail(c, c->at, "a '/' is missing between where to listen and the ports");
	return true;
}

/* Why r's listener cannot lead to r->to, said at `at`; true if it can. */
static bool cursor_families(struct cursor *c, const struct portspec_rule *r, const char *at)
{
	bool v4 = addr_is_v4(&r->to);
	char bind[ADDR_STRLEN], to[ADDR_STRLEN];

	addr_format(&r->to, to);
	if (r->dual)
		return cursor_fail(c, at, "Dual stack forward to %s address %s unsupported, did you mean %s/... instead?",
				   v4 ? "IPv4" : "IPv6", to, v4 ? "0.0.0.0" : "[::]");
	if (addr_is_v4(&r->bind) != v4)
		return cursor_fail(c, at, "Forward from %s (%s) to %s (%s) unsupported", v4 ? "IPv6" : "IPv4",
				   addr_format(&r->bind, bind), v4 ? "IPv4" : "IPv6", to);
	return true;
}

/* TOADDR, if one stands here: one that is followed by "/" or ends the chunk. */
static bool cursor_to(struct cursor *c, struct portspec_rule *r)
{
	const char *began = c->at;

	if (!cursor_addr(c, &r->to))
		return true;
	if (*c->at != '/' && !cursor_at_end(c)) {
		c->at = began;
		return true;
	}
	r->has_to = true;
	if (addr_is_unspecified(&r->to) || addr_is_multicast(&r->to))
		return cursor_fail(c, began, "a service has an address of its own");
	return r->path[0] || cursor_families(c, r, began);
}

/* [TOADDR "/"] TF ["-" TL], or TOADDR alone where the rule has ports of its own. */
static bool cursor_target(struct cursor *c, struct portspec_rule *r, bool alone)
{
	const char *began;
	uint16_t last;

	if (!cursor_to(c, r))
		return false;
	if (r->has_to && alone && cursor_at_end(c))
		return true;
	if (r->has_to && !cursor_take(c, "/"))
		return cursor_fail(c, c->at, "a '/' and the guest's port are missing");
	began = c->at;
	if (!cursor_range(c, &r->to_first, &last))
		return false;
	if (!r->to_first)
		return cursor_fail(c, began, "the guest's port cannot be 0");
	if (last - r->to_first != r->last - r->first)
		return cursor_fail(c, began, "ports of the host: %u, of the guest: %u", portspec_count(r),
				   (unsigned)(last - r->to_first) + 1);
	return true;
}

static bool chunk_exclude(struct cursor *c)
{
	uint16_t first, last;

	if (!cursor_range(c, &first, &last))
		return false;
	ports_put(c->taken, first, last);
	return true;
}

static bool chunk_all(struct cursor *c)
{
	c->all = true;
	c->all_target = c->common;
	if (!cursor_take(c, ":"))
		return true;
	if (!cursor_to(c, &c->all_target))
		return false;
	return c->all_target.has_to || cursor_fail(c, c->at, "an address is missing");
}

static bool chunk_follow(struct cursor *c, const char *at)
{
	if (!c->dialect->follow)
		return cursor_fail(c, at, "'auto' port forwarding is only allowed for pasta");
	c->follow = true;
	return true;
}

static bool chunk_ports(struct cursor *c)
{
	struct portspec_rule r = c->common;
	const char *began = c->at;

	if (!cursor_range(c, &r.first, &r.last))
		return false;
	r.to_first = r.first;
	if (!r.first && !c->dialect->any_port)
		return cursor_fail(c, began, "Unable to add rule: there is no port 0");
	if (cursor_take(c, ":") && !cursor_target(c, &r, true))
		return false;
	if (!r.to_first)
		return cursor_fail(c, began, "port 0 means any port of the host, the guest's must be said: 0:PORT");
	c->explicit = true;
	if (c->rules->len >= PORTSPEC_RULES_MAX)
		return cursor_fail(c, began, "there are more than %d rules", PORTSPEC_RULES_MAX);
	g_array_append_val(c->rules, r);
	return true;
}

static bool cursor_chunk(struct cursor *c)
{
	const char *began = c->at;
	bool good;

	if (cursor_take(c, "~"))
		good = chunk_exclude(c);
	else if (cursor_take(c, "all"))
		good = chunk_all(c);
	else if (cursor_take(c, "auto"))
		good = chunk_follow(c, began);
	else if (!strncmp(c->at, "none", 4))
		good = cursor_fail(c, c->at, "'none' stands alone");
	else
		good = chunk_ports(c);
	if (!good)
		return false;
	return cursor_at_end(c) || cursor_fail(c, c->at, "'%c' was not expected here", *c->at);
}

/* "unix:" PATH ":" TARGET; the last ':' outside brackets ends the path. */
static bool cursor_unix(struct cursor *c)
{
	struct portspec_rule r = c->common;
	const char *close = strrchr(c->at, ']'), *colon = strrchr(c->at, ':');

	if (!c->dialect->unix_path || r.proto != PORTSPEC_TCP)
		return cursor_fail(c, c->text, "a Unix socket cannot be published here");
	if (close && colon && colon < close) {
		const char *open = close;

		while (open > c->at && *open != '[')
			open--;
		colon = open > c->at && open[-1] == ':' ? open - 1 : NULL;
	}
	if (!colon)
		return cursor_fail(c, c->at + strlen(c->at), "':' and the guest's port are missing");
	if (colon == c->at || colon - c->at >= PORTSPEC_PATH_MAX)
		return cursor_fail(c, c->at, "the path of a Unix socket has 1 to %d bytes", PORTSPEC_PATH_MAX - 1);
	memcpy(r.path, c->at, (size_t)(colon - c->at));
	c->at = colon + 1;
	if (!cursor_target(c, &r, false))
		return false;
	if (*c->at)
		return cursor_fail(c, c->at, "'%c' was not expected here", *c->at);
	g_array_append_val(c->rules, r);
	return true;
}

/* Each run of [first, last] that is not in the set becomes a rule like `like`. */
static void ports_cut(const uint8_t *set, const struct portspec_rule *like, uint32_t first, uint32_t last, GArray *out)
{
	uint32_t end;

	for (uint32_t port = first; port <= last; port = end + 1) {
		struct portspec_rule r = *like;

		for (end = port; end < last && !ports_has(set, port) && !ports_has(set, end + 1);)
			end++;
		if (ports_has(set, port))
			continue;
		r.first = (uint16_t)port;
		r.last = (uint16_t)end;
		r.to_first = (uint16_t)(like->to_first + (port - like->first));
		g_array_append_val(out, r);
	}
}

/* Excludes taken out of what was written, then what "all" and "auto" add. */
static GArray *cursor_resolve(struct cursor *c)
{
	GArray *out = portspec_table_new();
	struct portspec_rule rest = c->all ? c->all_target : c->common;

	for (guint i = 0; i < c->rules->len; i++) {
		struct portspec_rule r = g_array_index(c->rules, struct portspec_rule, i);

		r.follow = c->follow;
		if (!r.first)
			g_array_append_val(out, r);
		else
			ports_cut(c->taken, &r, r.first, r.last, out);
	}
	if (c->explicit && !c->all)
		return out;
	for (guint i = 0; i < c->rules->len; i++) {
		const struct portspec_rule *r = &g_array_index(c->rules, struct portspec_rule, i);

		ports_put(c->taken, r->first, r->last);
	}
	if (c->dialect->ephemeral_first)
		ports_put(c->taken, c->dialect->ephemeral_first, c->dialect->ephemeral_last);
	rest.weak = true;
	rest.follow = c->follow;
	rest.first = rest.to_first = 1;
	ports_cut(c->taken, &rest, 1, PORTS - 1, out);
	return out;
}

/* Moves the new rules to the table if none of them meets another. */
static bool portspec_commit(GArray *table, const GArray *fresh, GError **err)
{
	guint before = table->len;
	char a[PORTSPEC_TEXT_MAX], b[PORTSPEC_TEXT_MAX];

	for (guint i = 0; i < fresh->len; i++) {
		const struct portspec_rule *r = &g_array_index(fresh, struct portspec_rule, i);

		for (guint k = 0; k < table->len; k++) {
			const struct portspec_rule *old = &g_array_index(table, struct portspec_rule, k);

			if (!portspec_overlap(r, old))
				continue;
			g_set_error(err, PORTSPEC_ERROR, PORTSPEC_ERROR_CONFLICT, "Forwarding configuration conflict: %s versus %s",
				    portspec_format(r, a), portspec_format(old, b));
			g_array_set_size(table, before);
			return false;
		}
		if (table->len >= PORTSPEC_RULES_MAX) {
			g_set_error(err, PORTSPEC_ERROR, PORTSPEC_ERROR_LIMIT, "There are more than %d port rules", PORTSPEC_RULES_MAX);
			g_array_set_size(table, before);
			return false;
		}
		g_array_append_vals(table, r, 1);
	}
	return true;
}

static bool portspec_none(const GArray *table, enum portspec_proto proto, GError **err)
{
	for (guint i = 0; i < table->len; i++) {
		if (g_array_index(table, struct portspec_rule, i).proto != proto)
			continue;
		g_set_error(err, PORTSPEC_ERROR, PORTSPEC_ERROR_CONFLICT, "-%c none conflicts with previous options",
			    proto == PORTSPEC_TCP ? 't' : 'u');
		return false;
	}
	return true;
}

/* The rules that the text means; NULL: err is set. */
static GArray *cursor_spec(struct cursor *c)
{
	if (cursor_take(c, "unix:"))
		return cursor_unix(c) ? g_array_ref(c->rules) : NULL;
	if (!cursor_bind(c))
		return NULL;
	do {
		if (!cursor_chunk(c))
			return NULL;
	} while (cursor_take(c, ","));
	return cursor_resolve(c);
}

bool portspec_add(GArray *table, enum portspec_proto proto, const char *text, const struct portspec_dialect *d, GError **err)
{
	struct cursor c = { .text = text, .at = text, .dialect = d, .err = err, .common.proto = proto };
	g_autoptr(GArray) written = NULL, meant = NULL;

	if (!strcmp(text, "none"))
		return portspec_none(table, proto, err);
	c.rules = written = portspec_table_new();
	meant = cursor_spec(&c);
	return meant && portspec_commit(table, meant, err);
}
