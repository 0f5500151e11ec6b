/* tcp_open.h - how a connection begins: the held SYN and its outcome.
 *
 * Below: tcp_conn.h, stack.h.  Above: gateway/flow_tcp.c, slirp/tcp_in.c, slirp/tcp_connect.c.  RFC 9293 3.10.7.2.
 */
#ifndef SLIRP_TCP_OPEN_H
#define SLIRP_TCP_OPEN_H

#include "slirp/base/reason.h"
#include "slirp/stack.h"
#include "slirp/tcp_conn.h"

struct tcp_seg;

/* What the guest is told when a SYN is refused. */
enum tcp_answer {
	TCP_ANSWER_RST,
	TCP_ANSWER_NET,	  /* ICMP network unreachable */
	TCP_ANSWER_HOST,  /* ICMP host unreachable */
	TCP_ANSWER_ADMIN, /* ICMP administratively prohibited */
	TCP_ANSWER_NONE,  /* silence */
};

enum tcp_answer tcp_open_answer(enum reason why);

/* The dial succeeded: SYN-ACK leaves with the next flush.  Legal in HELD only. */
void tcp_open_accept(struct tcp_conn *c, struct upstream *up, int64_t now);
/* The dial failed: the guest is told by RST or ICMP at once; the connection is gone.  Legal in HELD only. */
void tcp_open_refuse(struct tcp_conn *c, enum reason why, int64_t now);

/* The connection is given up as if its SYN had been lost: the guest hears nothing and sends it again.  Legal in HELD only. */
void tcp_open_forget(struct tcp_conn *c, enum reason why);

/* For tcp_connect.c too: what a connection has before the guest's SYN is known, and what that SYN agrees to. */
/* Room for one more connection's timer, which then cannot fail.  False: no memory. */
bool tcp_open_room(struct stack *st);
void tcp_open_begin(struct stack *st, struct tcp_conn *c, const struct tuple *t, int64_t now);
void tcp_open_peer(struct tcp_conn *c, const struct tcp_seg *syn);

/* For tcp_in.c: a SYN that belongs to no connection. */
enum reason tcp_open_syn(struct stack *st, const struct tuple *t, const struct tcp_seg *seg, int64_t now);

#endif
