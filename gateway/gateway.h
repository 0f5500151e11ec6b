/* gateway.h - one gateway: a guest's link on one side, the host's sockets on the other.
 *
 * What it is: the composition of core (slirp/), policy and all I/O, hosted by a GLib main context or driven by an application.
 * What it is not: a door.  Doors (gateway/doors) fill a gateway_config, make a link and call gateway_new().
 * Threads: everything of one gateway runs in the thread that iterates its GMainContext, or calls loop_run().  Two gateways share nothing.
 * Below: slirp, policy.  Above: gateway/doors, tests.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "gateway/gateway_tunable.h"
#include "gateway/link.h"
#include "slirp/base/addr.h"
#include "slirp/base/reason.h"
#include "slirp/stack.h"
#include "slirp/wire/eth_wire.h"

#include <glib.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	GATEWAY_DNS_MAX = 8, /* name servers that are tried, in order */
	GATEWAY_MTU_MIN = 576,
	GATEWAY_MTU6_MIN = 1280, /* RFC 8200 5: below this IPv6 is not offered */
	GATEWAY_MTU_MAX = 65521,
};

struct guestfwd;
struct hostinfo;
struct inbound;
struct journal;
struct loop;
struct publisher;
struct udp_publish;

/* What the guest sees.  Defaults: gateway_config_init(). */
struct gateway_config {
	bool v4, v6;		    /* families offered; at least one */
	struct prefix net4, net6;
	struct addr gw4, dns4, guest4; /* net4 + 2, + 3, + 15 */
	struct addr gw6, dns6, guest6; /* net6 + ::2, ::3, ::15 */
	struct mac gw_mac, guest_mac;
	struct mac gw_mac6; /* of IPv6; zero: gw_mac */
	struct addr ll6;    /* the gateway's link-local address; unspecified: made of the MAC */
	bool any_guest;	    /* guests are learned, not configured: guest_mac and guest6 mean nothing, guest4 is the first DHCP lease */
	uint16_t mtu; /* of the guest's interface: IP bytes per frame */
	char hostname[STACK_HOSTNAME_LEN], domain[STACK_DOMAIN_LEN]; /* told by DHCP; "": nothing is */
	char search[STACK_SEARCH_LEN]; /* domains with blanks between, told by DHCP and router advertisements */
	struct stack_boot boot; /* told by DHCP */

	bool host_loopback;		     /* the gateway address leads to the host's loopback, and the host's own addresses are open */
	bool own_addresses;		     /* they are open anyway */
	bool loopback_unroutable;	     /* where host_loopback is missed, the guest hears "network unreachable", not a refusal */
	bool restricted;		     /* nothing leads to the host or beyond; DHCP names neither router nor name server */
	bool dns_off;			     /* the name server's address answers pings and nothing else */
	bool dhcp_off;
	struct stack_ncsi ncsi;		     /* a management controller is answered */
	struct hostinfo *(*hostinfo)(GError **err); /* who knows them: hostinfo.h; needed unless they are open */
	struct addr outbound4, outbound6;    /* source of outgoing connections; addr_any: the kernel chooses */
	char outbound_if[IF_NAMESIZE];	     /* SO_BINDTODEVICE; "": none */
	struct addr dns[GATEWAY_DNS_MAX];    /* name servers to relay to; n_dns 0: those of the host's resolv.conf, followed */
	unsigned n_dns;
	struct mem *mem;		     /* lets allocations that outsiders cause fail (tests); NULL: none are made to */
	struct publisher *publisher;	     /* ports to be served, or to come; the caller keeps it; NULL: there are none */
	const struct journal *journal;	     /* of the caller, who keeps it; NULL: silence */
	bool slaac; /* the guest may choose addresses of net6 (a /64) for itself, and is invited to */
	struct gateway_tunables tune;
	void (*guestfwd_drained)(void *arg); /* a place of guestfwd takes bytes again; from inside a turn; NULL */
	void *guestfwd_arg;
	const char *tftp; /* directory whose files TFTP serves at the gateway's addresses; read by gateway_new() only; NULL: none, the port is like others */
	bool udp_filter_open;		     /* UDP from anybody reaches a port the guest has used; else only from those it has sent to */
};

/* Figures for a person and for tests; a copy, not a view. */
struct gateway_stats {
	uint64_t link_rx_frames, link_rx_bytes; /* from the guest */
	uint64_t link_tx_frames, link_tx_bytes; /* to the guest */
	uint64_t flows_opened, flows_now, half_open_now;
	uint64_t pressure_times; /* that something ran short */
	bool pressure_now;
	uint64_t to_host_bytes, to_guest_bytes; /* TCP payload */
	uint64_t udp_sessions_opened, udp_sessions_now, udp_sockets_now, udp_evicted; /* evicted: sessions, at the caps */
	uint64_t udp_to_host, udp_to_guest; /* datagrams, without DNS to the relay */
	uint64_t echo_sockets_now, echo_evicted; /* ids that ping */
	uint64_t echo_to_host, echo_to_guest; /* pings and their replies, without those the gateway answers itself */
	uint64_t dns_queries, dns_answers;
	uint64_t turns; /* wake-ups of the loop */
	struct reason_tally drops;  /* packets, by reason */
	struct reason_tally closes; /* flows, by reason */
};

/* 10.0.2.0/24 and fd00::/64 with the addresses above, MTU 65520, fixed MACs 52:55:0a:00:02:02 (gateway) and 52:54:00:12:34:56 (guest),
 * both families, everything else off. */
void gateway_config_init(struct gateway_config *cfg);
/* Sets a family's prefix and derives gateway, DNS and guest address from it. */
void gateway_config_net(struct gateway_config *cfg, const struct prefix *net);
/* What the core is told of it, all but the link and the key. */
void gateway_config_stack(const struct gateway_config *cfg, struct stack_config *ret);

struct gateway;

/* Takes ownership of link, also on failure.  ctx: the context whose loop hosts the gateway, made for it
 * (loop_linger()); a reference is taken.  cfg is copied. */
struct gateway *gateway_new(const struct gateway_config *cfg, struct link *link, GMainContext *ctx, GError **err);
/* The same on a loop that the caller has made; link and loop are taken, also on failure. */
struct gateway *gateway_new_on(const struct gateway_config *cfg, struct link *link, struct loop *loop, GError **err);
/* Resets every flow (the guest and the far sides get RST), then frees.  NULL is a no-op. */
void gateway_free(struct gateway *gw);

/* For whoever has bound UDP ports for the guest. */
struct udp_publish *gateway_udp_publish(struct gateway *gw);
/* For whoever has clients for the guest: inbound_open(). */
struct inbound *gateway_inbound(struct gateway *gw);
/* Places of the guest's subnet that lead to something of the application's (guestfwd.h). */
struct guestfwd *gateway_guestfwd(struct gateway *gw);
/* Something outside was dropped for this reason. */
void gateway_count(struct gateway *gw, enum reason why);
/* For listings, and for what a door makes the core say. */
struct stack *gateway_stack(struct gateway *gw);

void gateway_stats(const struct gateway *gw, struct gateway_stats *ret);

/* The gateway's own rows in force, to be read, and changed by gateway_tunable_set(); the core's: stack_tune(gateway_stack()). */
struct gateway_tunables *gateway_tunables(struct gateway *gw);
/* Ends one TCP connection: RST to both sides.  False: there is none with these ends. */
bool gateway_close_flow(struct gateway *gw, const struct tuple *t);

/* Called once, from the loop, when the link has failed or its other side has gone; the gateway then does nothing more. */
void gateway_on_link_gone(struct gateway *gw, void (*fn)(void *arg, int err), void *arg);

#endif
