/* preface_test.c - bytes in front of an upstream, read and consumed in every portion, beside one flat string. */
#include "gateway/preface.h"

#include "slirp/base/list.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

/* What stands below: a string. */
struct flat {
	struct upstream up;
	const char *text;
	uint32_t taken;
	char calls[16]; /* of the other direction */
};

static ssize_t flat_peek(struct upstream *up, uint32_t off, const struct iovec *iov, int n)
{
	struct flat *f = container_of(up, struct flat, up);
	size_t left = strlen(f->text + f->taken), done = 0;

	if (off == left)
		return 0;
	for (int i = 0; i < n && off < left; i++) {
		size_t len = MIN(left - off, iov[i].iov_len);

		memcpy(iov[i].iov_base, f->text + f->taken + off, len);
		off += (uint32_t)len;
		done += len;
	}
	return (ssize_t)done;
}

static void flat_consume(struct upstream *up, uint32_t n)
{
	container_of(up, struct flat, up)->taken += n;
}

static ssize_t flat_write(struct upstream *up, const struct iovec *iov, int n)
{
	strcat(container_of(up, struct flat, up)->calls, "w");
	return (ssize_t)iov[0].iov_len;
}

static void flat_shutdown(struct upstream *up)
{
	strcat(container_of(up, struct flat, up)->calls, "s");
}

static void flat_abort(struct upstream *up)
{
	strcat(container_of(up, struct flat, up)->calls, "a");
}

static uint32_t flat_space(struct upstream *up)
{
	return 77;
}

static const struct upstream_ops flat_ops = { flat_peek, flat_consume, flat_write, flat_shutdown, flat_abort, flat_space };

static void portions(void)
{
	static const char head[] = "PROXY TCP4 192.0.2.1\r\n", body[] = "GET / HTTP/1.0\r\n\r\n";
	g_autofree char *whole = g_strconcat(head, body, NULL);
	size_t total = strlen(whole);

	for (int round = 0; round < 3000; round++) {
		struct flat f = { .up.ops = &flat_ops, .text = body };
		struct preface p;
		size_t consumed = 0, seen = 0;

		preface_init(&p, &f.up, (const uint8_t *)head, (uint8_t)strlen(head));
		while (consumed < total) {
			char a[8], b[8];
			struct iovec iov[2] = { { a, (size_t)g_test_rand_int_range(1, 9) }, { b, (size_t)g_test_rand_int_range(1, 9) } };
			uint32_t off = (uint32_t)(seen - consumed);
			ssize_t n = p.up.ops->peek(&p.up, off, iov, 2);
			size_t first = MIN((size_t)MAX(n, 0), iov[0].iov_len);

			if (seen == total) {
				g_assert_cmpint(n, ==, 0);
			} else {
				g_assert_cmpint(n, >, 0);
				g_assert_cmpmem(a, first, whole + seen, first);
				g_assert_cmpmem(b, (size_t)n - first, whole + seen + first, (size_t)n - first);
				seen += (size_t)n;
			}
			if (seen > consumed) {
				uint32_t k = (uint32_t)g_test_rand_int_range(0, (gint32)(seen - consumed) + 1);

				p.up.ops->consume(&p.up, k);
				consumed += k;
			}
			if (g_test_rand_bit())
				seen = consumed; /* sent again */
		}
		g_assert_cmpuint(f.taken, ==, strlen(body));
	}
}

static void other_direction(void)
{
	struct flat f = { .up.ops = &flat_ops, .text = "" };
	struct iovec iov = { (char[]){ 'x' }, 1 };
	struct preface p;

	preface_init(&p, &f.up, (const uint8_t *)"h", 1);
	g_assert_cmpint(p.up.ops->write(&p.up, &iov, 1), ==, 1);
	g_assert_cmpuint(p.up.ops->space(&p.up), ==, 77);
	p.up.ops->shutdown(&p.up);
	p.up.ops->abort(&p.up);
	g_assert_cmpstr(f.calls, ==, "wsa");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/preface/portions", portions);
	g_test_add_func("/preface/other_direction", other_direction);
	return g_test_run();
}
