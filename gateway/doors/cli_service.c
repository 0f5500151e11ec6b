/* cli_service.c - the option --service.  See cli_service.h. */
#include "gateway/doors/cli_service.h"

#include "gateway/doors/cli.h"
#include "gateway/doors/cli_option.h"
#include "gateway/doors/cli_value.h"
#include "gateway/guestfwd.h"

#include <string.h>
#include <sys/un.h>

/* ADDR:PORT in front of the "="; IPv6 in brackets.  *end is the "=" or the wrong character. */
static bool parse_place(const char *value, struct endpoint *ret, const char **end)
{
	bool bracket = *value == '[';
	const char *at = value + bracket;
	char *behind;
	guint64 port;

	*end = at;
	if (!addr_parse(at, &ret->addr, &at) || (bracket && *at++ != ']')) {
		*end = at;
		return false;
	}
	*end = at;
	if (*at != ':' || !g_ascii_isdigit(at[1]))
		return false;
	*end = at + 1;
	port = g_ascii_strtoull(at + 1, &behind, 10);
	if (port < 1 || port > G_MAXUINT16)
		return false;
	*end = behind;
	ret->port = (uint16_t)port;
	return *behind == '=';
}

bool cli_service_parse(const char *value, struct cli_service *ret, GError **err)
{
	struct sockaddr_un sun;
	const char *at;

	memset(ret, 0, sizeof(*ret));
	if (!parse_place(value, &ret->at, &at))
		return cli_value_fail(err, value, at, "ADDRESS:PORT= is expected in front, IPv6 in [brackets]");
	at++;
	ret->text = value;
	if (g_str_has_prefix(at, "exec:"))
		ret->command = at + strlen("exec:");
	else if (g_str_has_prefix(at, "unix:"))
		ret->unix_path = at + strlen("unix:");
	else
		return cli_value_fail(err, value, at, "neither exec: nor unix:");
	at += strlen("exec:");
	if (!*at)
		return cli_value_fail(err, value, at, "a %s is missing", ret->command ? "command" : "path");
	if (ret->unix_path && strlen(at) >= sizeof(sun.sun_path))
		return cli_value_fail(err, value, at + sizeof(sun.sun_path) - 1, "the path of a Unix socket has at most %zu bytes",
				      sizeof(sun.sun_path) - 1);
	return true;
}

static bool fail(const struct cli_service *s, const char *what, GError **err)
{
	g_set_error(err, CLI_OPTION_ERROR, CLI_EXIT_USAGE, "--service: %s: %s", s->text, what);
	return false;
}

bool cli_service_check(const struct cli_service *s, const struct gateway_config *net, GError **err)
{
	bool v4 = addr_is_v4(&s->at.addr);
	const struct addr *a = &s->at.addr;

	if (v4 ? !net->v4 : !net->v6)
		return fail(s, "its family is switched off", err);
	if (!prefix_contains(v4 ? &net->net4 : &net->net6, a))
		return fail(s, "the address is not of the guest's subnet (--net, --net6)", err);
	if (addr_eq(a, v4 ? &net->guest4 : &net->guest6))
		return fail(s, "the address is the guest's own", err);
	if (addr_eq(a, v4 ? &net->dns4 : &net->dns6) && s->at.port == 53)
		return fail(s, "the name server is there", err);
	return true;
}

bool cli_service_add(const struct cli_service *s, struct gateway *gw, GError **err)
{
	struct guestfwd_target target = { .command = s->command, .unix_path = s->unix_path };
	int r = guestfwd_add(gateway_guestfwd(gw), &s->at, &target);

	if (!r)
		return true;
	g_set_error(err, CLI_OPTION_ERROR, CLI_EXIT_RUNTIME, "--service: %s: %s", s->text,
		    r == -EADDRINUSE ? "there is a service already" :
		    r == -EINVAL     ? "the command cannot be split into words" :
		    r == -ENOSPC     ? "there are too many services" :
				       g_strerror(-r));
	return false;
}
