/* ncsi_wire_test.c - NC-SI messages there and back, cut short at every length, and the checksum by another way. */
#include "slirp/wire/ncsi_wire.h"
#include "tests/unit/naive.h"

enum { PAYLOAD_MAX = 300 };

static uint32_t sum_of(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : p[i] * 256u;
	return sum;
}

static void there_and_back(void)
{
	GRand *rand = g_rand_new_with_seed(1);
	uint8_t buf[NCSI_HDR_LEN + PAYLOAD_MAX + 8], payload[PAYLOAD_MAX];
	struct ncsi_msg out;

	for (uint16_t len = 0; len <= PAYLOAD_MAX; len++) {
		struct ncsi_msg in = { .len = len, .payload = payload };
		uint32_t tail = ncsi_wire_tail_len(len);

		fill_random(rand, payload, len);
		in.instance = (uint8_t)g_rand_int(rand);
		in.type = (uint8_t)g_rand_int(rand);
		in.channel = (uint8_t)g_rand_int(rand);
		g_assert_cmpuint(tail % 4, ==, 0);
		g_assert_cmpuint(tail, >=, len + 4u);
		g_assert_cmpuint(tail, <, len + 8u);
		ncsi_wire_put(buf, buf + NCSI_HDR_LEN, &in);
		g_assert_cmphex(sum_of(buf, NCSI_HDR_LEN + tail - 4) + bytes_get32(buf + NCSI_HDR_LEN + tail - 4), ==, 0);
		g_assert_cmpint(ncsi_wire_parse(buf, NCSI_HDR_LEN + tail, &out), ==, R_ACCEPTED);
		g_assert_cmpuint(out.instance, ==, in.instance);
		g_assert_cmpuint(out.type, ==, in.type);
		g_assert_cmpuint(out.channel, ==, in.channel);
		g_assert_cmpmem(out.payload, out.len, payload, len);
	}
	g_rand_free(rand);
}

static void cut_short(void)
{
	uint8_t buf[NCSI_HDR_LEN + 16], payload[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct ncsi_msg out;

	ncsi_wire_put(buf, buf + NCSI_HDR_LEN, &(struct ncsi_msg){ .len = 8, .payload = payload });
	for (uint32_t len = 0; len < NCSI_HDR_LEN + 12; len++) {
		uint8_t *p = exact(buf, len);

		g_assert_cmpint(ncsi_wire_parse(p, len, &out), ==, len < NCSI_HDR_LEN + 8 ? R_NCSI_SHORT : R_ACCEPTED);
		free(p);
	}
	buf[6] = 0xf0; /* not of the length */
	g_assert_cmpint(ncsi_wire_parse(buf, NCSI_HDR_LEN + 12, &out), ==, R_ACCEPTED);
	g_assert_cmpuint(out.len, ==, 8);
	buf[6] = 0xff;
	g_assert_cmpint(ncsi_wire_parse(buf, NCSI_HDR_LEN + 12, &out), ==, R_NCSI_SHORT);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/ncsi_wire/there_and_back", there_and_back);
	g_test_add_func("/ncsi_wire/cut_short", cut_short);
	return g_test_run();
}
