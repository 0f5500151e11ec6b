/* gso_wire.c - the header of each piece of a super-frame, and L4 checksums of whole frames.
 *
 * What it is not: a parser; every offset comes from the core that built the frame, so nothing is checked here.
 * Below: slirp/base, csum_wire, ip_wire, l4_wire (offsets).  Above: links without offload.  RFC 9293 3.1, RFC 768, RFC
 * 8200 8.1.
 */
#include "slirp/wire/gso_wire.h"
#include "slirp/base/bytes.h"
#include "slirp/wire/csum_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"

#include <string.h>

enum { TCP_SEQ_AT = 4, TCP_FLAGS_AT = 13, UDP_LEN_AT = 4, IP4_ID_AT = 4, TCP_CWR = 0x80 };

/* The pseudo header, from the addresses where they stand in the IP header; len: L4 header and payload. */
static uint64_t pseudo_sum(const uint8_t *head, const struct frame_meta *m, uint32_t len)
{
	const uint8_t *addrs = head + m->l3_off + (m->v6 ? 8 : 12);
	uint8_t tail[6];

	bytes_put32(tail, len);
	bytes_put16(tail + 4, m->proto);
	return csum_wire_add(addrs, m->v6 ? 32 : 8) + csum_wire_add(tail, sizeof(tail));
}

static uint8_t *csum_field(uint8_t *head, const struct frame_meta *m)
{
	return head + m->l4_off + (m->proto == IP_PROTO_UDP ? UDP_CSUM_OFFSET : TCP_CSUM_OFFSET);
}

static uint32_t l4_hdr_len(const struct frame_meta *m)
{
	return (uint32_t)m->head_len - m->l4_off;
}

void gso_wire_checksum(uint8_t *head, const struct frame_meta *m, const struct iovec *payload, int n, uint32_t len)
{
	uint16_t csum = 0;
	uint64_t sum;

	if (!m->proto)
		return;
	memcpy(csum_field(head, m), &csum, sizeof(csum));
	sum = pseudo_sum(head, m, l4_hdr_len(m) + len) + csum_wire_add(head + m->l4_off, l4_hdr_len(m));
	csum = csum_wire_final(sum + csum_wire_iov(payload, n));
	if (!csum && m->proto == IP_PROTO_UDP)
		csum = 0xffff; /* RFC 768: zero would say "no checksum" */
	memcpy(csum_field(head, m), &csum, sizeof(csum));
}

void gso_wire_partial(uint8_t *head, const struct frame_meta *m, uint32_t len)
{
	uint16_t csum;

	if (!m->proto)
		return;
	csum = csum_wire_fold(pseudo_sum(head, m, l4_hdr_len(m) + len));
	memcpy(csum_field(head, m), &csum, sizeof(csum));
}

static void piece_tcp(uint8_t *tcp, uint32_t off, bool last)
{
	bytes_put32(tcp + TCP_SEQ_AT, bytes_get32(tcp + TCP_SEQ_AT) + off);
	if (!last)
		tcp[TCP_FLAGS_AT] &= (uint8_t)~(TCP_FIN | TCP_PSH);
	if (off)
		tcp[TCP_FLAGS_AT] &= (uint8_t)~TCP_CWR;
}

void gso_wire_piece(uint8_t *dst, const uint8_t *tmpl, const struct frame_meta *m, uint32_t off, uint32_t len,
		    uint32_t total, const struct iovec *payload, int n)
{
	uint32_t index = m->mss ? off / m->mss : 0;
	uint16_t id = 0;

	if (dst != tmpl)
		memcpy(dst, tmpl, m->head_len);
	if (!m->v6)
		id = (uint16_t)(bytes_get16(dst + m->l3_off + IP4_ID_AT) + index);
	ip_wire_set_len(dst + m->l3_off, m->v6, l4_hdr_len(m) + len, id);
	if (m->proto == IP_PROTO_TCP)
		piece_tcp(dst + m->l4_off, off, off + len == total);
	else if (m->proto == IP_PROTO_UDP)
		bytes_put16(dst + m->l4_off + UDP_LEN_AT, (uint16_t)(UDP_HDR_LEN + len));
	gso_wire_checksum(dst, m, payload, n, len);
}
