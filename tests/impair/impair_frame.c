/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * impair_frame.c - see impair_frame.h.  Headers that are not what Linux and
 * gateways send (IPv6 extension headers, say) are left alone.
 *
 * RFC 1071 (checksums), RFC 9293 3.1, RFC 768.
 */
#include "tests/impair/impair_frame.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

enum {
	IP = FRAME_HDR + ETH_HLEN,	/* where the IP header begins */
	TCP_FIN_PSH = 0x09,
	TCP_CWR = 0x80,
};

/* Where things are in a frame. */
struct layout {
	bool v6;
	uint8_t protocol;
	size_t l4;		/* offset of the transport header */
	size_t payload;
};

static unsigned get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static uint32_t sum(const uint8_t *p, size_t len, uint32_t total)
{
	for (; len > 1; p += 2, len -= 2)
		total += get16(p);
	return len ? total + (p[0] << 8) : total;
}

static unsigned fold(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

static bool find_layout(const uint8_t *frame, size_t len, struct layout *l)
{
	unsigned type;

	if (len < IP + 20)
		return false;
	type = get16(frame + IP - 2);
	l->v6 = type == ETHERTYPE_IPV6;
	if (type == ETHERTYPE_IP) {
		l->protocol = frame[IP + 9];
		l->l4 = IP + (frame[IP] & 15) * 4;
		if (get16(frame + IP + 6) & 0x3fff)
			return false;	/* a fragment */
	} else if (l->v6) {
		l->protocol = frame[IP + 6];
		l->l4 = IP + 40;
	} else {
		return false;
	}
	if (l->protocol == IPPROTO_TCP && len >= l->l4 + 20)
		l->payload = l->l4 + (frame[l->l4 + 12] >> 4) * 4;
	else if (l->protocol == IPPROTO_UDP && len >= l->l4 + 8)
		l->payload = l->l4 + 8;
	else
		return false;
	return l->payload <= len;
}

bool frame_is_transport(const uint8_t *frame, size_t len)
{
	struct layout l;

	return find_layout(frame, len, &l);
}

static size_t checksum_offset(const struct layout *l)
{
	return l->l4 + (l->protocol == IPPROTO_TCP ? 16 : 6);
}

/* A complete transport checksum, from the pseudo header on. */
static void finish(uint8_t *frame, size_t len, const struct layout *l)
{
	uint8_t *field = frame + checksum_offset(l);
	size_t addresses = l->v6 ? 8 : 12, size = l->v6 ? 32 : 8;
	uint32_t total = l->protocol + (len - l->l4);
	unsigned value;

	put16(field, 0);
	total = sum(frame + IP + addresses, size, total);
	value = ~fold(sum(frame + l->l4, len - l->l4, total)) & 0xffff;
	put16(field, value || l->protocol == IPPROTO_TCP ? value : 0xffff);
	memset(frame, 0, FRAME_HDR);
}

/* Lengths, identification and header checksum of piece number n. */
static void rewrite(uint8_t *piece, size_t len, const struct layout *l, unsigned n)
{
	if (l->protocol == IPPROTO_UDP)
		put16(piece + l->l4 + 4, len - l->l4);
	if (l->v6) {
		put16(piece + IP + 4, len - IP - 40);
		return;
	}
	put16(piece + IP + 2, len - IP);
	put16(piece + IP + 4, get16(piece + IP + 4) + n);
	put16(piece + IP + 10, 0);
	put16(piece + IP + 10, ~fold(sum(piece + IP, l->l4 - IP, 0)) & 0xffff);
}

static void rewrite_tcp(uint8_t *tcp, uint32_t offset, bool last)
{
	uint32_t seq = ((uint32_t)get16(tcp + 4) << 16 | get16(tcp + 6)) + offset;

	put16(tcp + 4, seq >> 16);
	put16(tcp + 6, seq & 0xffff);
	if (!last)
		tcp[13] &= ~TCP_FIN_PSH;
	if (offset)
		tcp[13] &= ~TCP_CWR;
}

void frame_split(uint8_t *frame, size_t len, uint8_t *scratch,
		 void (*each)(void *arg, uint8_t *frame, size_t len), void *arg)
{
	struct virtio_net_hdr h;
	struct layout l;
	size_t data, offset = 0;
	unsigned n = 0;

	memcpy(&h, frame, sizeof(h));
	if (!find_layout(frame, len, &l)) {
		each(arg, frame, len);
		return;
	}
	data = len - l.payload;
	if (h.gso_type == VIRTIO_NET_HDR_GSO_NONE || !h.gso_size || data <= h.gso_size) {
		if (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			finish(frame, len, &l);
		memset(frame, 0, FRAME_HDR);
		each(arg, frame, len);
		return;
	}
	for (; offset < data; offset += h.gso_size, n++) {
		size_t part = data - offset < h.gso_size ? data - offset : h.gso_size;

		memcpy(scratch, frame, l.payload);
		memcpy(scratch + l.payload, frame + l.payload + offset, part);
		if (l.protocol == IPPROTO_TCP)
			rewrite_tcp(scratch + l.l4, offset, offset + part == data);
		rewrite(scratch, l.payload + part, &l, n);
		finish(scratch, l.payload + part, &l);
		each(arg, scratch, l.payload + part);
	}
}

void frame_corrupt(uint8_t *frame, size_t len, uint64_t random)
{
	size_t bit = random % ((len - IP) * 8);

	frame[IP + bit / 8] ^= 1 << bit % 8;
}
