/* libslirp_ncsi_test.c - a management controller asks for its network controller. */
#include "tests/unit/gateway/doors/libslirp_app.h"

#include "slirp/base/bytes.h"
#include "slirp/wire/ncsi_wire.h"

enum { MELLANOX = 0x8119, CODE_UNSUPPORTED = 0x00037fff };

static const uint8_t bmc[6] = { 2, 3, 4, 5, 6, 7 };

static void open_as(struct app *a, uint32_t version, uint32_t manufacturer)
{
	app_init(a);
	a->cfg.version = version;
	a->cfg.mfr_id = manufacturer;
	memcpy(a->cfg.oob_eth_addr, bmc, sizeof(bmc));
	app_open(a);
}

/* A command, from nobody to everybody: the controller has no address yet; cut: bytes of the message that are missing. */
static void ask(struct app *a, uint8_t type, uint8_t channel, const void *payload, uint16_t len, uint32_t cut)
{
	uint8_t p[512];

	memset(p, 0xff, 12);
	bytes_put16(p + 12, ETH_TYPE_NCSI);
	ncsi_wire_put(p + ETH_HDR_LEN, p + ETH_HDR_LEN + NCSI_HDR_LEN,
		      &(struct ncsi_msg){ .instance = 9, .type = type, .channel = channel, .len = len, .payload = payload });
	a->n_out = 0;
	slirp_input(a->slirp, p, (int)(ETH_HDR_LEN + NCSI_HDR_LEN + ncsi_wire_tail_len(len) - cut));
	app_settle(a);
}

/* The one answer; its payload's first word is the code. */
static struct ncsi_msg answer(const struct app *a, uint8_t type, uint8_t channel, uint32_t code)
{
	const uint8_t *p = a->out[0].b;
	struct ncsi_msg m;

	g_assert_cmpuint(a->n_out, ==, 1);
	for (int i = 0; i < 12; i++)
		g_assert_cmphex(p[i], ==, 0xff);
	g_assert_cmphex(bytes_get16(p + 12), ==, ETH_TYPE_NCSI);
	g_assert_cmpint(ncsi_wire_parse(p + ETH_HDR_LEN, (uint32_t)a->out[0].len - ETH_HDR_LEN, &m), ==, R_ACCEPTED);
	g_assert_cmpuint(a->out[0].len, ==, MAX(60u, ETH_HDR_LEN + NCSI_HDR_LEN + ncsi_wire_tail_len(m.len)));
	g_assert_cmphex(m.type, ==, type | NCSI_RESPONSE);
	g_assert_cmpuint(m.instance, ==, 9);
	g_assert_cmpuint(m.channel, ==, channel);
	g_assert_cmpuint(m.len, >=, 4);
	g_assert_cmphex(bytes_get32(m.payload), ==, code);
	return m;
}

/* Every command of the standard, with the length that its answer has there; nothing else is supported. */
static void commands(void)
{
	static const struct {
		uint8_t type;
		uint16_t len;
	} longer[] = { { 0x0a, 16 }, { 0x15, 40 }, { 0x16, 32 }, { 0x17, 40 }, { 0x18, 204 }, { 0x19, 32 }, { 0x1a, 48 }, { 0x1b, 8 }, { 0x52, 20 } };
	struct ncsi_msg m;
	struct app a;

	open_as(&a, 5, 0);
	for (unsigned type = 0; type < 0x80; type++) {
		bool known = type <= 0x1b && type != 0x0f;
		uint16_t len = 4;

		for (unsigned i = 0; i < G_N_ELEMENTS(longer); i++)
			if (longer[i].type == type) {
				known = true;
				len = longer[i].len;
			}
		ask(&a, (uint8_t)type, 0xe3, "\0\0\0\0\0\0\0\0", 8, 0);
		m = answer(&a, (uint8_t)type, 0xe3, known ? 0 : CODE_UNSUPPORTED);
		g_assert_cmpuint(m.len, ==, len);
	}
	ask(&a, 0x0a, 0, NULL, 0, 0);
	g_assert_cmphex(bytes_get32(answer(&a, 0x0a, 0, 0).payload + 4) & 1, ==, 1);
	slirp_cleanup(a.slirp);
}

static void manufacturer(void)
{
	static const uint8_t get_mac[8] = { 0, 0, 0x81, 0x19, 0, 0, 0x1b, 0 };
	uint8_t other[8];
	struct ncsi_msg m;
	struct app a;

	open_as(&a, 5, MELLANOX);
	ask(&a, 0x15, 0, NULL, 0, 0);
	g_assert_cmphex(bytes_get32(answer(&a, 0x15, 0, 0).payload + 36), ==, MELLANOX);
	ask(&a, 0x50, 0, get_mac, 8, 0);
	m = answer(&a, 0x50, 0, 0);
	g_assert_cmpuint(m.len, ==, 24);
	g_assert_cmpmem(m.payload + 4, 8, get_mac, 8);
	g_assert_cmpmem(m.payload + 16, 6, bmc, 6);
	for (uint16_t len = 0; len < 8; len++) { /* shorter than what is asked needs */
		ask(&a, 0x50, 0, get_mac, len, 0);
		answer(&a, 0x50, 0, CODE_UNSUPPORTED);
	}
	for (unsigned i = 0; i < 7; i++) { /* another manufacturer, or another command; the revision does not matter */
		memcpy(other, get_mac, 8);
		other[i] ^= 0x40;
		ask(&a, 0x50, 0, other, 8, 0);
		answer(&a, 0x50, 0, i == 4 ? 0 : CODE_UNSUPPORTED);
	}
	slirp_cleanup(a.slirp);
	open_as(&a, 5, 0x157); /* we are somebody else's */
	ask(&a, 0x50, 0, get_mac, 8, 0);
	answer(&a, 0x50, 0, CODE_UNSUPPORTED);
	slirp_cleanup(a.slirp);
	open_as(&a, 4, MELLANOX); /* a version that has no such fields */
	ask(&a, 0x15, 0, NULL, 0, 0);
	g_assert_cmphex(bytes_get32(answer(&a, 0x15, 0, 0).payload + 36), ==, 0);
	ask(&a, 0x50, 0, get_mac, 8, 0);
	answer(&a, 0x50, 0, CODE_UNSUPPORTED);
	slirp_cleanup(a.slirp);
}

static uint64_t drops(const struct app *a, enum reason why)
{
	struct gateway_stats stats;

	gateway_stats(a->slirp->gw, &stats);
	return stats.drops.n[why];
}

/* No answer: what ends early, and what is no command. */
static void dropped(void)
{
	static const uint8_t payload[8];
	struct app a;
	uint64_t before;

	open_as(&a, 5, MELLANOX);
	for (uint32_t cut = 4 + 1; cut <= 4 + 8 + NCSI_HDR_LEN; cut++) {
		before = drops(&a, R_NCSI_SHORT);
		ask(&a, 0x50, 0, payload, 8, cut);
		g_assert_cmpuint(a.n_out, ==, 0);
		g_assert_cmpuint(drops(&a, R_NCSI_SHORT), ==, before + 1);
	}
	ask(&a, 0x50, 0, payload, 8, 4); /* without a checksum */
	answer(&a, 0x50, 0, CODE_UNSUPPORTED);
	for (unsigned type = 0x80; type < 0x100; type++)
		ask(&a, (uint8_t)type, 0, payload, 8, 0);
	g_assert_cmpuint(a.n_out, ==, 0);
	g_assert_cmpuint(drops(&a, R_NCSI_TYPE), ==, 0x80);
	slirp_cleanup(a.slirp);
}

/* The smallest link: answers are larger than its IP packets. */
static void small_link(void)
{
	struct app a;

	app_init(&a);
	a.cfg.if_mtu = a.cfg.if_mru = 68;
	app_open(&a);
	ask(&a, 0x18, 0, NULL, 0, 0);
	g_assert_cmpuint(answer(&a, 0x18, 0, 0).len, ==, 204);
	slirp_cleanup(a.slirp);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/libslirp_ncsi/commands", commands);
	g_test_add_func("/libslirp_ncsi/manufacturer", manufacturer);
	g_test_add_func("/libslirp_ncsi/dropped", dropped);
	g_test_add_func("/libslirp_ncsi/small_link", small_link);
	return g_test_run();
}
