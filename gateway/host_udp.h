/* host_udp.h - one unconnected datagram socket, and the batches that all of them share.
 *
 * What it is: datagrams out, gathered over a turn into few sendmmsg() calls with UDP_SEGMENT for runs of equal size; datagrams in, by
 * recvmmsg() with UDP_GRO; and what the network said about them (the error queue).
 * What it is not: a table of peers, a timer, a filter (flow_dgram.c).
 * Files: host_udp.c opens and sends, host_udp_rx.c receives, host_udp_err.c reads the error queue.
 * Below: loop.h, hostsock.h.  Above: flow_dgram.c.  udp(7), ip(7), ipv6(7), RFC 1122 4.1.3.3.
 */
#ifndef GATEWAY_HOST_UDP_H
#define GATEWAY_HOST_UDP_H

#include "gateway/hostsock.h"
#include "gateway/loop.h"
#include "slirp/stack.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	HOST_UDP_QUEUE = 512,	 /* datagrams or runs gathered in one turn: each of the turn's 256 frames makes at most two */
	HOST_UDP_RUN = 64,	 /* datagrams in one run: UDP_MAX_SEGMENTS before Linux 6.9 */
	HOST_UDP_RUN_LEN = 65487, /* bytes in one run, for either family */
};

struct host_udp;
struct host_udp_pool;

/* What the network said about a datagram of ours. */
struct host_udp_error {
	enum icmp_unreach why;
	uint32_t mtu;	 /* ICMP_UNREACH_SIZE; 0: not told */
	bool has_from;
	struct addr from; /* who said so */
};

struct host_udp_ops {
	/* A datagram or a run of them (m->gso_size) from `from`; valid during the call. */
	void (*got)(struct host_udp *s, const struct endpoint *from, const struct dgram_meta *m, const struct iovec *iov, int n,
		    uint32_t len, int64_t now);
	void (*error)(struct host_udp *s, const struct endpoint *peer, const struct host_udp_error *e, int64_t now);
	/* Nothing is gathered on this socket any more; it may be closed now. */
	void (*sent)(struct host_udp *s);
};

struct host_udp_msg;

struct host_udp {
	struct host_udp_pool *pool;
	struct loop_watch watch;
	struct host_udp_msg *first, *last; /* gathered, in order */
	struct list dirty;		   /* in pool.dirty while something is gathered */
	bool v6;
	uint8_t hop_limit, tos; /* of the socket; datagrams that differ carry a control message */
	int8_t df;		/* 1: IP_PMTUDISC_DO, 0: IP_PMTUDISC_DONT, -1: not set yet */
	uint32_t local_mtu;	/* what the kernel said with its last EMSGSIZE */
	uint32_t raised;	/* bytes of receive buffer beyond the usual */
	unsigned batch;		/* messages that the next receive takes at most */
};

struct host_udp_stats {
	uint64_t sends, receives; /* system calls */
	uint64_t raised;	  /* bytes, of all sockets now */
};

struct host_udp_rx;

/* What all datagram sockets of a gateway share. */
struct host_udp_pool {
	struct loop *loop;
	const struct hostsock_origin *origin;
	const struct host_udp_ops *ops;
	struct reason_tally *drops; /* of what could not be sent */
	uint32_t run_each;	    /* larger datagrams toward the guest are not made a run */
	struct host_udp_stats stats;

	struct host_udp_msg *msgs; /* HOST_UDP_QUEUE */
	unsigned n_msgs;
	struct list dirty;
	struct host_udp_rx *rx;
};

/* The members above stats are the caller's to set.  False: no memory; host_udp_pool_clear() is legal then. */
bool host_udp_pool_init(struct host_udp_pool *pool);
void host_udp_pool_clear(struct host_udp_pool *pool);

/* s: zeroed; a socket of the family of `like`.  0 or -errno. */
int host_udp_open(struct host_udp *s, struct host_udp_pool *pool, const struct addr *like, const struct dgram_meta *first);
void host_udp_close(struct host_udp *s); /* what is gathered must have been sent: host_udp_busy() */
static inline bool host_udp_busy(const struct host_udp *s)
{
	return s->first;
}

/* Gathers; the payload must stay valid until host_udp_flush().  R_TURN_FULL: nothing was taken, or only the first datagrams of a run. */
enum reason host_udp_send(struct host_udp *s, const struct endpoint *to, const struct dgram_meta *m, const struct iovec *iov, int n,
			  uint32_t len);
/* What was gathered is not sent: the end of everything. */
void host_udp_forget(struct host_udp_pool *pool);
/* Sends what was gathered. */
void host_udp_flush(struct host_udp_pool *pool, int64_t now);

#endif
