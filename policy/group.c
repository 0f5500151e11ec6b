/* group.c - kinds of addresses.  See group.h. */
#include "policy/group.h"

#include <stddef.h>

#define V4(a, b, c, d, len) { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d } }, 96 + (len) }

static const struct {
	struct prefix net;
	enum policy_group group;
} nets[] = {
	{ V4(169, 254, 169, 254, 32), POLICY_GROUP_METADATA }, /* AWS, Azure, Google, OpenStack and others */
	{ V4(169, 254, 169, 253, 32), POLICY_GROUP_METADATA }, /* AWS: name server */
	{ V4(169, 254, 169, 123, 32), POLICY_GROUP_METADATA }, /* AWS: time */
	{ V4(169, 254, 170, 2, 32), POLICY_GROUP_METADATA },   /* AWS ECS: credentials of tasks */
	{ V4(169, 254, 170, 23, 32), POLICY_GROUP_METADATA },  /* AWS EKS: identities of pods */
	{ V4(100, 100, 100, 200, 32), POLICY_GROUP_METADATA }, /* Alibaba */
	{ V4(168, 63, 129, 16, 32), POLICY_GROUP_METADATA },   /* Azure: the platform's agent */
	{ V4(192, 0, 0, 192, 32), POLICY_GROUP_METADATA },     /* Oracle */
	{ { { { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54 } }, 128 }, POLICY_GROUP_METADATA }, /* AWS */
	{ { { { 0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54 } }, 128 }, POLICY_GROUP_METADATA }, /* Google */
	{ V4(127, 0, 0, 0, 8), POLICY_GROUP_LOOPBACK },
	{ { { { [15] = 1 } }, 128 }, POLICY_GROUP_LOOPBACK },
	{ V4(0, 0, 0, 0, 8), POLICY_GROUP_LOOPBACK }, /* "this host": connect() takes it for loopback */
	{ { { { 0 } }, 128 }, POLICY_GROUP_LOOPBACK },
	{ V4(10, 0, 0, 0, 8), POLICY_GROUP_PRIVATE },
	{ V4(172, 16, 0, 0, 12), POLICY_GROUP_PRIVATE },
	{ V4(192, 168, 0, 0, 16), POLICY_GROUP_PRIVATE },
	{ V4(100, 64, 0, 0, 10), POLICY_GROUP_PRIVATE },
	{ V4(198, 18, 0, 0, 15), POLICY_GROUP_PRIVATE }, /* RFC 2544: networks under test */
	{ { { { 0xfc } }, 7 }, POLICY_GROUP_PRIVATE },
	{ { { { 0xfe, 0xc0 } }, 10 }, POLICY_GROUP_PRIVATE }, /* RFC 3879: site-local, deprecated and still routed by some */
	{ V4(169, 254, 0, 0, 16), POLICY_GROUP_LINKLOCAL },
	{ { { { 0xfe, 0x80 } }, 10 }, POLICY_GROUP_LINKLOCAL },
	{ V4(224, 0, 0, 0, 4), POLICY_GROUP_MULTICAST },
	{ V4(255, 255, 255, 255, 32), POLICY_GROUP_MULTICAST },
	{ { { { 0xff } }, 8 }, POLICY_GROUP_MULTICAST },
};

static const char *const names[POLICY_GROUPS] = {
	[POLICY_GROUP_HOST] = "host",		[POLICY_GROUP_METADATA] = "metadata",	[POLICY_GROUP_LOOPBACK] = "loopback",
	[POLICY_GROUP_PRIVATE] = "private",	[POLICY_GROUP_LINKLOCAL] = "linklocal", [POLICY_GROUP_MULTICAST] = "multicast",
	[POLICY_GROUP_PUBLIC] = "public",
};

const char *policy_group_name(enum policy_group g)
{
	return names[g];
}

bool policy_group_parse(const char *name, enum policy_group *ret)
{
	for (int i = 0; i < POLICY_GROUPS; i++)
		if (!strcmp(name, names[i])) {
			*ret = (enum policy_group)i;
			return true;
		}
	return false;
}

enum policy_group policy_group_of(const struct addr *a, bool host)
{
	if (host)
		return POLICY_GROUP_HOST;
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if (prefix_contains(&nets[i].net, a))
			return nets[i].group;
	return POLICY_GROUP_PUBLIC;
}

/* Where an IPv4 address stands in an IPv6 one, and whether each bit of it is inverted there (Teredo's client). */
static const struct {
	struct prefix net;
	unsigned at;
	bool inverted;
} carriers[] = {
	{ { { { 0x00, 0x64, 0xff, 0x9b } }, 96 }, 12, false },	     /* RFC 6052: NAT64's well-known prefix */
	{ { { { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 } }, 48 }, 12, false }, /* RFC 8215: NAT64's local prefix, as a /96 of it */
	{ { { { 0x20, 0x02 } }, 16 }, 2, false },		     /* 6to4 */
	{ { { { 0x20, 0x01, 0x00, 0x00 } }, 32 }, 4, false },	     /* Teredo: the server */
	{ { { { 0x20, 0x01, 0x00, 0x00 } }, 32 }, 12, true },	     /* and the client */
	{ { { { 0 } }, 96 }, 12, false },			     /* RFC 4291 2.5.5.1: IPv4-compatible */
};

unsigned policy_forms(const struct addr *a, struct addr ret[POLICY_FORMS_MAX])
{
	unsigned n = 1;

	ret[0] = *a;
	for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]) && n < POLICY_FORMS_MAX; i++) {
		const uint8_t *p = a->b + carriers[i].at;
		uint8_t turn = carriers[i].inverted ? 0xff : 0;

		if (prefix_contains(&carriers[i].net, a))
			ret[n++] = addr_from_v4((const uint8_t[4]){ p[0] ^ turn, p[1] ^ turn, p[2] ^ turn, p[3] ^ turn });
	}
	return n;
}
