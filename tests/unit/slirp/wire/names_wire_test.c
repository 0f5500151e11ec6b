/* names_wire_test.c - names there and back with and without pointers, too little room, bent bytes. */
#include "slirp/wire/names_wire.h"
#include "tests/unit/naive.h"

#include <string.h>

static void test_bytes(void)
{
	static const uint8_t plain[] = "\1a\3org\0\1b\1a\3org";		  /* the closing NUL is the root label */
	static const uint8_t packed[] = { 1, 'a', 3, 'o', 'r', 'g', 0, 1, 'b', 0xc0, 0 };
	uint8_t p[64];

	g_assert_cmpmem(p, names_wire_put(p, sizeof(p), "a.org b.a.org.", false), plain, sizeof(plain));
	g_assert_cmpmem(p, names_wire_put(p, sizeof(p), "a.org b.A.org", true), packed, sizeof(packed));
	g_assert_cmpuint(names_wire_put(p, sizeof(p), "", true), ==, 0);
	g_assert_cmpuint(names_wire_put(p, sizeof(p), ". a..b .a", true), ==, 0);
	g_assert_cmpuint(names_wire_put(p, 6, "a.org", true), ==, 0);
	g_assert_cmpuint(names_wire_put(p, 7, "a.org", true), ==, 7);
	g_assert_cmpuint(names_wire_put(p, 10, "a.org b.a.org", true), ==, 7);
	g_assert_cmpuint(names_wire_put(p, 11, "a.org b.a.org", true), ==, 11);
}

/* Few letters, so that suffixes meet. */
static char *random_list(GRand *rand)
{
	GString *s = g_string_new(NULL);

	for (int n = g_rand_int_range(rand, 0, 8); n; n--) {
		if (s->len)
			g_string_append_c(s, ' ');
		for (int labels = g_rand_int_range(rand, 1, 6); labels; labels--) {
			for (int len = g_rand_int_range(rand, 1, 4); len; len--)
				g_string_append_c(s, (char)('a' + g_rand_int_range(rand, 0, 2)));
			g_string_append_c(s, labels > 1 ? '.' : '\0');
		}
		g_string_truncate(s, s->len - 1);
	}
	return g_string_free(s, FALSE);
}

static void test_there_and_back(void)
{
	GRand *rand = g_rand_new_with_seed(1);

	for (int i = 0; i < 5000; i++) {
		g_autofree char *list = random_list(rand);
		bool compress = i & 1;
		uint8_t p[1024], *copy;
		char text[1024];
		uint32_t len = names_wire_put(p, sizeof(p), list, compress);

		copy = exact(p, len);
		g_assert_true(names_wire_get(copy, len, compress, text, sizeof(text)));
		g_assert_cmpstr(text, ==, list);
		if (len) /* cut short it is a list of fewer names, or none */
			g_assert_true(!names_wire_get(copy, len - 1, compress, text, sizeof(text)) || strlen(text) < strlen(list));
		g_assert_true(!*list || !names_wire_get(copy, len, compress, text, (uint32_t)strlen(list)));
		free(copy);
	}
	g_rand_free(rand);
}

static void test_room(void)
{
	GRand *rand = g_rand_new_with_seed(2);

	for (int i = 0; i < 300; i++) {
		g_autofree char *list = random_list(rand);

		for (uint32_t room = 0; room < 80; room++) {
			uint8_t *p = malloc(room + 1);
			char text[1024];
			uint32_t len = names_wire_put(p, room, list, i & 1);

			g_assert_cmpuint(len, <=, room);
			g_assert_true(names_wire_get(p, len, i & 1, text, sizeof(text)));
			g_assert_true(g_str_has_prefix(list, text));
			free(p);
		}
	}
	g_rand_free(rand);
}

static void test_wrong(void)
{
	static const uint8_t self[] = { 0xc0, 0 }, forward[] = { 1, 'a', 0xc0, 4, 0 }, cut[] = { 1, 'a', 0xc0 }, dot[] = { 1, '.', 0 },
			     reserved[] = { 0x41, 'a', 0 }, loop[] = { 1, 'a', 0, 1, 'b', 0xc0, 3 };
	char text[64];

	g_assert_false(names_wire_get(self, sizeof(self), true, text, sizeof(text)));
	g_assert_false(names_wire_get(forward, sizeof(forward), true, text, sizeof(text)));
	g_assert_false(names_wire_get(cut, sizeof(cut), true, text, sizeof(text)));
	g_assert_false(names_wire_get(dot, sizeof(dot), true, text, sizeof(text)));
	g_assert_false(names_wire_get(reserved, sizeof(reserved), true, text, sizeof(text)));
	g_assert_false(names_wire_get(loop, sizeof(loop), true, text, sizeof(text)));
	g_assert_cmpstr(text, ==, "");
}

static void test_random(void)
{
	GRand *rand = g_rand_new_with_seed(3);

	for (int i = 0; i < 50000; i++) {
		uint32_t len = (uint32_t)g_rand_int_range(rand, 0, 40);
		uint8_t b[40], *p;
		char text[300];

		for (uint32_t k = 0; k < len; k++) /* mostly what lengths and pointers look like */
			b[k] = (uint8_t)(g_rand_int_range(rand, 0, 4) ? g_rand_int_range(rand, 0, 6) : 0xc0 + g_rand_int_range(rand, 0, 2));
		p = exact(b, len);
		names_wire_get(p, len, i & 1, text, (uint32_t)g_rand_int_range(rand, 1, (int)sizeof(text)));
		free(p);
	}
	g_rand_free(rand);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/names_wire/bytes", test_bytes);
	g_test_add_func("/names_wire/there_and_back", test_there_and_back);
	g_test_add_func("/names_wire/room", test_room);
	g_test_add_func("/names_wire/wrong", test_wrong);
	g_test_add_func("/names_wire/random", test_random);
	return g_test_run();
}
