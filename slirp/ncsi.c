/* ncsi.c - answers of a network controller.  See ncsi.h. */
#include "slirp/ncsi.h"

#include "slirp/base/bytes.h"
#include "slirp/ip_out.h"
#include "slirp/stack_state.h"
#include "slirp/wire/ncsi_wire.h"

enum {
	NCSI_LINK_STATUS = 0x0a, /* commands that are answered with more than a code */
	NCSI_VERSION = 0x15,
	NCSI_CAPABILITIES = 0x16,
	NCSI_OEM = 0x50,
	NCSI_COMMANDS = 0x53,
	NCSI_CODE_LEN = 4, /* code and reason, at the front of every answer */
	NCSI_UNSUPPORTED = 3,
	NCSI_UNKNOWN = 0x7fff, /* the reason for that */
	NCSI_ANSWER_MAX = 204,
	NCSI_MELLANOX = 0x8119,
	NCSI_OEM_LEN = 8, /* manufacturer; revision, command, parameter, one unused */
	NCSI_OEM_MAC_PARAM = 0x1b,
	NCSI_OEM_ANSWER_LEN = 24,
};

/* Length of the answer's payload by command, DSP0222 8.4; 0: there is no such command. */
static const uint8_t ncsi_answer_len[NCSI_COMMANDS] = {
	[0x00 ... 0x09] = NCSI_CODE_LEN,
	[NCSI_LINK_STATUS] = 16,
	[0x0b ... 0x0e] = NCSI_CODE_LEN,
	[0x10 ... 0x14] = NCSI_CODE_LEN,
	[NCSI_VERSION] = 40,
	[NCSI_CAPABILITIES] = 32,
	[0x17] = 40,  /* parameters */
	[0x18] = NCSI_ANSWER_MAX, /* statistics: controller, */
	[0x19] = 32,  /* NC-SI, */
	[0x1a] = 48,  /* pass-through */
	[0x1b] = 8,   /* package status */
	[0x52] = 20,  /* package UUID */
};

/* Is it the question for the address, to the manufacturer we are said to be? */
static bool ncsi_asks_mac(const struct stack *st, const struct ncsi_msg *q)
{
	const uint8_t *p = q->payload;

	return q->len >= NCSI_OEM_LEN && bytes_get32(p) == NCSI_MELLANOX && st->cfg.ncsi.manufacturer == NCSI_MELLANOX && p[5] == 0 &&
	       p[6] == NCSI_OEM_MAC_PARAM;
}

/* Fills the zeroed payload; its length. */
static uint16_t ncsi_answer(const struct stack *st, const struct ncsi_msg *q, uint8_t *p)
{
	uint16_t len = q->type < NCSI_COMMANDS ? ncsi_answer_len[q->type] : 0;

	if (q->type == NCSI_OEM && ncsi_asks_mac(st, q)) {
		memcpy(p + NCSI_CODE_LEN, q->payload, NCSI_OEM_LEN);
		memcpy(p + NCSI_CODE_LEN + NCSI_OEM_LEN + 4, st->cfg.ncsi.mac.b, sizeof(st->cfg.ncsi.mac.b));
		return NCSI_OEM_ANSWER_LEN;
	}
	switch (len ? q->type : NCSI_OEM) {
	case NCSI_OEM:
		bytes_put16(p, NCSI_UNSUPPORTED);
		bytes_put16(p + 2, NCSI_UNKNOWN);
		return NCSI_CODE_LEN;
	case NCSI_LINK_STATUS:
		bytes_put32(p + 4, 1); /* up */
		break;
	case NCSI_VERSION:
		bytes_put32(p + 36, st->cfg.ncsi.manufacturer);
		break;
	case NCSI_CAPABILITIES:
		memset(p + 4, 0xff, 20); /* functions, broadcast and multicast filters, buffers, notifications */
		p[27] = 2;		 /* unicast filters */
		p[30] = 0xff;		 /* VLAN modes */
		p[31] = 1;		 /* channels */
		break;
	}
	return len;
}

enum reason ncsi_in(struct stack *st, const uint8_t *p, uint32_t len)
{
	static const struct mac everybody = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	uint8_t payload[NCSI_ANSWER_MAX] = { 0 }, tail[NCSI_ANSWER_MAX + NCSI_CSUM_LEN];
	enum { HEAD_LEN = ETH_HDR_LEN + NCSI_HDR_LEN };
	struct ip_out_source src = { .iov = &(struct iovec){ tail, sizeof(tail) } };
	struct ncsi_msg q, a;
	struct tx_slot slot;
	uint32_t tail_len;
	enum reason r = ncsi_wire_parse(p, len, &q);

	if (r)
		return r;
	if (q.type & NCSI_RESPONSE)
		return R_NCSI_TYPE;
	a = (struct ncsi_msg){ .instance = q.instance, .type = q.type | NCSI_RESPONSE, .channel = q.channel, .payload = payload };
	a.len = ncsi_answer(st, &q, payload);
	tail_len = ncsi_wire_tail_len(a.len);
	if (!ip_out_slot(st, &slot, HEAD_LEN, tail_len, 0) || slot.room < tail_len)
		return R_ACCEPTED; /* counted; it asks again */
	eth_wire_put(slot.head, &(struct eth){ .dst = everybody, .src = everybody, .type = ETH_TYPE_NCSI });
	ncsi_wire_put(slot.head + ETH_HDR_LEN, tail, &a);
	ip_out_fill(&slot, &src, tail_len);
	ip_out_put(st, &slot, &(struct frame_meta){ .l3_off = ETH_HDR_LEN, .head_len = HEAD_LEN }, tail_len);
	return R_ACCEPTED;
}
