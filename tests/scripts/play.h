/* play.h - one script being played: the stage, its connections, and the loop that turns lines into events.
 *
 * Shape: play.c reads lines and moves the clock; setup.c, guest.c, host.c and expect.c are the verbs; craft.c makes guest frames;
 * ping.c is the verbs' echo; fake.c is the link, the host and the upstreams that the core sees; judge.c looks at every frame that comes out;
 * gather.c puts fragments together for it.
 * Below: script.h, notation.h, slirp.  Above: main.c.
 *
 * prefixes: play_
 */
#ifndef TESTS_SCRIPTS_PLAY_H
#define TESTS_SCRIPTS_PLAY_H

#include "slirp/base/reason.h"
#include "slirp/stack.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/tcp_conn.h"
#include "tests/scripts/notation.h"
#include "tests/scripts/script.h"

#include <glib.h>

enum {
	PLAY_PORT = 40000,     /* the guest's port when a line names none */
	PLAY_SPACE = 16 << 20, /* what an upstream without "host space" has room for */
	PLAY_TOLERANCE = 1000, /* microseconds by which a frame may have left before the line that expects it */
};

struct play;

/* The memory that the core is given for one connection, and the upstream it talks to. */
struct fake_flow {
	struct tcp_conn c;
	struct upstream up;
	struct conn *conn;
};

/* One connection as the script sees it; outlives the core's. */
struct conn {
	struct play *play;
	uint16_t port;
	struct endpoint guest, far;
	struct fake_flow *flow; /* NULL: not dialed, or gone */

	/* the guest's side */
	uint32_t isn;	      /* what relative number 0 means */
	uint8_t guest_wscale; /* from the last SYN */
	bool guest_wscale_ok, guest_ts, guest_sack;
	uint32_t guest_mss;   /* as its SYN said, or the default of its family */
	uint32_t acked;	      /* relative: what the guest has acknowledged */
	uint32_t edge;	      /* relative: right edge of the guest's window, the highest ever */
	uint32_t ts_base;     /* its timestamp clock: this value ... */
	int64_t ts_base_at;   /* ... at that time */
	uint32_t ts_last;     /* newest timestamp value seen from the gateway */
	uint32_t fin_end;     /* relative number behind the guest's FIN, 0: none sent */
	uint32_t rx_end;      /* relative: highest number behind data that was sent by the guest */

	/* the gateway's side toward the guest */
	bool iss_known, wscale_ok, ts_ok, adv_known;
	uint32_t iss;
	uint8_t wscale;
	uint32_t adv;	 /* relative: right edge advertised */
	uint32_t ack;	 /* relative: highest acknowledgement */
	uint32_t nxt;	 /* relative: highest number behind anything it sent */

	/* the host's side */
	uint64_t offered, consumed, peeked; /* bytes, positions in the stream */
	bool eof, shut, aborted, accepted;
	bool active;		 /* "host connect": the gateway sent the SYN */
	uint32_t established;	 /* tcp_established calls no line has asked about */
	int peek_error, write_error;
	uint32_t space;		 /* PLAY_SPACE: never falls */
	uint32_t take_max, peek_max; /* 0: no limit */
	uint64_t written;

	/* what a line has not asked about yet */
	uint32_t dials, fins, resets, gones, writes;
	uint64_t got_seen, consumed_seen;
	enum reason gone_why;
};

enum out_kind { OUT_TCP, OUT_UDP, OUT_ICMP, OUT_ARP, OUT_NA, OUT_DHCP, OUT_DHCP6, OUT_RA, OUT_ECHO };

/* One frame that came out. */
struct out {
	enum out_kind kind;
	int64_t at;
	struct conn *conn; /* TCP and ICMP about TCP */
	struct tcp_seg seg; /* numbers relative */
	uint32_t gso;
	struct endpoint far; /* UDP, and what an ICMP error quotes */
	uint16_t port;	     /* of the guest, as an ICMP error quotes it */
	uint32_t mtu;	     /* ICMP; an echo reply's id and sequence number */
	uint32_t pieces;     /* fragments it came in, 0: whole */
	uint32_t len;
	uint8_t icmp_type, icmp_code, hop_limit, tos;
	bool v6;
	struct addr addr; /* ARP, NA: whose address; ICMP: the sender */
	struct mac mac;
	bool solicited, override, router;
	struct eth eth;
	char *text;
};

struct dgram_seen {
	struct endpoint far;
	uint32_t len;
	struct dgram_meta meta;
};

struct echo_seen {
	struct echo echo;
	uint32_t len;
};

struct play {
	const struct script *script;
	int line; /* index */
	char *text; /* of the line, after substitution */
	bool verbose;
	GHashTable *vars; /* of repeat */

	struct stack_config cfg;
	struct stack *st;
	struct stack_host host;
	struct reason_tally drops, drops_seen;
	int64_t start, now;

	GHashTable *conns; /* by port */
	struct endpoint far4, far6;
	bool v6; /* new connections are IPv6 */
	enum reason syn_answer, dgram_answer, echo_answer;

	GPtrArray *inflight; /* guest frames: stay until the flush */
	GPtrArray *dead;     /* flows the core gave back during the current call */
	GQueue outs;	     /* struct out */
	GQueue dgrams;	     /* struct dgram_seen */
	GQueue echoes;	     /* struct echo_seen */
	GQueue gathers;	     /* packets of which fragments came, not all */
	GPtrArray *gathered; /* those that became whole */
	enum reason last_drop;
	bool batch, manual, strict_order, leftover_ok;
	bool range; /* the line began with "+A..B" */
	uint16_t ip_id;

	struct mem mem;

	/* the link */
	bool tso;
	uint32_t slot_max;   /* payload bytes per slot, 0: as asked */
	int64_t link_room;   /* frames, -1: endless */
	void *slot;	     /* the one slot that is out */

	GHashTable *states; /* "STATE/event"; NULL: nobody asks */
	GPtrArray *history; /* text of what happened */
	GString *fail;	    /* NULL: fine so far */
};

/* True if the whole script went well; which events met which states is added to states, which may be NULL.  Otherwise *ret_report says where and why (lines beginning with "# "). */
bool play_run(const struct script *s, bool verbose, GHashTable *states, char **ret_report);

/* Records the first failure with file and line; returns false, for tail calls. */
bool play_fail(struct play *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void play_note(struct play *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool play_asks(const struct words *w);	       /* the rest of a "host" line is a question */
bool play_start(struct play *p);	       /* makes the stack when the first event comes */
bool play_flush(struct play *p);	       /* ends a turn */
struct conn *play_conn(struct play *p, uint16_t port); /* made when new */
struct conn *play_conn_find(struct play *p, uint16_t port); /* NULL: unknown */
uint8_t play_pattern(uint16_t port, bool to_guest, uint32_t pos);
bool play_reason(const char *name, enum reason *ret);

/* Verbs: the words behind the verb, the port behind '@'. */
bool setup_option(struct play *p, struct words *w);
bool setup_tunable(struct play *p, struct words *w);
bool setup_conn(struct play *p, struct words *w, uint16_t port);
bool setup_link(struct play *p, struct words *w);
bool setup_pressure(struct play *p, struct words *w);
bool guest_line(struct play *p, struct words *w, uint16_t port);
bool host_line(struct play *p, struct words *w, uint16_t port);
bool expect_line(struct play *p, struct words *w, uint16_t port);
bool expect_silence(struct play *p, uint16_t port, bool any_port);
bool expect_gone(struct play *p, struct words *w, uint16_t port);
bool expect_drop(struct play *p, struct words *w);
bool expect_counted(struct play *p, struct words *w);
bool expect_stat(struct play *p, struct words *w);
bool expect_end(struct play *p);

/* fake.c */
extern const struct upstream_ops fake_ops;
void fake_init(struct play *p);
void fake_reap(struct play *p); /* frees what the core gave back: legal once its call has returned */

/* states.c */
void states_guest(struct play *p, const struct conn *c, uint8_t flags, uint32_t len);
void states_host(struct play *p, const struct conn *c, const char *verb);
void states_time(struct play *p); /* before deadlines are served */

/* ping.c */
bool ping_guest(struct play *p, struct words *w);
bool ping_host(struct play *p, struct words *w);
bool ping_host_got(struct play *p, struct words *w);
bool ping_expect(struct play *p, struct words *w, struct out *o); /* o may be NULL */
enum reason ping_asked(struct stack_host *h, const struct echo *e, const struct iovec *data, int n, uint32_t len, int64_t now);
void ping_judge(struct play *p, struct out *o, const uint8_t *l4); /* an echo reply */
/* gather.c: one fragment toward the guest.  The whole packet from its IP header on, if this was the last one missing; else NULL. */
const uint8_t *gather_fragment(struct play *p, const struct ip *ip, const uint8_t *l3, uint32_t *ret_len, uint32_t *ret_pieces);
uint32_t gather_forget(struct play *p); /* drops the oldest packet that is not whole; says how many fragments of it came */
void gather_clear(struct play *p);

/* judge.c: looks at one frame toward the guest and queues it; a fault fails the script. */
void judge_frame(struct play *p, const uint8_t *frame, uint32_t len, uint32_t gso);
uint16_t judge_sum(const uint8_t *p, uint32_t len, uint32_t start); /* one's complement sum, folded, host order */
uint16_t judge_pseudo(const struct addr *src, const struct addr *dst, bool v6, uint8_t proto, uint32_t len);

#endif
