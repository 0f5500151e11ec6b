/* dns_wire.c - DNS messages as far as a relay reads them.  See dns_wire.h. */
#include "slirp/wire/dns_wire.h"

#include "slirp/base/bytes.h"

#include <string.h>

enum {
	DNS_TYPE_OPT = 41,
	DNS_TYPE_CLASS = 4, /* bytes behind a question's name */
	DNS_RECORD = 10,    /* bytes behind a record's name: type, class, TTL, length */
	DNS_POINTER = 0xc0,
};

/* Bits of the third and fourth byte. */
enum { DNS_QR = 0x80, DNS_OPCODE = 0x78, DNS_TC = 0x02, DNS_RD = 0x01, DNS_RA = 0x80, DNS_CD = 0x10, DNS_RCODE = 0x0f };
enum { DNS_DO = 0x80 }; /* of an OPT record's seventh byte behind its name */
enum { DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NOTIMP = 4 };

/* Where the name at `at` ends; 0: malformed.  `pointers`: one may end it. */
static uint32_t name_end(const uint8_t *m, uint32_t len, uint32_t at, bool pointers)
{
	uint32_t start = at;

	while (at < len && at - start < DNS_WIRE_NAME_MAX) {
		if (m[at] == 0)
			return at + 1;
		if (m[at] >= DNS_POINTER)
			return pointers && len - at >= 2 ? at + 2 : 0;
		if (m[at] > DNS_WIRE_LABEL_MAX)
			return 0;
		at += 1u + m[at];
	}
	return 0;
}

/* One record at *at, which moves behind it.  *ret_opt: where its type stands, of an OPT record whose name is the root; else 0. */
static bool record_pass(const uint8_t *m, uint32_t len, uint32_t *at, uint32_t *ret_opt)
{
	uint32_t fixed = name_end(m, len, *at, true);
	bool root = fixed == *at + 1;

	if (!fixed || len - fixed < DNS_RECORD || len - fixed - DNS_RECORD < bytes_get16(m + fixed + 8))
		return false;
	*ret_opt = root && bytes_get16(m + fixed) == DNS_TYPE_OPT ? fixed : 0;
	*at = fixed + DNS_RECORD + bytes_get16(m + fixed + 8);
	return true;
}

enum reason dns_wire_query_parse(const uint8_t *m, uint32_t len, struct dns_wire_query *ret)
{
	struct dns_wire_query q = { .udp = DNS_WIRE_UDP_MIN };
	uint32_t records, at;

	if (len < DNS_WIRE_HEADER || (m[2] & DNS_QR) || bytes_get16(m + 4) != 1)
		return R_DNS_MALFORMED;
	at = name_end(m, len, DNS_WIRE_HEADER, false);
	if (!at || len - at < DNS_TYPE_CLASS)
		return R_DNS_MALFORMED;
	at += DNS_TYPE_CLASS;
	q.id = bytes_get16(m);
	q.end = at;
	records = (uint32_t)bytes_get16(m + 6) + bytes_get16(m + 8) + bytes_get16(m + 10);
	for (; records; records--) { /* each takes at least 11 bytes, so the message bounds this */
		uint32_t opt;
		uint16_t size;

		if (!record_pass(m, len, &at, &opt))
			return R_DNS_MALFORMED;
		if (!opt)
			continue;
		size = bytes_get16(m + opt + 2);
		q.edns = true;
		q.udp = size > DNS_WIRE_UDP_MIN ? size : DNS_WIRE_UDP_MIN; /* RFC 6891 6.2.3 */
		q.dnssec = m[opt + 6] & DNS_DO;
	}
	*ret = q;
	return R_ACCEPTED;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool dns_wire_is_answer(const uint8_t *m, uint32_t len, const uint8_t *q, uint32_t q_end)
{
	uint32_t fixed = q_end - DNS_TYPE_CLASS;

	if (len < DNS_WIRE_HEADER || memcmp(m, q, 2) || !(m[2] & DNS_QR) || ((m[2] ^ q[2]) & DNS_OPCODE))
		return false;
	if (bytes_get16(m + 4) == 0)
		return (m[3] & DNS_RCODE) == DNS_FORMERR || (m[3] & DNS_RCODE) == DNS_NOTIMP;
	if (bytes_get16(m + 4) != 1 || len < q_end || memcmp(m + fixed, q + fixed, DNS_TYPE_CLASS))
		return false;
	for (uint32_t i = DNS_WIRE_HEADER; i < fixed; i++) { /* length bytes are below 'A', so this is right for them too */
		if (lower(m[i]) != lower(q[i]))
			return false;
	}
	return true;
}

uint32_t dns_wire_truncate(uint8_t *m, uint32_t q_end)
{
	m[2] |= DNS_TC;
	memset(m + 6, 0, 6);
	return bytes_get16(m + 4) ? q_end : DNS_WIRE_HEADER;
}

uint32_t dns_wire_put_opt(uint8_t *m, uint32_t len, const struct dns_wire_query *q, uint16_t takes)
{
	uint8_t *opt = m + len;

	if (!q->edns || len == DNS_WIRE_HEADER) /* without a question: from a server that does not know of EDNS */
		return len;
	memset(opt, 0, DNS_WIRE_OPT); /* the root; version 0, nothing extended */
	bytes_put16(opt + 1, DNS_TYPE_OPT);
	bytes_put16(opt + 3, takes);
	opt[7] = q->dnssec ? DNS_DO : 0;
	bytes_put16(m + 10, 1);
	return len + DNS_WIRE_OPT;
}

uint32_t dns_wire_put_servfail(uint8_t *ret, const uint8_t *q, uint32_t q_end)
{
	memcpy(ret, q, q_end);
	ret[2] = DNS_QR | (q[2] & (DNS_OPCODE | DNS_RD));
	ret[3] = DNS_RA | (q[3] & DNS_CD) | DNS_SERVFAIL;
	memset(ret + 6, 0, 6);
	return q_end;
}
