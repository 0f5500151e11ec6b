/* ncsi_wire.c - NC-SI control packets.  See ncsi_wire.h. */
#include "slirp/wire/ncsi_wire.h"

#include "slirp/base/bytes.h"

enum { NCSI_REVISION = 1, NCSI_LENGTH_MASK = 0xfff };

enum reason ncsi_wire_parse(const uint8_t *p, uint32_t len, struct ncsi_msg *ret)
{
	uint16_t payload;

	if (len < NCSI_HDR_LEN)
		return R_NCSI_SHORT;
	payload = bytes_get16(p + 6) & NCSI_LENGTH_MASK;
	if (payload > len - NCSI_HDR_LEN)
		return R_NCSI_SHORT;
	*ret = (struct ncsi_msg){ .instance = p[3], .type = p[4], .channel = p[5], .len = payload, .payload = p + NCSI_HDR_LEN };
	return R_ACCEPTED;
}

static uint32_t ncsi_whole_words(uint32_t len)
{
	return (len + 3) & ~3u;
}

uint32_t ncsi_wire_tail_len(uint32_t payload_len)
{
	return ncsi_whole_words(payload_len) + NCSI_CSUM_LEN;
}

static uint32_t ncsi_sum(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i += 2)
		sum += bytes_get16(p + i);
	return sum;
}

/* The checksum is the two's complement of the sum of all 16-bit words before it. */
void ncsi_wire_put(uint8_t *head, uint8_t *tail, const struct ncsi_msg *m)
{
	uint32_t words = ncsi_whole_words(m->len);

	memset(head, 0, NCSI_HDR_LEN);
	head[1] = NCSI_REVISION;
	head[3] = m->instance;
	head[4] = m->type;
	head[5] = m->channel;
	bytes_put16(head + 6, m->len & NCSI_LENGTH_MASK);
	memset(tail, 0, words);
	if (m->len)
		memcpy(tail, m->payload, m->len);
	bytes_put32(tail + words, -(ncsi_sum(head, NCSI_HDR_LEN) + ncsi_sum(tail, words)));
}
