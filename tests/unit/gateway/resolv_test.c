/* resolv_test.c - which lines of a resolv.conf name a server. */
#include "gateway/resolv.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <unistd.h>

static void lines(void)
{
	static const char text[] = "# nameserver 9.9.9.1\n"
				   "; nameserver 9.9.9.2\n"
				   "domain example.org\r\n"
				   "nameserver 192.0.2.1\r\n"
				   "nameserver\t2001:db8::53   \n"
				   "nameserver fe80::1%eth0\n"
				   "nameserverx 9.9.9.3\n"
				   "nameserver 9.9.9.300\n"
				   "nameserver 9.9.9.4 # with a word\n"
				   " nameserver 9.9.9.5\n"
				   "nameserver\n"
				   "nameserver 127.0.0.53";
	g_autofree char *path = NULL;
	struct addr found[8];
	int fd = g_file_open_tmp("resolv-XXXXXX", &path, NULL);
	char buf[ADDR_STRLEN];

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(write(fd, text, sizeof(text) - 1), ==, sizeof(text) - 1);
	close(fd);
	g_assert_cmpint(resolv_servers(path, found, 8), ==, 4);
	g_assert_cmpstr(addr_format(&found[0], buf), ==, "192.0.2.1");
	g_assert_cmpstr(addr_format(&found[1], buf), ==, "2001:db8::53");
	g_assert_cmpstr(addr_format(&found[2], buf), ==, "9.9.9.4");
	g_assert_cmpstr(addr_format(&found[3], buf), ==, "127.0.0.53");
	g_assert_cmpint(resolv_servers(path, found, 2), ==, 2);
	g_unlink(path);
	g_assert_cmpint(resolv_servers(path, found, 8), ==, -ENOENT);
	g_assert_cmpint(resolv_servers("/", found, 8), ==, -EISDIR);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/resolv/lines", lines);
	return g_test_run();
}
