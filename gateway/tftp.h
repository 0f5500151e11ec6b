/* tftp.h - a TFTP server for the guest: the regular files of one directory, to read, at the gateway's addresses.  RFC 1350, 2347, 2348, 2349.
 *
 *	RRQ --> no options:  DATA 1 <-- ACK 1 --> DATA 2 ... <-- ACK of a block shorter than blksize: done
 *	        options:     OACK   <-- ACK 0 --> DATA 1 ...
 *
 * What it is: mode octet; blksize up to TFTP_BLKSIZE_OURS and what the link carries in one frame, tsize, timeout.  All transfers use port 69, as
 * boot ROMs behind such gateways know it; a transfer is who asked (address, port), and a new request of the same begins anew.
 * Only the acknowledgement of the block under way moves a transfer on; others are counted and change nothing (RFC 1123 4.2.3.1).  Silence: the
 * block goes again, after TFTP_AGAIN and then doubling, TFTP_TRIES times in all.  Blocks are counted modulo 65536 on the wire.
 * What it is not: a place to write to; netascii.  Reading a file may block, as reading files does.
 * Caps: TFTP_SESSIONS transfers, the one that has been quiet for longest gives way; TFTP_ERRORS refusals per turn.
 * Below: tftp_file.h, tftp_wire.h, loop.h.  Above: gateway.c.  syscalls: pread close
 */
#ifndef GATEWAY_TFTP_H
#define GATEWAY_TFTP_H

#include "gateway/loop.h"
#include "slirp/base/reason.h"
#include "slirp/stack.h"

enum {
	TFTP_SESSIONS = 20,
	TFTP_ERRORS = 8,
	TFTP_BLKSIZE_OURS = 1428,
	TFTP_TRIES = 6,
};

#define TFTP_AGAIN 1000000ll /* microseconds */
#define TFTP_AGAIN_MAX (8 * TFTP_AGAIN)

struct tftp;
struct journal;

struct tftp_env {
	struct loop *loop;
	struct stack *stack;
	struct reason_tally *drops;
	const struct journal *journal;
};

struct tftp *tftp_new(const struct tftp_env *env, const char *path); /* NULL: no memory; both are copied; path: the directory */
void tftp_free(struct tftp *f);			   /* NULL is a no-op */

/* stack_host.dgram for port 69 of the gateway: *ret is R_ACCEPTED or the reason to count; what it leads to leaves with tftp_flush().
 * False: it is for somebody else, or f is NULL. */
bool tftp_takes(struct tftp *f, const struct tuple *t, const struct dgram_meta *m, const struct iovec *data, int n, uint32_t len,
		int64_t now, enum reason *ret);
/* Once per turn, when the core may be called.  NULL is a no-op. */
void tftp_flush(struct tftp *f, int64_t now);

unsigned tftp_sessions(const struct tftp *f);

#endif
