/* stack_tunable.h - the core's limits and times: one row each, with unit, default, range and the reason why.
 *
 * The same row makes the member of struct stack_tunables, its default and its range check.  US rows are microseconds in the struct.
 * Below: nothing.  Above: stack.h, doors that let a user change a row.
 */
#ifndef SLIRP_STACK_TUNABLE_H
#define SLIRP_STACK_TUNABLE_H

#include "slirp/base/tunable.h"

#include <stdbool.h>
#include <stdint.h>

#define STACK_MS 1000
#define STACK_S 1000000ll

/* X(name, unit, default, min, max, why) */
#define STACK_TUNABLES(X)                                                                                                        \
	X(delayed_ack, US, 20 * STACK_MS, 0, 500 * STACK_MS,                                                                      \
	  "wait for data to carry an ACK (RFC 9293 3.8.6.3: below 500 ms); short: a guest's Nagle waits for it; 0: at once")         \
	X(rto_min, US, 200 * STACK_MS, 10 * STACK_MS, 1 * STACK_S,                                                               \
	  "least retransmission timeout; below RFC 6298's 1 s because the link has no distance")                                 \
	X(rto_max, US, 60 * STACK_S, 1 * STACK_S, 120 * STACK_S, "RFC 6298 2.5: at least 60 s")                                  \
	X(handshake_timeout, US, 10 * STACK_S, 1 * STACK_S, 120 * STACK_S, "SYN-ACK unanswered by the guest (contract D4)")      \
	X(silent_timeout, US, 100 * STACK_S, 100 * STACK_S, 3600 * STACK_S,                                                      \
	  "neither ACK progress nor an answer to probes; RFC 1122 4.2.3.5: at least 100 s")                                      \
	X(keepalive, US, 7200 * STACK_S, 30 * STACK_S, 86400 * STACK_S, "idle established connection, RFC 9293 3.8.4")           \
	X(keepalive_probe, US, 75 * STACK_S, 1 * STACK_S, 600 * STACK_S, "between probes of an idle established connection")     \
	X(half_close_probe, US, 30 * STACK_S, 1 * STACK_S, 600 * STACK_S, "idle half-closed connection, or any idle one under pressure: between probes (D4)") \
	X(half_close_timeout, US, 120 * STACK_S, 2 * STACK_S, 3600 * STACK_S, "unanswered probes end it (D4)")                   \
	X(challenge_max, COUNT, 1000, 1, 1000000, "challenge ACKs per second, RFC 5961 7")                                        \
	X(challenge_conn_max, COUNT, 10, 1, 255, "challenge ACKs of one connection in 5 s, RFC 5961 7")                           \
	X(time_wait, US, 60 * STACK_S, 1 * STACK_S, 240 * STACK_S, "2 MSL with the MSL of 30 s that hosts use today")            \
	X(time_wait_max, COUNT, 65536, 16, 1 << 20, "entries of 62 bytes; the oldest goes first")                                \
	X(max_window, BYTES, 4 << 20, 65535, 8 << 20, "most that is advertised to the guest; window scale 7 carries 8 MiB")      \
	X(max_flight, BYTES, 8 << 20, 65535, 1 << 30, "most that one connection has unacknowledged toward the guest")            \
	X(ooo_conn_max, BYTES, 256 << 10, 0, 16 << 20,                                                                           \
	  "kept of one connection's data ahead of a gap, or beyond what the host socket took; what is more comes again")           \
	X(ooo_max, BYTES, 4 << 20, 0, 1 << 30, "the same of all connections")                                                      \
	X(dhcp_lease, US, 86400 * STACK_S, 120 * STACK_S, 31536000 * STACK_S,                                                    \
	  "lease and IPv6 lifetimes; the address is configuration, so it is never given away in between")                        \
	X(ra_refresh, US, 600 * STACK_S, 1 * STACK_S, 9000 * STACK_S,                                                            \
	  "a frame of the guest this long after the last router advertisement brings the next; far below its lifetime of 65535 s") \
	X(flush_budget, BYTES, 256 << 10, 1 << 10, 16 << 20, "payload one connection sends per turn before others get theirs")   \
	X(frag_timeout4, US, 30 * STACK_S, 1 * STACK_S, 120 * STACK_S, "IPv4 fragments of an unfinished packet: kept so long")  \
	X(frag_timeout6, US, 60 * STACK_S, 1 * STACK_S, 120 * STACK_S, "the same of IPv6, RFC 8200 4.5: 60 s")                 \
	X(frag_sets_max, COUNT, 64, 1, 4096, "unfinished packets; the oldest goes first")                                      \
	X(frag_bytes_max, BYTES, 1 << 20, 128 << 10, 64 << 20, "held by unfinished packets; the oldest goes first")            \
	X(frag_pieces_max, COUNT, 128, 2, 8192, "fragments of one packet: 65535 bytes in pieces of 552 are 119")               \
	X(icmp_rate, COUNT, 1000, 10, 1000000, "ICMP errors toward the guest per second, RFC 1812 4.3.2.8, RFC 4443 2.4(f)")     \
	X(icmp_burst, COUNT, 1000, 10, 1000000, "so many at once, after a time with fewer: traceroute and port scans are honest")

struct stack_tunables {
#define STACK_TUNABLE_FIELD(name, unit, def, min, max, why) int64_t name;
	STACK_TUNABLES(STACK_TUNABLE_FIELD)
#undef STACK_TUNABLE_FIELD
};

extern const struct tunable_table stack_tunable_table;

/* Sets the row called `name` after checking its range.  False: no such row (both 0), or out of range. */
bool stack_tunable_set(struct stack_tunables *t, const char *name, int64_t value, int64_t *ret_min, int64_t *ret_max);

#endif
