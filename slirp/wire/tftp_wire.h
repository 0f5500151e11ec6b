/* tftp_wire.h - TFTP messages as a server of files reads and writes them.  RFC 1350, RFC 2347, RFC 2348 (blksize), RFC 2349 (tsize, timeout).
 *
 * Codec without state.  A parsed message refers to the bytes it was parsed from.
 * Below: slirp/base.  Above: gateway/tftp.c, tests.
 */
#ifndef SLIRP_WIRE_TFTP_WIRE_H
#define SLIRP_WIRE_TFTP_WIRE_H

#include "slirp/base/reason.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	TFTP_PORT = 69,
	TFTP_HDR_LEN = 4,	  /* of DATA: opcode, block */
	TFTP_BLKSIZE_DEFAULT = 512,
	TFTP_BLKSIZE_MIN = 8,	  /* RFC 2348; what is asked for outside of this range counts as not asked for */
	TFTP_BLKSIZE_MAX = 65464,
	TFTP_TIMEOUT_MAX = 255,	  /* seconds; 1 is the least */
	TFTP_NAME_MAX = 511,	  /* bytes of a file's name; RFC 2347: a request has at most 512 */
	TFTP_REPLY_MAX = 128,	  /* an error or an acknowledgement of options as we write them */
};

enum tftp_op {
	TFTP_RRQ = 1,
	TFTP_WRQ,
	TFTP_DATA,
	TFTP_ACK,
	TFTP_ERROR,
	TFTP_OACK,
};

enum tftp_code {
	TFTP_E_OTHER = 0,
	TFTP_E_NOT_FOUND,
	TFTP_E_ACCESS,
	TFTP_E_FULL,
	TFTP_E_ILLEGAL,
};

/* The options of a request, or of the answer to it. */
struct tftp_options {
	bool has_blksize, has_timeout, has_tsize;
	uint16_t blksize;
	uint8_t timeout;
	uint64_t tsize;
};

struct tftp_msg {
	enum tftp_op op;
	uint16_t number;	  /* block of DATA and ACK, code of ERROR */
	const char *name, *mode;  /* of RRQ and WRQ; NUL at their ends, inside the message */
	struct tftp_options asked; /* of RRQ and WRQ; unknown ones, wrong values and repetitions are left out (RFC 2347: ignored) */
};

/* p: behind the UDP header, all of len readable.  R_TFTP_MALFORMED: cut short, a text without its NUL, an option without its value, a name longer
 * than TFTP_NAME_MAX, an opcode that does not exist; *ret is then untouched. */
enum reason tftp_wire_parse(const uint8_t *p, uint32_t len, struct tftp_msg *ret);

/* "octet", in any case. */
bool tftp_wire_is_octet(const char *mode);

void tftp_wire_put_data(uint8_t p[TFTP_HDR_LEN], uint16_t block); /* the header; the block's bytes follow */
/* Both write at most TFTP_REPLY_MAX bytes and return how many; a longer text is cut. */
uint32_t tftp_wire_put_error(uint8_t p[TFTP_REPLY_MAX], enum tftp_code code, const char *text);
uint32_t tftp_wire_put_oack(uint8_t p[TFTP_REPLY_MAX], const struct tftp_options *o);

#endif
