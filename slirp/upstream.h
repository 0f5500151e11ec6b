/* upstream.h - the far side of one TCP connection, as the core sees it.
 *
 * What it is: six calls.  Payload toward the guest has one home, the host socket's queue; the core peeks at it when it sends or sends
 * again, and consumes it when the guest has acknowledged.  Payload from the guest is
 * acknowledged when write() has taken it; what it does not take is held as far as there is room (tcp_ooo.h), or comes again.
 *
 *     guest <-- [ acknowledged: consumed | sent, unacked: peeked | not sent yet ] <-- network
 *                                         ^ offset 0                ^ offset snd_nxt - snd_una
 *
 * What it is not: a socket, an event source.  Whoever implements it calls tcp_conn_touch() when reading or writing may go on, and
 * tcp_conn_reset() when the far side failed.
 * Below: nothing.  Above: the tcp_ files of slirp/ (caller), gateway/host_tcp.c and the fake of the tests (implementers).
 * Threads: those of the stack.  No call may re-enter the core.
 */
#ifndef SLIRP_UPSTREAM_H
#define SLIRP_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct upstream {
	const struct upstream_ops *ops;
};

struct upstream_ops {
	/* Copies bytes that stand `off` bytes behind the consumed ones into iov.  Returns > 0: bytes copied; 0: EOF stands exactly at
	 * off; -EAGAIN: nothing there yet, a touch will follow; other -errno: the far side failed.  Never consumes.  `off` never lies
	 * beyond what earlier peeks have returned. */
	ssize_t (*peek)(struct upstream *up, uint32_t off, const struct iovec *iov, int n);

	/* Drops n bytes at the front; they have been peeked.  Cannot fail. */
	void (*consume)(struct upstream *up, uint32_t n);

	/* Takes what fits now: 0..total bytes, a short write is normal and a touch will follow; or -errno: the far side failed.
	 * -EAGAIN is never returned: that is 0. */
	ssize_t (*write)(struct upstream *up, const struct iovec *iov, int n);

	/* The guest's FIN, called once, after the last byte was written. */
	void (*shutdown)(struct upstream *up);

	/* RST to the network, now.  No call follows. */
	void (*abort)(struct upstream *up);

	/* Bytes that write() would take now: becomes the window the guest sees.  Never more than can be taken.  When the answer is small
	 * enough to hold the guest back, a touch follows as soon as it has grown, with no timer involved.  With nothing queued it is 4096 at
	 * least: below a segment and 4096 the guest is told 0. */
	uint32_t (*space)(struct upstream *up);
};

#endif
