/* tcp_export.h - a connection's guest side as a value, and a connection made of such a value in another stack.
 *
 * What it is: numbers, windows, options and state: all that the guest knows of a connection.  Payload is not in it: it lives in the upstream,
 * whose first byte is snd_una, and with the guest, which sends again what was not acknowledged.
 * What it is not: a format; whoever carries it elsewhere writes one.
 * Moving: tcp_conn_export(), the upstream carried over, tcp_export_release() in the old stack, tcp_conn_import() in the new one.
 * Below: tcp_conn.h.  Above: gateway/, tests.  RFC 9293 3.3.1, RFC 7323 4.
 *
 * prefixes: tcp_export_ tcp_conn_
 */
#ifndef SLIRP_TCP_EXPORT_H
#define SLIRP_TCP_EXPORT_H

#include "slirp/base/addr.h"
#include "slirp/base/reason.h"
#include "slirp/tcp_conn.h"

struct tcp_export {
	struct tuple tuple;
	uint8_t state; /* enum tcp_state, ESTABLISHED to LAST_ACK */
	bool ts_ok, sack_ok, fin_sent;
	uint8_t snd_wscale, rcv_wscale;
	uint16_t mss, rcv_mss;
	uint32_t snd_una, snd_max; /* first unacknowledged number, and the one behind everything sent */
	uint32_t snd_wnd, max_snd_wnd, snd_wl1, snd_wl2;
	uint32_t rcv_nxt, rcv_adv;
	uint32_t ts_recent; /* the guest's clock */
	uint32_t ts_now;    /* ours, when this was written */
};

/* Writes what the guest knows of c; what it has acknowledged is consumed from the upstream first, nothing else changes.
 * R_EXPORT_STATE: c is being opened, or payload of this turn waits for the flush. */
enum reason tcp_conn_export(struct tcp_conn *c, struct tcp_export *ret, int64_t now);

/* The connection is somebody else's: out of this stack, tcp_gone with R_EXPORTED; neither guest nor upstream are told. */
void tcp_export_release(struct tcp_conn *c);

/* Could e be a connection whose guest is one of this stack's?  R_ACCEPTED, IMPORT_INVALID, FAMILY_OFF, SPOOFED_ADDR, as below. */
enum reason tcp_export_check(struct stack *st, const struct tcp_export *e);

/* A connection of e, whose guest is one of this stack's.  c is zeroed memory of the host's, up is where e left off.  What the guest has not
 * acknowledged is sent again.  R_ACCEPTED; else c and up stay the caller's: IMPORT_INVALID (no connection can look like this), FAMILY_OFF,
 * SPOOFED_ADDR (not a guest of ours), TUPLE_BUSY, NO_MEMORY. */
enum reason tcp_conn_import(struct stack *st, struct tcp_conn *c, const struct tcp_export *e, struct upstream *up, int64_t now);

#endif
