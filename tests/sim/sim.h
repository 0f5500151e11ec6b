/* sim.h - a whole world in virtual time: guests with a TCP of their own, two bad wires, and far ends that dawdle.
 *
 * What it is: one seed makes one world; everything in it (options, sizes, delays, losses, ends) comes from that seed, so that a failure
 * is replayed by its number.  Two programs share it: sim plays the pure core (sim.c, up.c), gatesim the whole gateway over system calls
 * of its own (gate*.c).  world.c makes worlds and judges them, guest.c and guest_out.c are the guest's TCP, wire.c is both directions of
 * the link, far.c is what the network's side does and when, runner.c is the command line.
 * What it is not: a second look at single rules: that is tests/scripts.  Here the whole must come out right: every byte, every end.
 * Below: slirp.  Above: nothing.
 *
 * prefixes: sim_ wire_ guest_ far_ up_ world_ runner_ alloc_
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "slirp/stack.h"
#include "slirp/tcp_conn.h"
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"

#include <glib.h>

enum {
	SIM_CONNS = 60,
	SIM_PORT = 40000,
	SIM_FAR_PORT = 8000,
	SIM_RANGES = 32, /* pieces a guest keeps beyond a gap */
	SIM_MS = 1000,
	SIM_S = 1000000,
};

#define SIM_NEVER INT64_MAX

struct sim;
struct gate;
struct gate_fd;

/* What the world breaks on purpose, to show that its judges see it. */
enum sim_break {
	SIM_SOUND,
	SIM_LOSES_BYTE,
	SIM_SWAPS_BYTES,
	SIM_FALSE_FIN,
	SIM_LEAKS_FLOW,
	SIM_ALTERS_DATAGRAM,  /* gatesim alone */
	SIM_MISLEADS_DATAGRAM,
	SIM_ALTERS_LEASE,
	SIM_BREAKS,
};

enum { SIM_BROKEN_AT = 100 }; /* the byte */

/* ---- the link */

/* Chances per thousand frames. */
struct wire_faults {
	uint32_t lose, repeat, reorder, corrupt;
	int64_t delay_min, delay_max; /* microseconds; frames keep their order unless reordered */
	int64_t late_max;	      /* how far behind a reordered or repeated frame may fall */
};

struct wire_frame {
	int64_t at;
	uint32_t len;
	uint16_t gso_size; /* toward the core: a super-frame */
	bool offload;	   /* super-frame, or checksum vouched for: not cut, not corrupted */
	uint8_t data[];
};

struct wire {
	struct sim *sim;
	struct wire_faults faults;
	GQueue frames; /* by time */
	int64_t last_at;
	uint32_t lost, broke_fragment; /* lost: or broken */
};

/* ---- the guest's TCP */

enum guest_state { GUEST_IDLE, GUEST_SYN_SENT, GUEST_LISTEN, GUEST_SYN_RCVD, GUEST_OPEN, GUEST_CLOSED, GUEST_RESET };
enum guest_greets { GUEST_ACCEPTS, GUEST_REFUSES, GUEST_SAYS_NOTHING };

struct guest_range {
	uint32_t start, end;
};

struct guest {
	struct sim *sim;
	struct sim_conn *conn;
	enum guest_state state;
	uint16_t port;
	bool passive; /* others come to it */
	enum guest_greets greets;

	/* character, from the seed */
	bool want_ts, want_sack, want_wscale, keeps_order, silly, nagle, counts_dups, drops_pure_order;
	uint8_t wscale;
	uint16_t mss_in;      /* what its SYN offers; 0: none */
	uint32_t rcv_buf, read_max, write_max, super;
	int64_t read_gap, write_gap, ack_delay;
	uint32_t ack_every;
	bool close_last;      /* its FIN waits for the far side's */
	int64_t abort_at, open_at;
	int64_t alive_gap;    /* its own keepalive */
	uint32_t urges;	      /* chance per thousand segments that one is urgent */
	int64_t idle;	      /* a pause before its last byte */

	/* agreed */
	bool ts, sack;
	uint8_t snd_scale, rcv_scale;
	uint32_t mss;	      /* toward the core, options deducted */

	/* sending */
	uint32_t iss, una, nxt, max, wnd, wl1, wl2, max_wnd;
	uint32_t total, written; /* stream bytes: in all, handed to TCP by the application */
	bool fin_sent;
	uint32_t cwnd, ssthresh, recover;
	uint8_t dups, backoff;
	bool recovering;
	int64_t srtt, rto, rto_at, sent_at;
	uint32_t sent_seq;

	/* receiving */
	uint32_t irs, rcv_nxt, adv, ack_sent, unacked;
	uint32_t read;	      /* stream bytes the application took */
	bool fin_seen, ack_now;
	uint32_t fin_at;
	int64_t ack_at, read_at, write_at, alive_at;
	struct guest_range range[SIM_RANGES];
	int n_range;
	uint32_t ts_recent, ts_base;
	bool closed_second;   /* the far side's FIN came before ours left: no time-wait here */
	uint32_t timeouts, fast;
	bool by_icmp;	      /* its SYN was answered by ICMP unreachable */

	/* what the gateway said, in the order it said it */
	bool gw_known;
	uint8_t gw_scale;
	uint32_t gw_edge, gw_ack;
};

/* ---- the far side */

enum far_dial { FAR_DIALS, FAR_REFUSED_AT_ONCE, FAR_REFUSED, FAR_CONNECTED };

struct far_flow {
	struct tcp_conn c;
	struct upstream up;
	struct sim_conn *conn;
};

struct far {
	struct gate_fd *sock;  /* of gatesim */
	int64_t dial_began;
	struct far_flow *flow; /* of sim.c; NULL: not dialed, or gone */
	bool live;	       /* dialed, and not gone */
	enum far_dial dial;
	bool refuses;
	enum reason refusal;   /* at once, or when the dial ends */
	int64_t dial_at, offer_at, eof_at, reset_at, drain_at;

	/* character */
	uint32_t total, offer_max, peek_max, take_max, cap, drain_max;
	int64_t dial_gap, offer_gap, drain_gap, eof_gap;
	bool tells_reset;  /* a reset is told by tcp_conn_reset(); else found by the next call */
	uint32_t shy;	   /* chance per thousand that write() takes less than space() said */
	uint32_t urges;	   /* chance per thousand offers that the last byte is urgent */
	uint32_t rcv_max;  /* bytes that may be offered and not consumed; 0: no limit */

	/* toward the guest */
	uint32_t offered, consumed, peeked;
	uint32_t mark; /* the urgent byte, the last that was; 0: none, or consumed */
	bool eof, failed;
	/* from the guest */
	uint32_t written, drained;
	bool short_write, small_space, shut, aborted;
	bool gone;
	enum reason why;
};

struct sim_conn {
	struct sim *sim;
	struct guest guest;
	struct far far;
	uint32_t lives;	   /* connections still to come on the same ports */
	bool reborn;	   /* this is not the first life */
	int64_t reopen_at; /* SIM_NEVER: the present one is not over */
	uint16_t key;	   /* of its bytes: each life has others */
	struct endpoint seen; /* of a passive guest: whom it talks to; port 0: nobody has come */
	/* gatesim: its client */
	int64_t in_at;	   /* SIM_NEVER: it has come, or none will */
	bool in_hidden;	   /* the guest must not see its address */
	uint32_t in_told;
	enum reason in_why;
};

/* What is told when something happens at the far side: to the core by sim.c, to a socket's watcher by gatesim. */
struct far_told {
	void (*connected)(struct sim_conn *c);
	void (*refused)(struct sim_conn *c);
	void (*readable)(struct sim_conn *c); /* bytes or EOF */
	void (*writable)(struct sim_conn *c);
	void (*failed)(struct sim_conn *c);
};

/* ---- the world */

struct sim {
	uint64_t seed, rng;
	bool verbose;
	enum sim_break broken;
	int64_t now, started;
	int64_t leap_at, leap_by; /* the clock jumps once */
	bool leapt, lossy, heavy; /* heavy: losses that may look like silence */
	uint32_t alloc_fails;	  /* chance per thousand allocations */
	uint32_t clean, silent;	  /* lives that ended in order; that the gateway gave up for silence */
	uint32_t faults;	  /* failures of the environment so far that may cost a connection */
	const struct far_told *told;
	bool (*local)(struct sim *s, struct wire_frame *f); /* takes frames that belong to no conversation; false: not its */
	bool (*other)(struct sim *s, const struct ip *ip, const uint8_t *l4); /* takes packets to the guest that are no TCP; false: not its */
	struct gate *gate;	  /* of gatesim; NULL in sim */
	struct stack_config cfg;
	struct stack *st;
	struct stack_host host;
	struct reason_tally drops;
	bool v6;
	struct wire to_guest, to_core;
	uint32_t queue_max; /* frames toward the guest before the link is full; 0: never full */
	bool was_full;
	uint32_t batch_max; /* frames per turn */
	struct sim_conn conn[SIM_CONNS];
	int n;
	GPtrArray *turn; /* frames that must stay until the flush */
	GPtrArray *dead; /* flows the core gave back during this call */
	GPtrArray *leaked; /* on purpose: SIM_LEAKS_FLOW */
	uint32_t given, gone;
	uint8_t *slot;	 /* the one slot that is out */
	uint32_t slot_head, slot_room, slot_mss;
	uint64_t steps;
	char *fail;
};

uint32_t sim_rand(struct sim *s, uint32_t n); /* 0..n-1; 0 for n == 0 */
uint32_t sim_some(struct sim *s, uint32_t all, uint32_t most); /* 1..most, at most all */
bool sim_chance(struct sim *s, uint32_t per_mille);
int64_t sim_time(struct sim *s, int64_t lo, int64_t hi);
uint8_t sim_byte(const struct sim_conn *c, bool to_guest, uint32_t pos);
bool sim_fail(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_note(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct addr sim_addr(const char *text);
struct endpoint sim_guest_end(const struct sim *s, uint16_t port);
struct endpoint sim_far_end(struct sim *s, uint16_t port); /* whom the guest's port talks to: a port of its own */
struct sim_conn *sim_conn_of(struct sim *s, int port);		 /* by the guest's port; NULL: no guest uses it */

/* runner.c: the command line; world plays one and returns what went wrong, or NULL */
typedef char *(*sim_world_fn)(uint64_t seed, bool verbose, enum sim_break broken);
int runner_main(int argc, char **argv, sim_world_fn world, enum sim_break most);

/* world.c */
void world_make(struct sim *s, uint64_t seed, bool verbose, enum sim_break broken);
void world_make_conns(struct sim *s);
void world_clear(struct sim *s);
bool world_to_guest(struct sim *s, struct wire_frame *f); /* false: broken on the wire */
int64_t world_next(const struct sim *s);		  /* what the guests, the far sides and the clock do next */
void world_tick(struct sim *s);				  /* what is due now, but for frames */
void world_step_to(struct sim *s, int64_t at);		  /* moves the clock */
bool world_conns_done(const struct sim *s);
void world_judge(struct sim *s);

/* wire.c */
void wire_init(struct wire *w, struct sim *s, const struct wire_faults *faults);
void wire_clear(struct wire *w);
void wire_push(struct wire *w, const uint8_t *data, uint32_t len, uint16_t gso_size, bool offload);
int64_t wire_next(const struct wire *w);
struct wire_frame *wire_pop(struct wire *w, int64_t now); /* NULL: none is due */
void wire_host_init(struct sim *s);			 /* the core's link: tx_get, tx_put */
enum reason wire_input(struct sim *s, struct wire_frame *f); /* hands a frame to the core, torn into pieces */

/* guest.c */
void guest_init(struct guest *g, struct sim_conn *c, uint16_t port, bool busy);
int64_t guest_next(const struct guest *g);
void guest_tick(struct guest *g);
void guest_in(struct guest *g, const struct tcp_seg *seg, const uint8_t *data);
bool guest_done(const struct guest *g); /* nothing more will happen by itself */
void guest_watch(struct guest *g, const struct tcp_seg *seg); /* as it leaves the core */
void guest_listen(struct guest *g);
void guest_stray(struct sim *s, uint16_t port, const struct tcp_seg *seg);
void guest_unreachable(struct guest *g);

/* guest_out.c */
void guest_out_syn(struct guest *g);
void guest_out_syn_ack(struct guest *g);
void guest_out_ack(struct guest *g);
void guest_out_push(struct guest *g); /* everything that windows allow now */
void guest_out_again(struct guest *g); /* the first unacknowledged segment */
void guest_out_probe(struct guest *g);
void guest_out_alive(struct guest *g);
void guest_out_rst(struct sim *s, uint16_t port, uint32_t seq, uint32_t ack, uint8_t flags);
uint32_t guest_out_end(const struct guest *g); /* sequence number behind the last byte, without FIN */
bool guest_out_wants_fin(const struct guest *g);

/* far.c */
void far_init(struct far *f, struct sim_conn *c, bool busy);
int64_t far_next(const struct far *f);
void far_tick(struct sim_conn *c);
void far_over(struct far *f, enum reason why); /* the gateway has let go of it */
void far_room(struct sim_conn *c);	       /* consumed or made larger: more may be offered */
uint8_t sim_broken_byte(const struct sim_conn *c, bool to_guest, uint32_t pos); /* what a broken world makes of it */

/* alloc.c */
void alloc_begin(struct sim *s); /* from now on allocations fail as s->alloc_fails says */
void alloc_end(void);

/* up.c: what stands behind the pure core */
void up_host_init(struct sim *s);
void up_reap(struct sim *s);
extern const struct far_told up_told;

#endif
