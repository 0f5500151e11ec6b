/* cli_value.c - text to value, with the column of the wrong character.  Below: slirp/base, slirp/wire.  RFC 1123 2.1 (host names). */
#include "gateway/doors/cli_value.h"

#include "gateway/doors/cli.h"
#include "gateway/doors/cli_option.h"

#include <net/if.h>

enum {
	DOMAIN_MAX = 253,
	LABEL_MAX = 63,
};

bool cli_value_fail(GError **err, const char *value, const char *at, const char *format, ...)
{
	g_autofree char *why = NULL;
	va_list args;

	va_start(args, format);
	why = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error(err, CLI_OPTION_ERROR, CLI_EXIT_USAGE, "%s: %s, column %d", value, why, (int)(at - value) + 1);
	return false;
}

/* Decimal digits at text up to max (below 2^31); *end behind the last good one. */
static bool digits(const char *text, unsigned max, unsigned *ret, const char **end)
{
	uint64_t v = 0;

	*end = text;
	for (; g_ascii_isdigit(**end) && v <= max; (*end)++)
		v = v * 10 + (unsigned)(**end - '0');
	*ret = (unsigned)MIN(v, UINT32_MAX);
	return *end > text && v <= max;
}

bool cli_value_number(const char *value, unsigned min, unsigned max, unsigned *ret, GError **err)
{
	const char *end;
	unsigned n;

	if (!digits(value, max, &n, &end) && end == value)
		return cli_value_fail(err, value, end, "not a number");
	if (n > max || (*end == '\0' && n < min))
		return cli_value_fail(err, value, value, "not in %u-%u", min, max);
	if (*end)
		return cli_value_fail(err, value, end, "not a digit");
	*ret = n;
	return true;
}

bool cli_value_addr(const char *value, struct addr *ret, GError **err)
{
	struct addr a;
	const char *end;

	if (!addr_parse(value, &a, &end) || *end)
		return cli_value_fail(err, value, end, "not an IPv4 or IPv6 address");
	*ret = a;
	return true;
}

bool cli_value_prefix(const char *value, bool v4, unsigned min, unsigned max, struct prefix *ret, GError **err)
{
	unsigned bits = v4 ? 32 : 128, len;
	char text[ADDR_STRLEN];
	struct addr a;
	struct prefix p;
	const char *end, *number;

	if (!addr_parse(value, &a, &end) || (*end && *end != '/'))
		return cli_value_fail(err, value, end, "not an %s address", v4 ? "IPv4" : "IPv6");
	if (addr_is_v4(&a) != v4)
		return cli_value_fail(err, value, value, "not an %s prefix", v4 ? "IPv4" : "IPv6");
	if (!*end)
		return cli_value_fail(err, value, end, "a prefix length (/%u) is missing", v4 ? 24 : 64);
	number = end + 1;
	if (!digits(number, bits, &len, &end) && end > number)
		return cli_value_fail(err, value, number, "prefix length above %u", bits);
	if (end == number || *end)
		return cli_value_fail(err, value, end, "prefix length is not a number");
	if (len < min || len > max)
		return cli_value_fail(err, value, number, "prefix length not in %u-%u", min, max);
	if (!prefix_parse(value, true, &p, NULL, NULL))
		return cli_value_fail(err, value, number, "prefix length is written in a way nobody is sure of");
	if (!addr_eq(&p.addr, &a))
		return cli_value_fail(err, value, value, "bits behind the prefix are not zero (%s/%u?)", addr_format(&p.addr, text), len);
	*ret = p;
	return true;
}

bool cli_value_mac(const char *value, struct mac *ret, GError **err)
{
	static const struct mac zero;
	struct mac m;
	const char *end;

	if (!eth_wire_mac_parse(value, &m, &end) || *end)
		return cli_value_fail(err, value, end, "not a MAC address (aa:bb:cc:dd:ee:ff)");
	if (mac_is_group(&m) || mac_eq(&m, &zero))
		return cli_value_fail(err, value, value, "not the MAC address of one station");
	*ret = m;
	return true;
}

bool cli_value_ifname(const char *value, GError **err)
{
	const char *p;

	if (!*value || !strcmp(value, ".") || !strcmp(value, ".."))
		return cli_value_fail(err, value, value, "not a name for an interface");
	for (p = value; *p && p - value < IFNAMSIZ - 1; p++) {
		if (!g_ascii_isgraph(*p) || *p == '/' || *p == ':' || *p == '%')
			return cli_value_fail(err, value, p, "a character that no interface name has");
	}
	if (*p)
		return cli_value_fail(err, value, p, "longer than %d characters", IFNAMSIZ - 1);
	return true;
}

bool cli_value_domain(const char *value, GError **err)
{
	const char *label = value, *p;

	for (p = value; *p; p++) {
		if (*p == '.' && p == label)
			return cli_value_fail(err, value, p, "an empty label");
		if (*p == '.')
			label = p + 1;
		else if (!g_ascii_isalnum(*p) && *p != '-' && *p != '_')
			return cli_value_fail(err, value, p, "a character that no domain name has");
		if (p - label >= LABEL_MAX)
			return cli_value_fail(err, value, p, "a label longer than %d characters", LABEL_MAX);
		if (p - value >= DOMAIN_MAX)
			return cli_value_fail(err, value, p, "longer than %d characters", DOMAIN_MAX);
	}
	if (p == value)
		return cli_value_fail(err, value, p, "an empty domain");
	return true;
}
