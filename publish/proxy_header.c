/* proxy_header.c - the PROXY protocol's header.  See proxy_header.h. */
#include "publish/proxy_header.h"

#include "slirp/base/bytes.h"

#include <stdio.h>
#include <string.h>

enum {
	PROXY2_HEAD = 16,
	PROXY2_VERSION_PROXY = 0x21, /* version 2, command PROXY */
	PROXY2_UNSPEC = 0x00,
	PROXY2_TCP4 = 0x11,
	PROXY2_TCP6 = 0x21,
};

static bool proxy_known(const struct endpoint *client, const struct endpoint *local)
{
	return client->port && addr_is_v4(&client->addr) == addr_is_v4(&local->addr);
}

size_t proxy_header_v1(uint8_t buf[PROXY_HEADER_MAX], const struct endpoint *client, const struct endpoint *local)
{
	char text[PROXY_HEADER_MAX + 1], from[ADDR_STRLEN], to[ADDR_STRLEN];
	int n;

	if (proxy_known(client, local))
		n = snprintf(text, sizeof(text), "PROXY TCP%c %s %s %u %u\r\n", addr_is_v4(&client->addr) ? '4' : '6',
			     addr_format(&client->addr, from), addr_format(&local->addr, to), client->port, local->port);
	else
		n = snprintf(text, sizeof(text), "PROXY UNKNOWN\r\n");
	memcpy(buf, text, (size_t)n);
	return (size_t)n;
}

size_t proxy_header_v2(uint8_t buf[PROXY_HEADER_MAX], const struct endpoint *client, const struct endpoint *local)
{
	static const uint8_t signature[12] = { 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a };
	bool known = proxy_known(client, local), v4 = addr_is_v4(&client->addr);
	size_t size = v4 ? 4 : 16, skip = 16 - size;
	uint8_t *p = buf + PROXY2_HEAD;

	memcpy(buf, signature, sizeof(signature));
	buf[12] = PROXY2_VERSION_PROXY;
	buf[13] = !known ? PROXY2_UNSPEC : v4 ? PROXY2_TCP4 : PROXY2_TCP6;
	bytes_put16(buf + 14, known ? (uint16_t)(2 * size + 4) : 0);
	if (!known)
		return PROXY2_HEAD;
	memcpy(p, client->addr.b + skip, size);
	memcpy(p + size, local->addr.b + skip, size);
	bytes_put16(p + 2 * size, client->port);
	bytes_put16(p + 2 * size + 2, local->port);
	return PROXY2_HEAD + 2 * size + 4;
}
