/* resolv.c - name servers out of a resolv.conf.  See resolv.h.  System calls: openat read close. */
#include "gateway/resolv.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

/* The one place that opens a resolv.conf.  Returns how many bytes, or -errno; buf is closed by a NUL. */
static int resolv_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (n > 0 && len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0) {
			n = -errno;
			close(fd);
			return (int)n;
		}
		len += (size_t)n;
	}
	close(fd);
	buf[len] = '\0';
	return (int)len;
}

/* "nameserver ADDR" with nothing but blanks behind it; a %scope does not parse as an address. */
static bool resolv_line(const char *line, struct addr *ret)
{
	static const char keyword[] = "nameserver";
	const char *end;

	if (strncmp(line, keyword, sizeof(keyword) - 1))
		return false;
	line += sizeof(keyword) - 1;
	if (*line != ' ' && *line != '\t')
		return false;
	line += strspn(line, " \t");
	if (!addr_parse(line, ret, &end))
		return false;
	return end[strspn(end, " \t\r")] == '\0' || (*end && strchr(" \t", *end) && strchr("#;", end[strspn(end, " \t")]));
}

int resolv_servers(const char *path, struct addr *ret, unsigned max)
{
	g_autofree char *text = g_malloc(RESOLV_SIZE);
	int rc = resolv_read(path, text, RESOLV_SIZE);
	char *rest = text, *line;
	unsigned n = 0;

	if (rc < 0)
		return rc;
	while (n < max && (line = strsep(&rest, "\n"))) {
		struct addr a;

		if (resolv_line(line, &a))
			ret[n++] = a;
	}
	return (int)n;
}
