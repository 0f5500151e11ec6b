/* craft.h - the guest's frames, right or deliberately wrong.
 *
 * Below: play.h.  Above: guest.c.  Checksums are summed by judge.c's own loop, never by the code under test.
 *
 * prefixes: craft_
 */
#ifndef TESTS_SCRIPTS_CRAFT_H
#define TESTS_SCRIPTS_CRAFT_H

#include "tests/scripts/play.h"

/* What is to be wrong or unusual; -1 or false: nothing. */
struct craft {
	bool badcsum, badipcsum, csumok, more, altered, router_alert;
	bool has_piece; /* only the bytes [piece, piece_end) of the L4 packet, in a fragment */
	bool has_src, has_dst, has_mac, has_to;
	struct addr src, dst;
	struct mac mac, to;
	int64_t ethertype, truncate, ipver, ihl, doff, iplen, l4len, ext, extlen, pad, gso, uso, by, sport, dport, ttl, tos, head, id;
	int64_t frags, proto, piece, piece_end;
};

void craft_init(struct craft *m);
/* Takes the words that follow the frame proper; NULL, or what is wrong. */
const char *craft_parse(struct craft *m, struct words *w);

/* A frame around an L4 packet, or around the piece of it that m names; the checksum is of the whole.  l4 is changed in place. */
GByteArray *craft_ip(struct play *p, const struct craft *m, const struct addr *src, const struct addr *dst, uint8_t proto, GByteArray *l4);
/* TCP header, options and payload of n at the connection's absolute numbers. */
GByteArray *craft_tcp(struct conn *c, const struct craft *m, const struct notation *n);
/* Ethernet header; the rest is appended by the caller. */
GByteArray *craft_eth(struct play *p, const struct craft *m, const struct mac *to, uint16_t type);
/* Gives the frame to the core as a link would: headers in private memory, the rest in pieces.  Takes frame over. */
enum reason craft_send(struct play *p, const struct craft *m, GByteArray *frame);
/* guest.c: the L4 packet in one frame, or in fragments of m->frags bytes with one identification. */
bool guest_packet(struct play *p, struct craft *m, const struct addr *src, const struct addr *dst, uint8_t proto, GByteArray *l4);
void craft_release(struct play *p); /* the flush is over: the frames given to the core turn to rubbish */

void craft_put16(GByteArray *a, uint32_t v);
void craft_put32(GByteArray *a, uint32_t v);

#endif
