/* host_tcp.h - the upstream that is a TCP socket of the host.
 *
 * What it is: upstream_ops over one connected stream socket.  Registered once in the epoll set, edge-triggered; that there is something
 * to read is remembered until the socket has been seen empty.
 * What it is not: a dialer (dial.c), an owner of the flow (flow_tcp.c).
 * Facts of Linux it lives with, each with a test in tests/unit/gateway/host_tcp_test.c:
 *   1 peeked bytes that stay unconsumed keep level-triggered EPOLLIN on for ever: hence edge-triggered;
 *   2 edge-triggered EPOLLOUT never comes unless somebody met a full buffer: space() re-arms whenever it is what holds the guest back;
 *   3 a receive buffer does not grow while data is only peeked: SO_RCVLOWAT raises it, within a budget;
 *   4 after an RST queued bytes stay readable, the error is told once and then reads as EOF: the first error is latched.
 * Below: loop.h, slirp/upstream.h.  Above: flow_tcp.c.
 */
#ifndef GATEWAY_HOST_TCP_H
#define GATEWAY_HOST_TCP_H

#include "gateway/loop.h"
#include "slirp/upstream.h"

#include <stdbool.h>
#include <stdint.h>

/* Shared by all sockets of one gateway. */
struct host_tcp_pool {
	struct loop *loop;
	uint64_t rcvbuf_budget; /* bytes that receive buffers may still be raised by */
	bool no_peek_off;	/* peek by copying instead of SO_PEEK_OFF: kernels before 6.9, and tests */
	bool no_raise;		/* never raise a receive buffer: tests */
};

/* How bytes behind the front are reached. */
enum host_tcp_peek {
	HOST_TCP_PEEK_FRONT, /* none were needed yet */
	HOST_TCP_PEEK_OFF,   /* SO_PEEK_OFF is on */
	HOST_TCP_PEEK_COPY,  /* by copying what stands in front */
};

struct host_tcp {
	struct upstream up;
	struct host_tcp_pool *pool;
	struct loop_watch *watch; /* the flow's */
	int fd;			  /* -1 after close or abort */
	int err;		  /* the first error seen, -errno; 0: none */
	bool can_read;		/* set by an edge; cleared by -EAGAIN, or by a short peek with neither FIN nor urgent mark about */
	bool rdhup;		/* the far side has sent its FIN: EOF stands behind what is queued */
	bool urgent;		/* urgent data was seen: a peek may stop short at its mark */
	bool peeks_short;	/* a peek may stop anywhere: AF_UNIX */
	uint8_t peek_mode;	/* enum host_tcp_peek */
	bool armed;		/* an EPOLLOUT edge was asked for and has not come */
	uint32_t peek_at;	/* bytes peeked and not consumed */
	uint32_t kernel_at;	/* SO_PEEK_OFF as the kernel has it; in PEEK_OFF mode */
	uint32_t raise_at;	/* raise the receive buffer when peek_at passes this */
	uint32_t raised;	/* bytes taken from the pool's budget */
	uint32_t space_left;	/* a lower bound of what write() takes, bytes */
};

enum { HOST_TCP_EVENTS = 0x1 | 0x2 | 0x4 | 0x2000 | (int)(1u << 31) }; /* EPOLLIN, PRI, OUT, RDHUP, ET */

/* Options a socket needs before connect().  0 or -errno. */
int host_tcp_prepare(int fd);
/* fd is connected and watch is registered for HOST_TCP_EVENTS; fd becomes h's.  The event that said so goes to host_tcp_event() next. */
void host_tcp_init(struct host_tcp *h, struct host_tcp_pool *pool, int fd, struct loop_watch *watch);
/* Takes an epoll report.  True: the socket failed (h->err); else the connection is to be touched. */
bool host_tcp_event(struct host_tcp *h, uint32_t events);
/* Closes in order (FIN if that has not been said). Harmless when closed or aborted. */
void host_tcp_close(struct host_tcp *h);

/* For host_unix.c: the calls that both kinds of socket share. */
ssize_t host_tcp_peek(struct upstream *up, uint32_t off, const struct iovec *iov, int n);
ssize_t host_tcp_write(struct upstream *up, const struct iovec *iov, int n);
void host_tcp_shutdown(struct upstream *up);

#endif
