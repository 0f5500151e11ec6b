/* fuzz_dns.c - a guest's query and a server's answer, any bytes.
 *
 * Input: one byte of mode, two of the query's length, the query, the answer.  The mode may repair the answer's id and question from the query,
 * so that the comparison goes all the way.  What is held: bounds (the copies are exact), a parsed query is its own answer once QR is set and its
 * name's case changed, a truncated answer and SERVFAIL answer it too, nothing without the id does.
 * Below: slirp/wire/dns_wire.h.  Above: tests/meson.build.  Corpus: tests/fuzz/corpus/fuzz_dns.
 */
#include "slirp/base/bytes.h"
#include "slirp/wire/dns_wire.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static void fuzz_check(bool good)
{
	if (!good)
		abort();
}

/* What must hold of every query that is accepted. */
static void fuzz_query(const uint8_t *q, uint32_t len, const struct dns_wire_query *parsed)
{
	uint8_t *echo = g_memdup2(q, parsed->end), *fail = g_malloc(parsed->end + (parsed->edns ? DNS_WIRE_OPT : 0));

	fuzz_check(parsed->end >= DNS_WIRE_HEADER + 5 && parsed->end <= len && parsed->end <= DNS_WIRE_HEADER + DNS_WIRE_NAME_MAX + 4);
	fuzz_check(parsed->udp >= DNS_WIRE_UDP_MIN && (parsed->edns || parsed->udp == DNS_WIRE_UDP_MIN));
	fuzz_check(!dns_wire_is_answer(echo, parsed->end, q, parsed->end)); /* QR */
	echo[2] |= 0x80;
	for (uint32_t i = DNS_WIRE_HEADER; i < parsed->end - 4; i++)
		echo[i] = (uint8_t)g_ascii_toupper((char)echo[i]);
	fuzz_check(dns_wire_is_answer(echo, parsed->end, q, parsed->end));
	fuzz_check(dns_wire_truncate(echo, parsed->end) == parsed->end && dns_wire_is_answer(echo, parsed->end, q, parsed->end));
	fuzz_check(dns_wire_put_servfail(fail, q, parsed->end) == parsed->end && dns_wire_is_answer(fail, parsed->end, q, parsed->end));
	if (parsed->edns) { /* and with an OPT record it is as good as a query of that kind */
		struct dns_wire_query again;

		fuzz_check(dns_wire_put_opt(fail, parsed->end, parsed, 4096) == parsed->end + DNS_WIRE_OPT);
		fail[2] &= 0x7f;
		fuzz_check(!dns_wire_query_parse(fail, parsed->end + DNS_WIRE_OPT, &again) && again.edns && again.dnssec == parsed->dnssec);
	}
	echo[0] ^= 1;
	fuzz_check(!dns_wire_is_answer(echo, parsed->end, q, parsed->end));
	g_free(echo);
	g_free(fail);
}

static void fuzz_answer(uint8_t *a, uint32_t len, const uint8_t *q, uint32_t q_end, uint8_t mode)
{
	if (mode & 1 && len >= 2)
		memcpy(a, q, 2);
	if (mode & 2 && len >= DNS_WIRE_HEADER)
		a[2] = (uint8_t)(0x80 | (q[2] & 0x78) | (a[2] & 0x07));
	if (mode & 4 && len >= q_end)
		memcpy(a + DNS_WIRE_HEADER, q + DNS_WIRE_HEADER, q_end - DNS_WIRE_HEADER);
	if (!dns_wire_is_answer(a, len, q, q_end))
		return;
	fuzz_check(!memcmp(a, q, 2) && a[2] & 0x80);
	fuzz_check(dns_wire_truncate(a, q_end) <= len && a[2] & 0x02);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_wire_query parsed;
	uint32_t q_len, a_len;
	uint8_t *q, *a;

	if (size < 3 || size > 8192)
		return 0;
	q_len = MIN(bytes_get16(data + 1), (uint32_t)size - 3);
	a_len = (uint32_t)size - 3 - q_len;
	q = g_memdup2(data + 3, q_len);
	a = g_memdup2(data + 3 + q_len, a_len);
	if (!dns_wire_query_parse(q, q_len, &parsed)) {
		fuzz_query(q, q_len, &parsed);
		fuzz_answer(a, a_len, q, parsed.end, data[0]);
	}
	g_free(q);
	g_free(a);
	return 0;
}
