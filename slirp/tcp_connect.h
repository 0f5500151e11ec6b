/* tcp_connect.h - a connection toward the guest: SYN, its answer, and what else may come instead.
 *
 * What it is: the active open.  The caller brings a connected upstream and chooses both ends; the guest's answer decides.
 * What it is not: a listener, a chooser of ports (gateway/inbound.c).  Sending the SYN, and again, is tcp_out.c's and tcp_timer.c's.
 * States: SYN_SENT -> ESTABLISHED, and from there on as every connection; or gone.  The drawing is in tcp_conn.h.
 * Below: tcp_open.h.  Above: gateway/inbound.c, slirp/tcp_in.c, slirp/ip_in.c.  RFC 9293 3.10.1, 3.10.7.3; RFC 5961 3; RFC 5927; RFC 6191.
 *
 * prefixes: tcp_connect
 */
#ifndef SLIRP_TCP_CONNECT_H
#define SLIRP_TCP_CONNECT_H

#include "slirp/base/reason.h"
#include "slirp/stack.h"
#include "slirp/tcp_conn.h"

struct payload;
struct tcp_seg;

/* Begins a connection from t->far, which the guest will see as its peer and which may be any unicast address, to t->guest.  c is zeroed
 * memory of the host's, up is connected; both are the core's until stack_host.tcp_gone.  The SYN leaves with the next flush, again after
 * 1, 2, 4 s, and the deadline is handshake_timeout.  Nothing is read from up before stack_host.tcp_established.
 * What ends it before that, each with abort() to up and then tcp_gone: GUEST_REFUSED (RST), GUEST_UNREACHABLE (ICMP),
 * CONNECT_CROSSED (a SYN of the guest's with the same ends; the guest gets RST), CONNECT_TIMEOUT.
 * R_ACCEPTED; else c and up stay the caller's: FAMILY_OFF (of the ends, or they differ), TCP_PORT_ZERO, TUPLE_BUSY,
 * NO_MEMORY. */
enum reason tcp_connect(struct stack *st, struct tcp_conn *c, const struct tuple *t, struct upstream *up, int64_t now);

/* Would tcp_connect() find these ends free? */
bool tcp_connect_free(struct stack *st, const struct tuple *t, int64_t now);

/* For tcp_in.c: a segment while SYN_SENT. */
enum reason tcp_connect_in(struct tcp_conn *c, const struct tcp_seg *seg, int64_t now);
/* For ip_in.c: the guest's ICMP or ICMPv6 destination unreachable; l4: from the ICMP header on, checksum verified. */
enum reason tcp_connect_unreachable(struct stack *st, bool v6, const struct payload *l4, int64_t now);

#endif
