/* proxy_header_test.c - the header, byte for byte as the specification writes it, and read back by a reader of the test's own. */
#include "publish/proxy_header.h"

#include <glib.h>
#include <string.h>

static struct endpoint at(const char *addr, uint16_t port)
{
	struct endpoint e = { .port = port };

	g_assert_true(addr_parse(addr, &e.addr, NULL));
	return e;
}

static void check_v1(struct endpoint client, struct endpoint local, const char *want)
{
	uint8_t buf[PROXY_HEADER_MAX];
	size_t n = proxy_header_v1(buf, &client, &local);

	g_assert_cmpmem(buf, n, want, strlen(want));
}

static void v1(void)
{
	check_v1(at("192.0.2.1", 56324), at("198.51.100.7", 443), "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n");
	check_v1(at("2001:db8::1", 1), at("2001:db8::2", 65535), "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n");
	check_v1(at("1111:2222:3333:4444:5555:6666:7777:8888", 65535), at("aaaa:bbbb:cccc:dddd:eeee:ffff:aaaa:bbbb", 65535),
		 "PROXY TCP6 1111:2222:3333:4444:5555:6666:7777:8888 aaaa:bbbb:cccc:dddd:eeee:ffff:aaaa:bbbb 65535 65535\r\n");
	check_v1(at("192.0.2.1", 1), at("2001:db8::2", 2), "PROXY UNKNOWN\r\n");
	check_v1((struct endpoint){ 0 }, (struct endpoint){ 0 }, "PROXY UNKNOWN\r\n");
}

static void v2(void)
{
	static const uint8_t want4[] = { 13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10, 0x21, 0x11, 0, 12,
					 192, 0, 2, 1, 198, 51, 100, 7, 0xdc, 0x04, 0x01, 0xbb };
	static const uint8_t unknown[] = { 13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10, 0x21, 0x00, 0, 0 };
	struct endpoint c4 = at("192.0.2.1", 56324), l4 = at("198.51.100.7", 443), c6 = at("2001:db8::1", 7), l6 = at("2001:db8::2", 9);
	uint8_t buf[PROXY_HEADER_MAX];

	g_assert_cmpmem(buf, proxy_header_v2(buf, &c4, &l4), want4, sizeof(want4));
	g_assert_cmpmem(buf, proxy_header_v2(buf, &c4, &l6), unknown, sizeof(unknown));
	g_assert_cmpuint(proxy_header_v2(buf, &c6, &l6), ==, 16 + 36);
	g_assert_cmpint(buf[13], ==, 0x21);
	g_assert_cmpint(buf[15], ==, 36);
	g_assert_cmpmem(buf + 16, 16, c6.addr.b, 16);
	g_assert_cmpmem(buf + 32, 16, l6.addr.b, 16);
	g_assert_cmpint(buf[49], ==, 7);
	g_assert_cmpint(buf[51], ==, 9);
}

/* Text and bytes tell the same, for any two addresses of one family. */
static void twin(void)
{
	for (int round = 0; round < 2000; round++) {
		struct endpoint e[2];
		uint8_t one[PROXY_HEADER_MAX + 1], two[PROXY_HEADER_MAX];
		bool v4 = round & 1;
		g_auto(GStrv) words = NULL;
		size_t n;

		for (int i = 0; i < 2; i++) {
			for (int b = 0; b < 16; b++)
				e[i].addr.b[b] = (uint8_t)g_test_rand_int();
			e[i].addr.b[0] |= 0x20; /* not the mapped form by chance */
			if (v4)
				e[i].addr = addr_from_v4(e[i].addr.b);
			e[i].port = (uint16_t)g_test_rand_int_range(1, 65536);
		}
		n = proxy_header_v1(one, &e[0], &e[1]);
		one[n - 2] = '\0';
		words = g_strsplit((const char *)one, " ", 0);
		proxy_header_v2(two, &e[0], &e[1]);
		for (int i = 0; i < 2; i++) {
			struct addr a;
			size_t size = v4 ? 4 : 16;
			const uint8_t *port = two + 16 + 2 * size + 2 * i;

			g_assert_true(addr_parse(words[2 + i], &a, NULL));
			g_assert_cmpmem(a.b + 16 - size, size, two + 16 + size * i, size);
			g_assert_cmpint(g_ascii_strtoull(words[4 + i], NULL, 10), ==, port[0] << 8 | port[1]);
		}
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/proxy_header/v1", v1);
	g_test_add_func("/proxy_header/v2", v2);
	g_test_add_func("/proxy_header/twin", twin);
	return g_test_run();
}
