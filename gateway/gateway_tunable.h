/* gateway_tunable.h - the gateway's limits and times: one row each, with unit, default, range and the reason why.
 *
 * The same row makes the member of struct gateway_tunables, its default and its range check.  US rows are microseconds in the struct.
 * Who is given a pointer to the struct reads it at each use: a changed row holds from then on, for what is already there too (a shorter time
 * is noticed when the longer one would have ended).  The core's rows: slirp/stack_tunable.h.
 * Below: nothing.  Above: gateway.h, flow.c, flow_tcp.c, flow_dgram.c, flow_echo.c, doors that let a user change a row.
 */
#ifndef GATEWAY_GATEWAY_TUNABLE_H
#define GATEWAY_GATEWAY_TUNABLE_H

#include "slirp/base/tunable.h"

#include <stdbool.h>
#include <stdint.h>

#define GATEWAY_S 1000000ll

/* X(name, unit, default, min, max, why) */
#define GATEWAY_TUNABLES(X)                                                                                                      \
	X(udp_replied, US, 180 * GATEWAY_S, 1 * GATEWAY_S, 3600 * GATEWAY_S,                                                     \
	  "idle UDP session that was answered; RFC 4787 REQ-5: at least 2 minutes (D7)")                                         \
	X(udp_unreplied, US, 30 * GATEWAY_S, 1 * GATEWAY_S, 3600 * GATEWAY_S,                                                    \
	  "idle UDP session that was never answered: shorter than RFC 4787 asks, because scans leave thousands")                 \
	X(udp_dns, US, 10 * GATEWAY_S, 1 * GATEWAY_S, 3600 * GATEWAY_S,                                                          \
	  "idle UDP session to port 53: one question, one answer, and resolvers give up after 5 s")                              \
	X(udp_published, US, 60 * GATEWAY_S, 1 * GATEWAY_S, 3600 * GATEWAY_S, "idle client of a published UDP port (C39, B22: either side keeps it)") \
	X(udp_sessions_max, COUNT, 16384, 1, 1 << 20, "about 250 bytes each (D6); the least recently used goes, unanswered first") \
	X(udp_sockets_max, COUNT, 4096, 1, 65536, "one descriptor each; never more than a quarter of the descriptor limit")      \
	X(tcp_flows_max, COUNT, 65536, 1, 1 << 20, "D1; never more than the descriptor limit less the reserve")                   \
	X(tcp_half_open_max, COUNT, 1024, 1, 65536, "being made, either way (D2), at most half of all; beyond: the busiest destination's oldest goes") \
	X(tcp_half_open_dest, COUNT, 256, 1, 65536, "of them to one destination (D2); beyond: its oldest goes, as if the SYN had been lost") \
	X(tcp_dial, US, 10 * GATEWAY_S, 1 * GATEWAY_S, 300 * GATEWAY_S, "no answer from the far side (D4)")                     \
	X(tcp_dial_pressure, US, 3 * GATEWAY_S, 1 * GATEWAY_S, 300 * GATEWAY_S, "the same under pressure: one SYN was sent again") \
	X(tcp_evict_idle, US, 120 * GATEWAY_S, 1 * GATEWAY_S, 86400 * GATEWAY_S,                                                \
	  "when no place is left, a flow on which nothing has moved for this long makes room")                                  \
	X(pressure_on, COUNT, 75, 1, 100, "percent of flows, descriptors or raised buffers in use: pressure begins")              \
	X(pressure_off, COUNT, 50, 0, 99, "percent of each of them below which it ends")                                          \
	X(ping_idle, US, 60 * GATEWAY_S, 1 * GATEWAY_S, 3600 * GATEWAY_S, "id that neither pings nor is answered, RFC 5508 REQ-2") \
	X(ping_sockets_max, COUNT, 256, 1, 65536,                                                                                \
	  "ids that ping, one descriptor each; never more than an eighth of the descriptor limit; the least recently used goes")

struct gateway_tunables {
#define GATEWAY_TUNABLE_FIELD(name, unit, def, min, max, why) int64_t name;
	GATEWAY_TUNABLES(GATEWAY_TUNABLE_FIELD)
#undef GATEWAY_TUNABLE_FIELD
};

extern const struct gateway_tunables gateway_tunable_defaults;
extern const struct tunable_table gateway_tunable_table;

/* Sets the row called `name` after checking its range.  False: no such row (both 0), or out of range. */
bool gateway_tunable_set(struct gateway_tunables *t, const char *name, int64_t value, int64_t *ret_min, int64_t *ret_max);

#endif
