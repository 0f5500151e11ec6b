/* libslirp_config.c - from SlirpConfig to a gateway's configuration.  See libslirp_state.h.
 *
 * Only what the config's version has is read: programs that were compiled earlier pass a shorter struct.
 */
#include "gateway/doors/libslirp_state.h"

#include "gateway/hostinfo.h"
#include "slirp/wire/names_wire.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>

enum {
	CONFIG_MTU_MIN = 68,
	CONFIG_MTU_DEFAULT = 1500,
	CONFIG_BOOTFILE_MAX = 128,
	CONFIG_HOSTNAME_MAX = 32,
	CONFIG_SINCE_OUTBOUND = 2, /* versions */
	CONFIG_SINCE_DNS = 3,
	CONFIG_SINCE_DHCP = 4,
	CONFIG_SINCE_NCSI = 5,
};

#define CONFIG_UDP_IDLE (240ll * GATEWAY_S)

static bool config_refused(const char *why)
{
	g_log(LIBSLIRP_DOMAIN, G_LOG_LEVEL_CRITICAL, "slirp_new: %s", why);
	return false;
}

static struct addr config_v4(const struct in_addr *a)
{
	return addr_from_v4((const uint8_t *)a);
}

static struct addr config_v6(const struct in6_addr *a)
{
	return addr_from_v6((const uint8_t *)a);
}

/* A prefix with the bits behind its length cleared. */
static struct prefix config_prefix(const struct addr *a, unsigned len)
{
	struct prefix p = { .addr = *a, .len = (uint8_t)MIN(len, 128) };

	for (unsigned i = p.len; i < 128; i++)
		p.addr.b[i / 8] &= (uint8_t)~(0x80u >> i % 8);
	return p;
}

static void config_addresses(struct gateway_config *g, const SlirpConfig *cfg)
{
	static const struct mac guest = { { 0 } };
	struct addr net4 = config_v4(&cfg->vnetwork), net6 = config_v6(&cfg->vprefix_addr6);
	static const uint8_t ll6[16] = { 0xfe, 0x80, [15] = 2 };

	g->net4 = config_prefix(&net4, 96u + (unsigned)__builtin_popcount(cfg->vnetmask.s_addr));
	g->gw4 = config_v4(&cfg->vhost);
	g->dns4 = config_v4(&cfg->vnameserver);
	g->guest4 = config_v4(&cfg->vdhcp_start);
	g->net6 = config_prefix(&net6, cfg->vprefix_len);
	g->gw6 = config_v6(&cfg->vhost6);
	g->dns6 = config_v6(&cfg->vnameserver6);
	g->guest6 = addr_any;
	g->ll6 = addr_from_v6(ll6);
	g->guest_mac = guest;
	g->gw_mac = (struct mac){ { 0x52, 0x55 } };
	memcpy(g->gw_mac.b + 2, &cfg->vhost, 4);
	g->gw_mac6 = (struct mac){ { 0x52, 0x56 } };
	memcpy(g->gw_mac6.b + 2, cfg->vhost6.s6_addr + 12, 4);
}

static bool config_is_domain(const char *name)
{
	uint8_t labels[NAMES_NAME_MAX];

	return !strpbrk(name, " \t") && names_wire_put(labels, sizeof(labels), name, false);
}

/* The domains of a search list, with blanks between them; one that cannot be is left out. */
static void config_search(struct gateway_config *g, const char **names)
{
	for (; names && *names; names++) {
		size_t len = strlen(*names), used = strlen(g->search);

		if (!config_is_domain(*names) || used + len + 2 > sizeof(g->search))
			g_log(LIBSLIRP_DOMAIN, G_LOG_LEVEL_WARNING, "failed to parse domain name '%s'", *names);
		else
			g_snprintf(g->search + used, sizeof(g->search) - used, "%s%s", used ? " " : "", *names);
	}
}

static void config_texts(struct gateway_config *g, const SlirpConfig *cfg)
{
	if (cfg->vhostname)
		g_strlcpy(g->hostname, cfg->vhostname, CONFIG_HOSTNAME_MAX + 1);
	if (cfg->vdomainname)
		g_strlcpy(g->domain, cfg->vdomainname, sizeof(g->domain));
	config_search(g, cfg->vdnssearch);
}

/* The boot file comes from the gateway, unless the TFTP server is given as an address.  A name is told as it is and never looked up here: that
 * could block. */
static void config_boot(struct gateway_config *g, const SlirpConfig *cfg)
{
	struct addr server;

	g->tftp = cfg->tftp_path;
	g->boot.next_server = g->gw4;
	if (cfg->bootfile)
		g_strlcpy(g->boot.file, cfg->bootfile, sizeof(g->boot.file));
	if (!cfg->tftp_server_name)
		return;
	g_strlcpy(g->boot.tftp_name, cfg->tftp_server_name, sizeof(g->boot.tftp_name));
	if (addr_parse(cfg->tftp_server_name, &server, NULL) && addr_is_v4(&server))
		g->boot.next_server = server;
}

/* What versions after the first have brought. */
static void config_later(struct gateway_config *g, const SlirpConfig *cfg)
{
	if (cfg->version >= CONFIG_SINCE_OUTBOUND && cfg->outbound_addr)
		g->outbound4 = config_v4(&cfg->outbound_addr->sin_addr);
	if (cfg->version >= CONFIG_SINCE_OUTBOUND && cfg->outbound_addr6)
		g->outbound6 = config_v6(&cfg->outbound_addr6->sin6_addr);
	if (cfg->version >= CONFIG_SINCE_DNS)
		g->dns_off = cfg->disable_dns;
	if (cfg->version >= CONFIG_SINCE_DHCP)
		g->dhcp_off = cfg->disable_dhcp;
	g->ncsi.on = true;
	if (cfg->version >= CONFIG_SINCE_NCSI) {
		g->ncsi.manufacturer = cfg->mfr_id;
		memcpy(g->ncsi.mac.b, cfg->oob_eth_addr, sizeof(g->ncsi.mac.b));
	}
}

/* Rules that the application knows nothing of, from whoever started it: this library loads none.  Fail closed, whatever the value: an empty one is
 * a script's slip, not a wish for an open network. */
static void config_policy(struct gateway_config *g)
{
	const char *path = g_getenv("SLIRPGATE_POLICY");

	if (!path)
		return;
	g->restricted = true;
	g_log(LIBSLIRP_DOMAIN, G_LOG_LEVEL_WARNING,
	      "SLIRPGATE_POLICY: this library loads no rules, not those of '%s' either: the guest reaches neither the host nor anything beyond", path);
}

static bool config_check(const SlirpConfig *cfg)
{
	if (!cfg)
		return config_refused("no config");
	if (cfg->version < SLIRP_CONFIG_VERSION_MIN || cfg->version > SLIRP_CONFIG_VERSION_MAX)
		return config_refused("a config version that is not known");
	if (cfg->if_mtu && (cfg->if_mtu < CONFIG_MTU_MIN || cfg->if_mtu > GATEWAY_MTU_MAX))
		return config_refused("if_mtu is out of range");
	if (cfg->if_mru && (cfg->if_mru < CONFIG_MTU_MIN || cfg->if_mru > GATEWAY_MTU_MAX))
		return config_refused("if_mru is out of range");
	if (cfg->bootfile && strlen(cfg->bootfile) >= CONFIG_BOOTFILE_MAX)
		return config_refused("the bootfile's name is too long");
	return true;
}

bool libslirp_config(struct Slirp *s, const SlirpConfig *cfg)
{
	struct gateway_config *g = &s->cfg;
	size_t mtu, mru;

	if (!config_check(cfg))
		return false;
	s->version = cfg->version;
	gateway_config_init(g);
	mtu = cfg->if_mtu ? cfg->if_mtu : CONFIG_MTU_DEFAULT;
	mru = cfg->if_mru ? cfg->if_mru : CONFIG_MTU_DEFAULT;
	g->mtu = (uint16_t)MIN(mtu, mru);
	g->v4 = cfg->in_enabled;
	g->v6 = cfg->in6_enabled && g->mtu >= GATEWAY_MTU6_MIN; /* RFC 8200 5 */
	g->any_guest = true;
	g->host_loopback = !cfg->disable_host_loopback;
	g->own_addresses = g->loopback_unroutable = true;
	g->hostinfo = hostinfo_plain_new;
	g->restricted = cfg->restricted != 0;
	g->guestfwd_drained = libslirp_cb_notify;
	g->guestfwd_arg = s;
	g->tune.udp_replied = g->tune.udp_unreplied = g->tune.udp_published = CONFIG_UDP_IDLE;
	config_addresses(g, cfg);
	config_texts(g, cfg);
	config_boot(g, cfg);
	config_later(g, cfg);
	config_policy(g);
	return true;
}
