/* dns_wire_test.c - queries good and bad at every length, which answers belong to which query, what is cut and what SERVFAIL looks like. */
#include "slirp/base/bytes.h"
#include "slirp/wire/dns_wire.h"
#include "tests/unit/naive.h"

#include <string.h>

#define HEAD "\x12\x34\x01\x10\0\1\0\0\0\0\0\0" /* RD, CD, one question */
#define NAME "\3www\7Example\3org\0"
#define ASK HEAD NAME "\0\1\0\1"

static const uint8_t ask[] = ASK;
enum { ASK_LEN = sizeof(ASK) - 1 };

static enum reason parse(const void *m, uint32_t len, struct dns_wire_query *ret)
{
	uint8_t *p = exact(m, len);
	enum reason r = dns_wire_query_parse(p, len, ret);

	g_free(p);
	return r;
}

static bool answers(const void *m, uint32_t len)
{
	uint8_t *p = exact(m, len);
	bool ret = dns_wire_is_answer(p, len, ask, ASK_LEN);

	g_free(p);
	return ret;
}

static void test_query(void)
{
	struct dns_wire_query q;

	g_assert_cmpint(parse(ask, ASK_LEN, &q), ==, R_ACCEPTED);
	g_assert_cmphex(q.id, ==, 0x1234);
	g_assert_cmpuint(q.end, ==, ASK_LEN);
	g_assert_cmpuint(q.udp, ==, 512);
	g_assert_false(q.edns);
	for (uint32_t n = 0; n < ASK_LEN; n++)
		g_assert_cmpint(parse(ask, n, &q), ==, R_DNS_MALFORMED);
}

/* The OPT record stands among other records; its owner is the root. */
static void test_edns(void)
{
	static const struct {
		const char *name, *record;
		uint32_t name_len, record_len;
		uint16_t udp;
		bool edns;
	} row[] = {
		{ "\0", "\0\x29\x04\xd0\0\0\0\0\0\0", 1, 10, 1232, true },
		{ "\0", "\0\x29\0\0\0\0\0\0\0\0", 1, 10, 512, true },
		{ "\0", "\0\x29\xff\xff\0\0\x80\0\0\4abcd", 1, 14, 65535, true },
		{ "\0", "\0\1\x04\xd0\0\0\0\0\0\0", 1, 10, 512, false },	/* an address */
		{ "\1x\0", "\0\x29\x04\xd0\0\0\0\0\0\0", 3, 10, 512, false }, /* not the root's */
		{ "\xc0\x0c", "\0\x29\x04\xd0\0\0\0\0\0\0", 2, 10, 512, false },
	};
	struct dns_wire_query q;

	for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
		uint8_t m[64];
		uint32_t len = ASK_LEN;

		memcpy(m, ask, len);
		m[11] = 1;
		memcpy(m + len, row[i].name, row[i].name_len);
		len += row[i].name_len;
		memcpy(m + len, row[i].record, row[i].record_len);
		len += row[i].record_len;
		g_assert_cmpint(parse(m, len, &q), ==, R_ACCEPTED);
		g_assert_cmpuint(q.end, ==, ASK_LEN);
		g_assert_cmpuint(q.udp, ==, row[i].udp);
		g_assert_true(q.edns == row[i].edns);
		for (uint32_t n = ASK_LEN; n < len; n++)
			g_assert_cmpint(parse(m, n, &q), ==, R_DNS_MALFORMED);
		m[9] = 1; /* one record more than there is */
		g_assert_cmpint(parse(m, len, &q), ==, R_DNS_MALFORMED);
	}
}

static void test_bad(void)
{
	static const struct {
		uint32_t at;
		uint8_t byte;
	} row[] = { { 2, 0x81 }, { 5, 0 }, { 5, 2 }, { 4, 1 }, { 12, 64 }, { 12, 0xc0 }, { 12, 0x80 }, { 16, 200 } };
	struct dns_wire_query q = { .end = 77 };

	for (unsigned i = 0; i < G_N_ELEMENTS(row); i++) {
		uint8_t m[ASK_LEN];

		memcpy(m, ask, ASK_LEN);
		m[row[i].at] = row[i].byte;
		g_assert_cmpint(parse(m, ASK_LEN, &q), ==, R_DNS_MALFORMED);
	}
	g_assert_cmpuint(q.end, ==, 77); /* untouched */
}

/* The longest name, and one byte more. */
static void test_long_name(void)
{
	uint8_t m[DNS_WIRE_HEADER + 300] = { [5] = 1 };
	struct dns_wire_query q;
	uint32_t at = DNS_WIRE_HEADER;

	for (int i = 0; i < 4; i++) {
		m[at] = i == 3 ? 61 : 63;
		memset(m + at + 1, 'a', m[at]);
		at += 1u + m[at];
	}
	g_assert_cmpuint(at + 1 - DNS_WIRE_HEADER, ==, DNS_WIRE_NAME_MAX);
	g_assert_cmpint(parse(m, at + 5, &q), ==, R_ACCEPTED);
	g_assert_cmpuint(q.end, ==, at + 5);
	m[at - 62]++;
	m[at++] = 'a';
	m[at] = 0;
	g_assert_cmpint(parse(m, at + 5, &q), ==, R_DNS_MALFORMED);
}

static void test_answer(void)
{
	static const uint8_t rest[] = "\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1";
	uint8_t m[ASK_LEN + sizeof(rest) - 1], bad[sizeof(m)];

	memcpy(m, ask, ASK_LEN);
	memcpy(m + ASK_LEN, rest, sizeof(rest) - 1);
	m[2] |= 0x80;
	m[7] = 1;
	g_assert_true(answers(m, sizeof(m)));
	m[13] = 'W';
	g_assert_true(answers(m, sizeof(m)));
	for (uint32_t n = 0; n < ASK_LEN; n++)
		g_assert_false(answers(m, n));
	for (uint32_t i = 0; i < ASK_LEN; i++) { /* a change anywhere but in flags and counts of records makes it somebody else's */
		bool counts = i == 0 || i == 1 || i == 4 || i == 5 || i >= DNS_WIRE_HEADER;

		memcpy(bad, m, sizeof(m));
		bad[i] ^= 1;
		if (counts)
			g_assert_false(answers(bad, sizeof(bad)));
	}
	memcpy(bad, m, sizeof(m));
	bad[2] &= 0x7f;
	g_assert_false(answers(bad, sizeof(bad))); /* a query */
	bad[2] = m[2] | 0x08;
	g_assert_false(answers(bad, sizeof(bad))); /* another opcode */
	memcpy(bad, m, sizeof(m));
	bad[5] = 0;
	for (uint8_t rcode = 0; rcode < 16; rcode++) {
		bad[3] = rcode;
		g_assert_true(answers(bad, DNS_WIRE_HEADER) == (rcode == 1 || rcode == 4));
	}
}

static void test_truncate(void)
{
	uint8_t m[100] = { 0 };

	memcpy(m, ask, ASK_LEN);
	m[2] |= 0x80;
	m[7] = m[9] = m[11] = 1;
	g_assert_cmpuint(dns_wire_truncate(m, ASK_LEN), ==, ASK_LEN);
	g_assert_cmphex(m[2], ==, 0x83);
	g_assert_cmpmem(m + 4, 8, "\0\1\0\0\0\0\0\0", 8);
	g_assert_cmpmem(m + DNS_WIRE_HEADER, ASK_LEN - DNS_WIRE_HEADER, ask + DNS_WIRE_HEADER, ASK_LEN - DNS_WIRE_HEADER);
	m[5] = 0; /* an answer that left the question out */
	g_assert_cmpuint(dns_wire_truncate(m, ASK_LEN), ==, DNS_WIRE_HEADER);
}

static void test_servfail(void)
{
	uint8_t q[ASK_LEN + 11], m[ASK_LEN];

	memset(q, 0, sizeof(q));
	memcpy(q, ask, ASK_LEN);
	q[11] = 1;
	g_assert_cmpuint(dns_wire_put_servfail(m, q, ASK_LEN), ==, ASK_LEN);
	g_assert_cmpmem(m, DNS_WIRE_HEADER, "\x12\x34\x81\x92\0\1\0\0\0\0\0\0", DNS_WIRE_HEADER); /* RD and CD come back */
	g_assert_true(answers(m, ASK_LEN));
}

/* RFC 6891 7: header, question and an OPT record to who sent one; DO comes back, the rest is ours. */
static void test_put_opt(void)
{
	uint8_t q[ASK_LEN + DNS_WIRE_OPT], m[ASK_LEN + DNS_WIRE_OPT], want[] = "\0\0\x29\x10\0\0\0\0\0\0";
	struct dns_wire_query parsed;

	memcpy(q, ask, ASK_LEN);
	memcpy(q + ASK_LEN, "\0\0\x29\x04\xd0\0\0\xff\xff\0\0", DNS_WIRE_OPT);
	q[11] = 1;
	for (int dnssec = 1; dnssec >= 0; dnssec--) {
		q[ASK_LEN + 7] = dnssec ? 0xff : 0x7f;
		want[7] = dnssec ? 0x80 : 0;
		g_assert_cmpint(parse(q, sizeof(q), &parsed), ==, R_ACCEPTED);
		g_assert_true(parsed.dnssec == dnssec);
		g_assert_cmpuint(dns_wire_put_opt(m, dns_wire_put_servfail(m, q, ASK_LEN), &parsed, 4096), ==, sizeof(m));
		g_assert_cmpmem(m + 4, 8, "\0\1\0\0\0\0\0\1", 8);
		g_assert_cmpmem(m + ASK_LEN, DNS_WIRE_OPT, want, DNS_WIRE_OPT);
	}
	g_assert_cmpuint(dns_wire_put_opt(m, DNS_WIRE_HEADER, &parsed, 4096), ==, DNS_WIRE_HEADER); /* the server knows no EDNS */
	g_assert_cmpint(parse(ask, ASK_LEN, &parsed), ==, R_ACCEPTED);
	g_assert_cmpuint(dns_wire_put_opt(m, dns_wire_put_servfail(m, ask, ASK_LEN), &parsed, 4096), ==, ASK_LEN);
	g_assert_cmpuint(m[11], ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/dns_wire/query", test_query);
	g_test_add_func("/dns_wire/edns", test_edns);
	g_test_add_func("/dns_wire/bad", test_bad);
	g_test_add_func("/dns_wire/long_name", test_long_name);
	g_test_add_func("/dns_wire/answer", test_answer);
	g_test_add_func("/dns_wire/truncate", test_truncate);
	g_test_add_func("/dns_wire/servfail", test_servfail);
	g_test_add_func("/dns_wire/put_opt", test_put_opt);
	return g_test_run();
}
