/* cli_run_args.c - one handler per option of `slirpgate run`, and the table that names them.
 *
 * What one option says is checked where it stands; what only several together make wrong is checked at the end, in cli_run_args_check().
 */
#include "gateway/doors/cli_run_args.h"

#include "gateway/doors/cli.h"
#include "gateway/doors/cli_service.h"
#include "gateway/doors/cli_value.h"

#include <stdio.h>

enum {
	NET4_LEN_MIN = 8,
	NET4_LEN_MAX = 27, /* the guest is .15 */
	NET6_LEN_MIN = 16,
	NET6_LEN_MAX = 120,
};

/* Addresses that no guest can have or talk to as its own network. */
static bool usable(const struct addr *a)
{
	return !addr_is_unspecified(a) && !addr_is_loopback(a) && !addr_is_multicast(a) && !addr_is_broadcast4(a) &&
	       !(addr_is_v4(a) && (addr_v4_bytes(a)[0] == 0 || addr_v4_bytes(a)[0] >= 240));
}

static bool set_prefix(struct cli_run_args *args, const char *value, bool v4, GError **err)
{
	struct prefix p;

	if (!cli_value_prefix(value, v4, v4 ? NET4_LEN_MIN : NET6_LEN_MIN, v4 ? NET4_LEN_MAX : NET6_LEN_MAX, &p, err))
		return false;
	if (!usable(&p.addr) || (!v4 && addr_is_linklocal(&p.addr)))
		return cli_value_fail(err, value, value, "not a network a guest can have");
	gateway_config_net(&args->net, &p);
	return true;
}

static bool set_net(void *ctx, const char *value, GError **err)
{
	return set_prefix(ctx, value, true, err);
}

static bool set_net6(void *ctx, const char *value, GError **err)
{
	return set_prefix(ctx, value, false, err);
}

static bool set_mtu(void *ctx, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;
	unsigned mtu;

	if (!cli_value_number(value, GATEWAY_MTU_MIN, GATEWAY_MTU_MAX, &mtu, err))
		return false;
	args->net.mtu = (uint16_t)mtu;
	return true;
}

static bool set_mac(void *ctx, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;
	struct mac m;

	if (!cli_value_mac(value, &m, err))
		return false;
	if (mac_eq(&m, &args->net.gw_mac))
		return cli_value_fail(err, value, value, "this MAC address is the gateway's");
	args->net.guest_mac = m;
	return true;
}

static bool set_ifname(void *ctx, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;

	if (!cli_value_ifname(value, err))
		return false;
	if (!strcmp(value, "lo") || !strcmp(value, "all") || !strcmp(value, "default"))
		return cli_value_fail(err, value, value, "this name is taken in every namespace");
	g_strlcpy(args->ifname, value, sizeof(args->ifname));
	return true;
}

static bool set_dns(void *ctx, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;
	struct addr a;

	if (!cli_value_addr(value, &a, err))
		return false;
	if (addr_is_unspecified(&a) || addr_is_multicast(&a) || addr_is_broadcast4(&a))
		return cli_value_fail(err, value, value, "not the address of one name server");
	if (args->net.n_dns == GATEWAY_DNS_MAX)
		return cli_value_fail(err, value, value, "more than %d name servers", GATEWAY_DNS_MAX);
	args->net.dns[args->net.n_dns++] = a;
	return true;
}

static bool set_search(void *ctx, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;

	if (!cli_value_domain(value, err))
		return false;
	if (args->n_search == CLI_RUN_ARGS_SEARCH_MAX)
		return cli_value_fail(err, value, value, "more than %d domains", CLI_RUN_ARGS_SEARCH_MAX);
	if (strlen(args->net.search) + 1 + strlen(value) >= sizeof(args->net.search))
		return cli_value_fail(err, value, value, "the search list is longer than %zu characters", sizeof(args->net.search) - 1);
	args->search[args->n_search++] = value;
	if (*args->net.search)
		g_strlcat(args->net.search, " ", sizeof(args->net.search));
	g_strlcat(args->net.search, value, sizeof(args->net.search));
	return true;
}

static bool set_hostname(void *ctx, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;

	if (!cli_value_domain(value, err))
		return false;
	if (strlen(value) >= sizeof(args->net.hostname))
		return cli_value_fail(err, value, value + sizeof(args->net.hostname) - 1, "longer than %zu characters", sizeof(args->net.hostname) - 1);
	g_strlcpy(args->net.hostname, value, sizeof(args->net.hostname));
	return true;
}

static bool set_domain(void *ctx, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;

	if (!cli_value_domain(value, err))
		return false;
	g_strlcpy(args->net.domain, value, sizeof(args->net.domain));
	return true;
}

static bool set_only_v4(void *ctx, const char *value, GError **err)
{
	((struct cli_run_args *)ctx)->only_v4 = true;
	return true;
}

static bool set_only_v6(void *ctx, const char *value, GError **err)
{
	((struct cli_run_args *)ctx)->only_v6 = true;
	return true;
}

static bool set_host_loopback(void *ctx, const char *value, GError **err)
{
	((struct cli_run_args *)ctx)->net.host_loopback = true;
	return true;
}

static bool set_outbound(void *ctx, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;
	struct addr a, *slot;

	if (!cli_value_addr(value, &a, err))
		return false;
	if (addr_is_unspecified(&a) || addr_is_multicast(&a) || addr_is_broadcast4(&a))
		return cli_value_fail(err, value, value, "not an address to connect from");
	slot = addr_is_v4(&a) ? &args->net.outbound4 : &args->net.outbound6;
	if (!addr_is_unspecified(slot))
		return cli_value_fail(err, value, value, "a second %s address", addr_is_v4(&a) ? "IPv4" : "IPv6");
	*slot = a;
	return true;
}

static bool set_outbound_if(void *ctx, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;

	if (!cli_value_ifname(value, err))
		return false;
	g_strlcpy(args->net.outbound_if, value, sizeof(args->net.outbound_if));
	return true;
}

static bool set_udp_filtering(void *ctx, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;

	args->net.udp_filter_open = !strcmp(value, "endpoint-independent");
	if (!args->net.udp_filter_open && strcmp(value, "address-and-port"))
		return cli_value_fail(err, value, value, "neither address-and-port nor endpoint-independent");
	return true;
}

/* ip_local_port_range; false when the host does not tell. */
static bool ephemeral_ports(uint16_t *first, uint16_t *last)
{
	g_autofree char *text = NULL;
	unsigned a, b;

	if (!g_file_get_contents("/proc/sys/net/ipv4/ip_local_port_range", &text, NULL, NULL) || sscanf(text, "%u %u", &a, &b) != 2 || a > b ||
	    b > UINT16_MAX)
		return false;
	*first = (uint16_t)a;
	*last = (uint16_t)b;
	return true;
}

static bool set_ports(void *ctx, enum portspec_proto proto, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;
	struct portspec_dialect dialect = { .any_port = true, .unix_path = true };

	if (!ephemeral_ports(&dialect.ephemeral_first, &dialect.ephemeral_last))
		dialect.ephemeral_first = dialect.ephemeral_last = 0;
	if (!args->ports)
		args->ports = portspec_table_new();
	return portspec_add(args->ports, proto, value, &dialect, err);
}

static bool set_tcp_ports(void *ctx, const char *value, GError **err)
{
	return set_ports(ctx, PORTSPEC_TCP, value, err);
}

static bool set_udp_ports(void *ctx, const char *value, GError **err)
{
	return set_ports(ctx, PORTSPEC_UDP, value, err);
}

static bool set_source(void *ctx, const char *value, GError **err)
{
	if (!publish_source_parse(value, &((struct cli_run_args *)ctx)->source))
		return cli_value_fail(err, value, value, "none of client, gateway, proxy1, proxy2");
	return true;
}

static bool set_service(void *ctx, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;
	struct cli_service s;

	if (!cli_service_parse(value, &s, err))
		return false;
	if (!args->services)
		args->services = g_array_new(false, false, sizeof(s));
	g_array_append_val(args->services, s);
	return true;
}

static bool set_control(void *ctx, const char *value, GError **err)
{
	if (!*value)
		return cli_value_fail(err, value, value, "a path is missing");
	((struct cli_run_args *)ctx)->control = value;
	return true;
}

static bool set_root(void *ctx, const char *value, GError **err)
{
	((struct cli_run_args *)ctx)->map_root = true;
	return true;
}

static bool set_no_offload(void *ctx, const char *value, GError **err)
{
	((struct cli_run_args *)ctx)->offload = false;
	return true;
}

static bool set_stats(void *ctx, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;

	if (value && strcmp(value, "text") && strcmp(value, "json"))
		return cli_value_fail(err, value, value, "neither text nor json");
	args->stats = value && !strcmp(value, "json") ? CLI_RUN_STATS_JSON : CLI_RUN_STATS_TEXT;
	return true;
}

static bool set_log_level(void *ctx, const char *value, GError **err)
{
	if (!journal_level_parse(value, &((struct cli_run_args *)ctx)->level))
		return cli_value_fail(err, value, value, "none of error, warn, info, debug");
	return true;
}

static bool set_version(void *ctx, const char *value, GError **err)
{
	((struct cli_run_args *)ctx)->version = true;
	return true;
}

static bool set_help(void *ctx, const char *value, GError **err)
{
	struct cli_run_args *args = ctx;
	g_autofree char *rows = cli_option_help(cli_run_args_shared, value);

	if (!rows)
		return cli_value_fail(err, value, value, "the help has no such topic");
	args->help = true;
	args->topic = value;
	return true;
}

static const struct cli_option ports_table[] = {
	{ 't', "tcp-ports", "SPEC", "publish TCP, as 8080:80 or 127.0.0.1/22; repeatable", set_tcp_ports },
	{ 'u', "udp-ports", "SPEC", "publish UDP, likewise", set_udp_ports },
	{ 0, "publish-source", "HOW", "whom the guest sees: client, gateway, proxy1, proxy2", set_source },
	{ 0, "service", "PLACE=HOW", "for the guest: 10.0.2.4:80=exec:CMD or =unix:PATH", set_service },
	{ 0, "control", "PATH", "a socket for slirpgate ctl", set_control },
	{ 0, NULL, NULL, NULL, NULL },
};

const struct cli_option cli_run_args_shared[] = {
	{ 0, "net", "CIDR", "gateway .2, DNS .3, guest .15 of it (10.0.2.0/24)", set_net },
	{ 0, "net6", "PREFIX", "gateway ::2, DNS ::3, guest ::15 of it (fd00::/64)", set_net6 },
	{ '4', "ipv4-only", NULL, "no IPv6 for the guest", set_only_v4 },
	{ '6', "ipv6-only", NULL, "no IPv4 for the guest", set_only_v6 },
	{ 0, "mtu", "BYTES", "of the guest's interface (65520)", set_mtu },
	{ 0, "mac", "MAC", "of the guest's interface (52:54:00:12:34:56)", set_mac },
	{ 0, "ifname", "NAME", "of the guest's interface (tap0)", set_ifname },
	{ 0, "dns", "ADDR", "name server to relay to; repeatable (the host's)", set_dns },
	{ 0, "search", "DOMAIN", "search domain of the guest; repeatable", set_search },
	{ 0, "hostname", "NAME", "what DHCP tells the guest to be called", set_hostname },
	{ 0, "domain", "DOMAIN", "what DHCP tells the guest to be part of", set_domain },
	{ 0, "host-loopback", NULL, "open the host's loopback and own addresses", set_host_loopback },
	{ 0, "outbound", "ADDR", "connect from this host address; once per family", set_outbound },
	{ 0, "outbound-if", "NAME", "connect through this host interface", set_outbound_if },
	{ 0, "udp-filtering", "HOW", "address-and-port or endpoint-independent", set_udp_filtering },
	{ 0, "no-offload", NULL, "a plain tap, no checksum or segmentation offload", set_no_offload },
	{ 0, "stats", "=json", "print the counters to standard error at the end", set_stats },
	{ 0, "log-level", "LEVEL", "error, warn, info or debug (warn)", set_log_level },
	{ 'V', "version", NULL, "name and version", set_version },
	{ 'h', "help", "=ports", "this text; =ports: published ports, services", set_help },
	{ 0, NULL, NULL, NULL, NULL, ports_table, "ports" },
};

const struct cli_option cli_run_args_table[] = {
	{ 0, "root", NULL, "COMMAND sees itself as root of its namespace", set_root },
	{ 0, NULL, NULL, NULL, NULL, cli_run_args_shared },
};

static bool check_outbound_family(bool off, const char *by, const struct addr *a, GError **err)
{
	char text[ADDR_STRLEN];

	if (!off || addr_is_unspecified(a))
		return true;
	g_set_error(err, CLI_OPTION_ERROR, CLI_EXIT_USAGE, "--outbound: %s: its family is switched off by %s", addr_format(a, text), by);
	return false;
}

bool cli_run_args_check(struct cli_run_args *args, GError **err)
{
	if (args->only_v4 && args->only_v6) {
		g_set_error_literal(err, CLI_OPTION_ERROR, CLI_EXIT_USAGE, "-4 and -6 together leave the guest no network");
		return false;
	}
	if (!check_outbound_family(args->only_v4, "-4", &args->net.outbound6, err) ||
	    !check_outbound_family(args->only_v6, "-6", &args->net.outbound4, err))
		return false;
	args->net.v4 = !args->only_v6;
	args->net.v6 = !args->only_v4;
	if (args->net.mtu < GATEWAY_MTU6_MIN && args->net.v6) {
		if (args->only_v6) {
			g_set_error(err, CLI_OPTION_ERROR, CLI_EXIT_USAGE, "--mtu: %u: IPv6 needs at least %d", args->net.mtu, GATEWAY_MTU6_MIN);
			return false;
		}
		args->net.v6 = false; /* as gateway.h says of GATEWAY_MTU6_MIN; cli_run.c tells the user */
	}
	for (guint k = 0; args->services && k < args->services->len; k++)
		if (!cli_service_check(&g_array_index(args->services, struct cli_service, k), &args->net, err))
			return false;
	return true;
}

void cli_run_args_init(struct cli_run_args *args)
{
	*args = (struct cli_run_args){ .ifname = "tap0", .offload = true, .level = JOURNAL_WARN };
	gateway_config_init(&args->net);
}

void cli_run_args_clear(struct cli_run_args *args)
{
	g_clear_pointer(&args->ports, g_array_unref);
	g_clear_pointer(&args->services, g_array_unref);
}

bool cli_run_args_parse(int argc, char **argv, struct cli_run_args *ret, GError **err)
{
	struct cli_run_args args;
	int used;

	cli_run_args_init(&args);
	used = cli_option_parse(cli_run_args_table, &args, argc, argv, err);
	if (used < 0 || !cli_run_args_check(&args, err)) {
		cli_run_args_clear(&args);
		return false;
	}
	args.command = argv + used;
	*ret = args;
	return true;
}
