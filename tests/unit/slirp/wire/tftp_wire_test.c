/* tftp_wire_test.c - requests good and bad at every length, options in and out of range, what we write. */
#include "slirp/base/bytes.h"
#include "slirp/wire/tftp_wire.h"
#include "tests/unit/naive.h"

#include <string.h>

static enum reason parse(const void *m, uint32_t len, struct tftp_msg *ret)
{
	static char kept[2048]; /* texts of *ret stay readable */
	uint8_t *p = exact(m, len);
	enum reason r = tftp_wire_parse(p, len, ret);

	if (!r && ret->name) {
		memcpy(kept, p, MIN(len, sizeof(kept)));
		ret->mode = kept + (ret->mode - (char *)p);
		ret->name = kept + (ret->name - (char *)p);
	}
	free(p);
	return r;
}

#define RRQ(text) "\0\1" text, sizeof("\0\1" text) /* its NUL is the last text's */

static void test_request(void)
{
	static const char ask[] = "\0\1boot.ipxe\0Octet\0blksize\0" "1432\0TSIZE\0" "0\0timeout\0" "3";
	struct tftp_msg m;

	g_assert_cmpint(parse(ask, sizeof(ask), &m), ==, R_ACCEPTED);
	g_assert_cmpint(m.op, ==, TFTP_RRQ);
	g_assert_cmpstr(m.name, ==, "boot.ipxe");
	g_assert_true(tftp_wire_is_octet(m.mode));
	g_assert_true(m.asked.has_blksize && m.asked.has_tsize && m.asked.has_timeout);
	g_assert_cmpuint(m.asked.blksize, ==, 1432);
	g_assert_cmpuint(m.asked.timeout, ==, 3);
	for (uint32_t n = 0; n < sizeof(ask); n++) {
		bool whole = n == sizeof("\0\1boot.ipxe\0Octet") || n == sizeof("\0\1boot.ipxe\0Octet\0blksize\0" "1432") ||
			     n == sizeof("\0\1boot.ipxe\0Octet\0blksize\0" "1432\0TSIZE\0" "0");

		g_assert_cmpint(parse(ask, n, &m), ==, whole ? R_ACCEPTED : R_TFTP_MALFORMED);
	}
	g_assert_cmpint(parse(RRQ("f\0netascii"), &m), ==, R_ACCEPTED);
	g_assert_false(tftp_wire_is_octet(m.mode));
	g_assert_cmpint(parse(RRQ("\0"), &m), ==, R_ACCEPTED); /* empty name and mode: for others to judge */
	g_assert_cmpstr(m.name, ==, "");
}

static void test_options(void)
{
	struct tftp_msg m;

	g_assert_cmpint(parse(RRQ("f\0octet\0blksize\0" "0\0timeout\0" "0\0tsize\0" "x"), &m), ==, R_ACCEPTED);
	g_assert_false(m.asked.has_blksize || m.asked.has_timeout || m.asked.has_tsize);
	g_assert_cmpint(parse(RRQ("f\0octet\0blksize\0" "7\0timeout\0" "256\0tsize\0"), &m), ==, R_ACCEPTED);
	g_assert_false(m.asked.has_blksize || m.asked.has_timeout || m.asked.has_tsize);
	g_assert_cmpint(parse(RRQ("f\0octet\0blksize\0" "65465\0tsize\0" "99999999999999999999"), &m), ==, R_ACCEPTED);
	g_assert_false(m.asked.has_blksize || m.asked.has_tsize);
	g_assert_cmpint(parse(RRQ("f\0octet\0blksize\0" "18446744073709551624\0"), &m), ==, R_TFTP_MALFORMED); /* an empty option without value */
	g_assert_cmpint(parse(RRQ("f\0octet\0blksize\0" "18446744073709551624"), &m), ==, R_ACCEPTED);	       /* 8 modulo 2^64 */
	g_assert_false(m.asked.has_blksize);
	g_assert_cmpint(parse(RRQ("f\0octet\0blksize\0-8\0blksize\0" "8\0blksize\0" "9\0windowsize\0" "4"), &m), ==, R_ACCEPTED);
	g_assert_cmpuint(m.asked.blksize, ==, 8); /* the first that is one */
	g_assert_cmpint(parse(RRQ("f\0octet\0blksize\0" "65464\0timeout\0" "255\0tsize\0" "9223372036854775807"), &m), ==, R_ACCEPTED);
	g_assert_cmpuint(m.asked.blksize, ==, 65464);
	g_assert_cmpuint(m.asked.timeout, ==, 255);
	g_assert_cmpuint(m.asked.tsize, ==, INT64_MAX);
}

static void test_names(void)
{
	uint8_t p[2048] = { 0, TFTP_RRQ };
	struct tftp_msg m;

	memset(p + 2, 'n', TFTP_NAME_MAX);
	memcpy(p + 2 + TFTP_NAME_MAX, "\0octet", 7);
	g_assert_cmpint(parse(p, 2 + TFTP_NAME_MAX + 7, &m), ==, R_ACCEPTED);
	g_assert_cmpuint(strlen(m.name), ==, TFTP_NAME_MAX);
	memset(p + 2, 'n', TFTP_NAME_MAX + 1);
	memcpy(p + 2 + TFTP_NAME_MAX + 1, "\0octet", 7);
	g_assert_cmpint(parse(p, 2 + TFTP_NAME_MAX + 8, &m), ==, R_TFTP_MALFORMED);
	memset(p + 2, 'n', sizeof(p) - 2); /* no NUL at all */
	g_assert_cmpint(parse(p, sizeof(p), &m), ==, R_TFTP_MALFORMED);
	p[1] = TFTP_WRQ;
	memcpy(p + 3, "\0octet", 7);
	g_assert_cmpint(parse(p, 10, &m), ==, R_ACCEPTED);
	g_assert_cmpint(m.op, ==, TFTP_WRQ);
}

static void test_numbers(void)
{
	struct tftp_msg m;

	for (uint8_t op = 0; op < 9; op++) {
		const uint8_t p[] = { 0, op, 0xab, 0xcd };
		bool number = op >= TFTP_DATA && op <= TFTP_ERROR;

		g_assert_cmpint(parse(p, 4, &m), ==, number || op == TFTP_OACK ? R_ACCEPTED : R_TFTP_MALFORMED);
		if (!number)
			continue;
		g_assert_cmphex(m.number, ==, 0xabcd);
		g_assert_cmpint(parse(p, 3, &m), ==, R_TFTP_MALFORMED);
	}
	g_assert_cmpint(parse("\1\4\0\1", 4, &m), ==, R_TFTP_MALFORMED);
}

static void test_put(void)
{
	static const struct tftp_options all = { true, true, true, 65464, 255, UINT64_MAX };
	static const char oack[] = "\0\6tsize\0" "18446744073709551615\0blksize\0" "65464\0timeout\0" "255";
	uint8_t p[TFTP_REPLY_MAX];
	char text[300];

	tftp_wire_put_data(p, 0x1234);
	g_assert_cmpmem(p, 4, "\0\3\x12\x34", 4);
	g_assert_cmpmem(p, tftp_wire_put_error(p, TFTP_E_ACCESS, "no"), "\0\5\0\2no", 7);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	g_assert_cmpuint(tftp_wire_put_error(p, TFTP_E_OTHER, text), ==, TFTP_REPLY_MAX);
	g_assert_cmpuint(p[TFTP_REPLY_MAX - 1], ==, 0);
	g_assert_cmpmem(p, tftp_wire_put_oack(p, &all), oack, sizeof(oack));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/tftp_wire/request", test_request);
	g_test_add_func("/tftp_wire/options", test_options);
	g_test_add_func("/tftp_wire/names", test_names);
	g_test_add_func("/tftp_wire/numbers", test_numbers);
	g_test_add_func("/tftp_wire/put", test_put);
	return g_test_run();
}
