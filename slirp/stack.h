/* stack.h - the guest-facing core: a calculator.
 *
 * What it is: Ethernet, ARP, NDP, IPv4, IPv6, UDP, echo and the guest's half of every TCP connection.  Frames, host events and `now` go in;
 * frames and calls to struct stack_host come out.
 * What it is not: a user of sockets, clocks, files, logs or threads.  It can be run from a text file (tests/scripts).
 * Times: int64_t microseconds on any monotonic clock; the caller passes one value per turn.
 * Memory: connections belong to the host (tcp_syn hands them out, tcp_gone gives them back); the stack owns its tables.
 * Re-entrance: no stack_host or upstream callback may call into the stack, but one: tcp_syn may end other connections.
 * Below: slirp/base, slirp/wire, upstream.h.  Above: gateway/gateway.c, tests.
 */
#ifndef SLIRP_STACK_H
#define SLIRP_STACK_H

#include "slirp/base/addr.h"
#include "slirp/base/mem.h"
#include "slirp/base/reason.h"
#include "slirp/base/siphash.h"
#include "slirp/stack_tunable.h"
#include "slirp/wire/eth_wire.h"
#include "slirp/wire/gso_wire.h"
#include "slirp/wire/icmp_wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct stack;
struct tcp_conn;

enum {
	FRAME_HEAD_MAX = 256, /* a link that copies headers out of guest memory copies this many bytes, or the whole frame if shorter */
	TX_SLOT_IOV = 64,     /* pieces of payload in one slot */
	STACK_HOSTNAME_LEN = 64, /* with the closing NUL, as the two below */
	STACK_DOMAIN_LEN = 254,
	STACK_SEARCH_LEN = 1024,
	STACK_BOOTFILE_LEN = 128, /* as the field of DHCPv4 */
	STACK_TFTP_NAME_LEN = 256,
};

/* One frame or one super-frame from the guest.  Everything stays valid and unchanged until stack_flush() returns. */
struct frame {
	const uint8_t *head;	  /* private memory, from the Ethernet header on; at least min(256, whole frame) bytes */
	uint32_t head_len;
	const struct iovec *rest; /* the bytes behind head, possibly guest memory: payload only, never parsed */
	int n_rest;
	uint32_t rest_len;
	uint16_t gso_size; /* payload bytes per segment of a super-frame; 0: an ordinary frame */
	bool gso_udp;	   /* of UDP datagrams, each of gso_size but the last; else of TCP segments */
	bool reassembled;  /* by the core, from fragments: who sent those allows more of them */
	bool csum_ok;	   /* the link vouches for the L4 checksum */
};

/* Room for one frame toward the guest in the link's own memory. */
struct tx_slot {
	uint8_t *head;		      /* head_len bytes as asked: Ethernet, IP and L4 header, written by the core once */
	struct iovec pl[TX_SLOT_IOV]; /* where the payload goes, in order; a link that cuts has left header gaps between the pieces */
	int n_pl;
	uint32_t room; /* payload bytes that pl holds; may be less than asked, never 0 when payload was asked for */
	void *priv;    /* the link's */
};

/* What a datagram carries besides its payload. */
struct dgram_meta {
	uint8_t hop_limit;   /* from the guest: as it left it; toward the guest: not looked at */
	uint8_t tos;	     /* DSCP and ECN */
	bool dont_fragment;  /* from the guest: IPv4 DF; true for IPv6 unless the guest sent fragments */
	uint16_t gso_size;   /* the payload is a run of datagrams of this size, the last may be shorter; 0: it is one datagram */
};

/* One echo request of the guest, and what comes of it. */
struct echo {
	struct addr guest, far; /* as the guest names them */
	uint16_t id, seq;
	uint8_t hop_limit;  /* from the guest: as it left it; toward the guest: to be sent with, 0: the default */
	uint8_t tos;	    /* DSCP and ECN, both ways */
	bool dont_fragment; /* from the guest: IPv4 DF */
};

/* What the core needs of its surroundings; embed it and use container_of(). */
struct stack_host {
	/* A slot for head_len bytes of headers and up to payload_len bytes behind them, to be cut into pieces of mss (0: one piece).
	 * False: the link is full; the host calls stack_link_ready() when that has changed. */
	bool (*tx_get)(struct stack_host *h, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss);
	/* Sends the slot with `used` payload bytes (possibly fewer than room).  A slot may be abandoned by not putting it. */
	void (*tx_put)(struct stack_host *h, struct tx_slot *slot, const struct frame_meta *meta, uint32_t used);

	/* A valid first SYN.  Return R_ACCEPTED with *ret = zeroed memory for a connection, which stays HELD until tcp_open_accept() or
	 * tcp_open_refuse(); any other reason refuses at once, by RST or ICMP as tcp_open_answer() says. */
	enum reason (*tcp_syn)(struct stack_host *h, const struct tuple *t, struct tcp_conn **ret);
	/* The connection has left every table; its memory is the host's again.  Not to be freed before the current stack call
	 * returns.  If the upstream was not aborted, both directions ended in order and it is to be closed. */
	void (*tcp_gone)(struct stack_host *h, struct tcp_conn *c, enum reason why);

	/* The guest has accepted a connection that tcp_connect() began.  A host that never calls that may leave it NULL. */
	void (*tcp_established)(struct stack_host *h, struct tcp_conn *c);

	/* A valid datagram from the guest, or a run of them; what the iovecs point to is valid until stack_flush() returns, the array
	 * during the call.  R_ACCEPTED: taken; else the reason to count: the guest is told by ICMP when it means that nothing is there. */
	enum reason (*dgram)(struct stack_host *h, const struct tuple *t, const struct dgram_meta *m, const struct iovec *data, int n,
			     uint32_t len, int64_t now);

	/* NULL, or: does somebody answer for this address of the subnet, besides gateway and name server? */
	bool (*stands_for)(struct stack_host *h, const struct addr *a);

	/* A valid echo request to somebody else than the gateway, hop limit above 1; data as for dgram.  R_ACCEPTED: carried, perhaps
	 * answered later by stack_echo() or stack_echo_error(); else the reason to count, and what the guest is told by ICMP. */
	enum reason (*echo)(struct stack_host *h, const struct echo *e, const struct iovec *data, int n, uint32_t len, int64_t now);
};

/* What the link can carry (gateway/link.h says the same to the gateway). */
struct stack_link {
	uint16_t mtu;		   /* IP bytes per frame */
	bool tso4, tso6;	   /* super-frames toward the guest need no cutting */
	bool gso_udp;		   /* nor do runs of equal datagrams */
	bool lossless;		   /* no slow start needed */
	uint32_t guest_queue; /* frames that the guest may have under way to us before the link drops any; 0: no such limit */
};

/* What a management controller is told (ncsi.h). */
struct stack_ncsi {
	bool on;	       /* else it is not answered */
	uint32_t manufacturer; /* IANA enterprise number */
	struct mac mac;	       /* of the management controller, where that manufacturer's command asks for it */
};

/* What DHCP tells guests that boot from the network; "", addr_any: nothing is said. */
struct stack_boot {
	char file[STACK_BOOTFILE_LEN]; /* a name, or a URL */
	char tftp_name[STACK_TFTP_NAME_LEN];
	struct addr next_server; /* IPv4: where the file is */
};

struct stack_config {
	bool v4, v6;
	struct mac gw_mac, guest_mac;
	struct mac gw_mac6; /* of IPv6; zero: gw_mac */
	struct addr gw4, dns4, guest4;
	struct addr gw6, dns6, guest6;
	struct addr ll6;    /* our link-local address; unspecified: made of gw_mac6, RFC 4291 appendix A */
	struct prefix net4, net6;
	bool any_guest; /* guests are not configured but learned (guests.h): guest_mac and guest6 mean nothing, guest4 is the first DHCP lease */
	bool slaac; /* any address of net6 that is not ours is the guest's; router advertisements then invite it to choose one */
	bool dhcp_off;	/* DHCPv4 is silent */
	struct stack_ncsi ncsi;
	bool isolated;	/* DHCPv4 names neither router nor name server */
	char hostname[STACK_HOSTNAME_LEN], domain[STACK_DOMAIN_LEN]; /* what DHCP tells the guest; "": nothing */
	char search[STACK_SEARCH_LEN];	/* domains with blanks between them */
	struct stack_boot boot;
	struct stack_link link;
	struct siphash_key key; /* random */
	struct stack_tunables tune;
	struct mem *mem; /* lets allocations fail; NULL: none are made to.  It must outlive the stack */
};

struct stack_stats {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes; /* a super-frame counts once */
	uint64_t to_host_bytes, to_guest_bytes;		   /* TCP payload acknowledged to, by the guest */
	uint64_t retransmits, rto_events, acks_sent, time_waits;
	uint32_t conns; /* in the table, without time-wait */
};

void stack_config_init(struct stack_config *cfg); /* zeroes, then sets the tunables' defaults */

/* NULL: no memory.  cfg is copied; host must outlive the stack; drops counts the reasons of dropped packets. */
struct stack *stack_new(const struct stack_config *cfg, struct stack_host *host, struct reason_tally *drops);
/* Every connection must be gone (tcp_conn_drop_all()).  NULL is a no-op. */
void stack_free(struct stack *st);

/* One frame from the guest.  R_ACCEPTED or the reason why it was dropped (already counted). */
enum reason stack_input(struct stack *st, const struct frame *f, int64_t now);
/* Every touched connection writes what came, acknowledges, and gets one try to send.  Bounded by flush_budget per connection. */
void stack_flush(struct stack *st, int64_t now);
/* Serves the deadlines that are due; the effects leave with the next stack_flush(). */
void stack_expire(struct stack *st, int64_t now);
/* When stack_expire() must be called if nothing else happens; TIMERQ_NEVER if never. */
int64_t stack_deadline(const struct stack *st);
/* True while stack_flush() has left work over (budgets, pressure): call it again in the next turn without waiting. */
bool stack_pending(const struct stack *st);
/* The guest's link is there (again), or what the guest is told has changed: the initial router advertisements leave, the first with the
 * next stack_expire(). */
void stack_link_up(struct stack *st, int64_t now);
/* The host runs short of flows, descriptors or memory, or no longer does: while it does, idle connections are probed as half-closed ones
 * are, so that those whose guest is gone make room.  Idempotent; the deadlines of existing connections follow over the next turns. */
void stack_pressure(struct stack *st, bool on, int64_t now);
/* The n-th neighbour learned (any_guest); false: there are no more. */
bool stack_neighbour(const struct stack *st, unsigned n, struct addr *addr, struct mac *mac);
/* The identification of the next IPv4 packet; set: the one from now on, 0: it stays. */
uint16_t stack_ip_id(struct stack *st, uint16_t set);
/* A router advertisement to everybody leaves with the next flush (IPv6 only). */
void stack_advertise(struct stack *st);
/* The link has room again. */
void stack_link_ready(struct stack *st);

/* One UDP datagram, or a run of them (m->gso_size), to the guest, from `far` to `guest`; as fragments where one is larger than the MTU.
 * R_ACCEPTED or why not, already counted (family; LINK_FULL: a part may have left; larger than any packet: L4_LENGTH). */
enum reason stack_dgram(struct stack *st, const struct tuple *t, const struct dgram_meta *m, const struct iovec *data, int n,
			uint32_t len);
/* Tells the guest by ICMP what became of a datagram it sent to t->far, unless too many errors left lately (icmp_rate, counted).
 * from: who says so; NULL: the gateway. mtu: ICMP_UNREACH_SIZE. */
void stack_dgram_error(struct stack *st, const struct tuple *t, enum icmp_unreach why, uint32_t mtu, const struct addr *from, int64_t now);

/* The reply to e with its data, in fragments where it is larger than the MTU.  R_ACCEPTED or why not: family, larger than any packet
 * (both not counted), LINK_FULL (counted; a part may have left). */
enum reason stack_echo(struct stack *st, const struct echo *e, const struct iovec *data, int n, uint32_t len);
/* Tells the guest by ICMP what became of e; from and mtu as in stack_dgram_error(). */
void stack_echo_error(struct stack *st, const struct echo *e, enum icmp_unreach why, uint32_t mtu, const struct addr *from, int64_t now);

void stack_stats(const struct stack *st, struct stack_stats *ret);
const struct stack_config *stack_cfg(const struct stack *st);
/* The rows in force, to be read, and changed by stack_tunable_set(): from then on. */
struct stack_tunables *stack_tune(struct stack *st);

#endif
