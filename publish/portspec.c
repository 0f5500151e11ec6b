/* portspec.c - tables of port rules and their text.  See portspec.h; the grammar is in portspec_parse.c. */
#include "publish/portspec.h"

#include <stdio.h>
#include <string.h>

GQuark portspec_error_quark(void)
{
	return g_quark_from_static_string("portspec-error");
}

GArray *portspec_table_new(void)
{
	return g_array_new(false, false, sizeof(struct portspec_rule));
}

/* Would a connection to one address of `of` be meant for `a` as well? */
static bool portspec_covers(const struct portspec_rule *of, const struct portspec_rule *a)
{
	if (of->dual)
		return true;
	if (a->dual)
		return false;
	return addr_is_unspecified(&of->bind) ? addr_is_v4(&of->bind) == addr_is_v4(&a->bind) : addr_eq(&of->bind, &a->bind);
}

bool portspec_overlap(const struct portspec_rule *x, const struct portspec_rule *y)
{
	if (x->proto != y->proto)
		return false;
	if (x->path[0] || y->path[0])
		return !strcmp(x->path, y->path);
	if (!x->first || !y->first || x->first > y->last || y->first > x->last)
		return false;
	return portspec_covers(x, y) || portspec_covers(y, x);
}

static int portspec_put_ports(char *buf, size_t size, uint32_t first, uint32_t count)
{
	return count > 1 ? snprintf(buf, size, "%u-%u", first, first + count - 1) : snprintf(buf, size, "%u", first);
}

const char *portspec_format(const struct portspec_rule *r, char *buf)
{
	char addr[ADDR_STRLEN], to[ADDR_STRLEN + 4] = "", ports[16], to_ports[16];
	const char *proto = r->proto == PORTSPEC_TCP ? "TCP" : "UDP";

	portspec_put_ports(ports, sizeof(ports), r->first, portspec_count(r));
	portspec_put_ports(to_ports, sizeof(to_ports), r->to_first, portspec_count(r));
	if (r->has_to)
		snprintf(to, sizeof(to), "[%s]:", addr_format(&r->to, addr));
	if (r->path[0])
		snprintf(buf, PORTSPEC_TEXT_MAX, "%s unix:%s => %s%s", proto, r->path, to, to_ports);
	else
		snprintf(buf, PORTSPEC_TEXT_MAX, "%s [%s]%s%s:%s => %s%s%s%s", proto, r->dual ? "*" : addr_format(&r->bind, addr),
			 r->ifname[0] ? "%" : "", r->ifname, ports, to, to_ports, r->weak ? " (best effort)" : "",
			 r->follow ? " (auto)" : "");
	return buf;
}
