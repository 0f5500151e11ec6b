/* dhcp6_wire_test.c - DHCPv6 messages there and back, cut at every length, too little room, random bytes. */
#include "slirp/wire/dhcp6_wire.h"
#include "tests/unit/naive.h"

#include <string.h>

struct sent {
	uint8_t client[DHCP6_DUID_MAX], server[DHCP6_DUID_LL_LEN], fqdn[20];
	uint16_t client_len, oro[3];
	struct dhcp6_ia ia[DHCP6_IA_MAX];
	uint32_t n_ia;
};

static uint32_t write_random(GRand *rand, uint8_t *p, uint32_t room, struct sent *s)
{
	struct dhcp6_writer w;
	uint8_t oro[6], mac[6];

	s->client_len = (uint16_t)g_rand_int_range(rand, 3, DHCP6_DUID_MAX + 1);
	fill_random(rand, s->client, s->client_len);
	fill_random(rand, mac, sizeof(mac));
	dhcp6_wire_duid_ll(s->server, mac);
	fill_random(rand, s->fqdn, sizeof(s->fqdn));
	dhcp6_wire_begin(&w, p, room, DHCP6_REQUEST, 0xff123456);
	dhcp6_wire_put(&w, DHCP6_OPT_CLIENT_ID, s->client, s->client_len);
	dhcp6_wire_put(&w, DHCP6_OPT_SERVER_ID, s->server, sizeof(s->server));
	for (int i = 0; i < 3; i++) {
		s->oro[i] = (uint16_t)g_rand_int(rand);
		bytes_put16(oro + 2 * i, s->oro[i]);
	}
	dhcp6_wire_put(&w, DHCP6_OPT_ORO, oro, sizeof(oro));
	s->n_ia = (uint32_t)g_rand_int_range(rand, 0, DHCP6_IA_MAX + 1);
	for (uint32_t i = 0; i < s->n_ia; i++) {
		struct dhcp6_ia *ia = &s->ia[i];
		uint32_t at;

		ia->iaid = g_rand_int(rand);
		ia->n_addrs = (uint32_t)g_rand_int_range(rand, 0, DHCP6_ADDR_MAX + 1);
		at = dhcp6_wire_open_ia(&w, ia->iaid, 1, 2);
		for (uint32_t k = 0; k < ia->n_addrs; k++) {
			ia->addrs[k] = random_addr(rand, true);
			dhcp6_wire_put_addr(&w, &ia->addrs[k], 3, 4);
		}
		dhcp6_wire_put_status(&w, DHCP6_NO_BINDING, "why");
		dhcp6_wire_close(&w, at);
	}
	dhcp6_wire_put(&w, DHCP6_OPT_RAPID_COMMIT, NULL, 0);
	dhcp6_wire_put(&w, DHCP6_OPT_FQDN, s->fqdn, sizeof(s->fqdn));
	g_assert_false(w.full);
	return w.len;
}

static void assert_same(const struct dhcp6_msg *m, const struct sent *s)
{
	g_assert_cmpuint(m->type, ==, DHCP6_REQUEST);
	g_assert_cmphex(m->xid, ==, 0x123456);
	g_assert_cmpmem(m->client_id, m->client_id_len, s->client, s->client_len);
	g_assert_cmpmem(m->server_id, m->server_id_len, s->server, sizeof(s->server));
	g_assert_true(m->rapid_commit && m->has_oro);
	g_assert_cmpmem(m->fqdn, m->fqdn_len, s->fqdn, sizeof(s->fqdn));
	g_assert_cmpuint(m->n_oro, ==, 3);
	for (int i = 0; i < 3; i++)
		g_assert_true(dhcp6_wire_asks(m, (enum dhcp6_option)s->oro[i]));
	g_assert_cmpuint(m->n_ia, ==, s->n_ia);
	for (uint32_t i = 0; i < s->n_ia; i++) {
		g_assert_cmpuint(m->ia[i].iaid, ==, s->ia[i].iaid);
		g_assert_cmpuint(m->ia[i].n_addrs, ==, s->ia[i].n_addrs);
		g_assert_cmpmem(m->ia[i].addrs, 16 * s->ia[i].n_addrs, s->ia[i].addrs, 16 * s->ia[i].n_addrs);
	}
}

static void test_there_and_back(void)
{
	GRand *rand = g_rand_new_with_seed(1);

	for (int i = 0; i < 500; i++) {
		struct sent s = { 0 };
		uint8_t p[2000];
		uint32_t len = write_random(rand, p, sizeof(p), &s);

		for (uint32_t n = 0; n <= len; n++) {
			uint8_t *copy = exact(p, n);
			struct dhcp6_msg m;
			enum reason r = dhcp6_wire_parse(copy, n, &m);

			if (n == len) {
				g_assert_cmpint(r, ==, R_ACCEPTED);
				assert_same(&m, &s);
			}
			free(copy);
		}
	}
	g_rand_free(rand);
}

/* Once something did not fit, nothing more is written, and what is there is a good message. */
static void test_room(void)
{
	for (uint32_t room = 4; room < 80; room++) {
		uint8_t *p = malloc(room);
		struct dhcp6_writer w;
		struct dhcp6_msg m;
		uint32_t at;

		dhcp6_wire_begin(&w, p, room, DHCP6_REPLY, 1);
		dhcp6_wire_put(&w, DHCP6_OPT_CLIENT_ID, "client", 6);
		at = dhcp6_wire_open_ia(&w, 7, 1, 2);
		dhcp6_wire_put_addr(&w, &addr_any, 1, 2);
		dhcp6_wire_close(&w, at);
		g_assert_true(w.len <= room && (w.full == (room < 4 + 10 + 16 + 28)));
		if (!w.full)
			g_assert_cmpint(dhcp6_wire_parse(p, w.len, &m), ==, R_ACCEPTED);
		free(p);
	}
}

static void test_random(void)
{
	GRand *rand = g_rand_new_with_seed(3);

	for (int i = 0; i < 50000; i++) {
		uint32_t len = (uint32_t)g_rand_int_range(rand, 0, 120);
		struct dhcp6_msg m;
		uint8_t *p = malloc(len + 1);

		for (uint32_t k = 0; k < len; k++)
			p[k] = (uint8_t)(k % 2 ? g_rand_int_range(rand, 0, 40) : g_rand_int_range(rand, 0, 20) == 0);
		dhcp6_wire_parse(p, len, &m);
		free(p);
	}
	g_rand_free(rand);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/dhcp6_wire/there_and_back", test_there_and_back);
	g_test_add_func("/dhcp6_wire/room", test_room);
	g_test_add_func("/dhcp6_wire/random", test_random);
	return g_test_run();
}
