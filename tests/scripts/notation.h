/* notation.h - one TCP segment in the notation of the scripts: "P. 1:11(10) ack 1 win 100 <mss 1460,TS val 1 ecr 2>".
 *
 * What it is: words to a value, and a value back to text.  Sequence numbers are relative to each side's initial one.
 * Below: script.h, slirp/wire.  Above: guest.c (what the guest sends), expect.c (what it should get), judge.c (what it got).
 *
 * prefixes: notation_
 */
#ifndef TESTS_SCRIPTS_NOTATION_H
#define TESTS_SCRIPTS_NOTATION_H

#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"
#include "tests/scripts/script.h"

#include <glib.h>

/* What stands between < and >; a field is compared or sent only when its has_ is set, any_ means "*". */
struct notation_opts {
	bool written;
	bool has_mss, has_wscale, has_sackok, has_ts, no_ts, has_sack;
	bool any_mss, any_wscale, any_tsval, any_tsecr;
	uint32_t mss, wscale, tsval, tsecr;
	int n_sack;
	struct tcp_range sack[TCP_SACK_MAX]; /* relative */
	GByteArray *junk;		     /* "hex 0102": raw option bytes appended, or NULL */
};

struct notation {
	uint8_t flags;
	bool has_seq, has_ack, has_win;
	uint32_t seq, end, ack, win;
	char wnd_op; /* 0: not compared; '=', '<' (at most), '>' (at least): the window in bytes */
	uint32_t wnd;
	struct notation_opts opts;
};

/* Parses flags, sequence, "ack", "win", "wnd" and "<...>" as far as they go; leaves the words behind them.  NULL, or what is wrong. */
const char *notation_parse(struct words *w, struct notation *ret);
void notation_clear(struct notation *n);

/* seg with sequence numbers made relative by the caller; gso 0: an ordinary frame. */
void notation_format(GString *to, const struct tcp_seg *seg, uint32_t gso);

#endif
