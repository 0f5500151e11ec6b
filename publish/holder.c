/* holder.c - who listens on a port.  See holder.h; proc(5): /proc/net/tcp, /proc/PID/fd.
 *
 * Files: /proc/net/{tcp,tcp6,udp,udp6}, /proc/PID/fd, /proc/PID/comm.
 */
#include "publish/holder.h"

#include <glib.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { HOLDER_TCP_LISTEN = 0x0a, HOLDER_WORDS = 4 };

/* The address as /proc prints it: words of 32 bits in the machine's order. */
static struct addr holder_addr(const char *hex)
{
	uint32_t w[HOLDER_WORDS] = { 0 };
	int n = (int)(strlen(hex) / 8);

	for (int i = 0; i < n && i < HOLDER_WORDS; i++) {
		char word[9];

		memcpy(word, hex + 8 * i, 8);
		word[8] = '\0';
		w[i] = (uint32_t)g_ascii_strtoull(word, NULL, 16);
	}
	return n == 1 ? addr_from_v4((const uint8_t *)w) : addr_from_v6((const uint8_t *)w);
}

static bool holder_in_the_way(const struct addr *have, const struct endpoint *want, bool dual)
{
	if (dual || addr_is_unspecified(have) || addr_eq(have, &want->addr))
		return true;
	return addr_is_unspecified(&want->addr) && addr_is_v4(have) == addr_is_v4(&want->addr);
}

/* The inode of the socket that is in the way, according to one line of the table; 0: not this one. */
static unsigned long holder_line(const char *line, bool tcp, const struct endpoint *e, bool dual)
{
	char local[33];
	unsigned port, state;
	unsigned long inode;
	struct addr have;

	if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*u %*u %lu", local, &port, &state, &inode) != 4 || port != e->port)
		return 0;
	have = holder_addr(local);
	return (!tcp || state == HOLDER_TCP_LISTEN) && holder_in_the_way(&have, e, dual) ? inode : 0;
}

static unsigned long holder_inode(const char *table, bool tcp, const struct endpoint *e, bool dual)
{
	FILE *f = fopen(table, "re");
	unsigned long inode = 0;
	char line[256];

	if (!f)
		return 0;
	while (!inode && fgets(line, sizeof(line), f))
		inode = holder_line(line, tcp, e, dual);
	fclose(f);
	return inode;
}

static bool holder_has(const char *pid, const char *socket)
{
	g_autofree char *dir = g_strdup_printf("/proc/%s/fd", pid);
	g_autoptr(GDir) d = g_dir_open(dir, 0, NULL);
	const char *name;

	while (d && (name = g_dir_read_name(d))) {
		g_autofree char *path = g_build_filename(dir, name, NULL), *target = g_file_read_link(path, NULL);

		if (target && !strcmp(target, socket))
			return true;
	}
	return false;
}

static char *holder_process(unsigned long inode)
{
	g_autofree char *socket = g_strdup_printf("socket:[%lu]", inode);
	g_autoptr(GDir) d = g_dir_open("/proc", 0, NULL);
	const char *pid;

	while (d && (pid = g_dir_read_name(d))) {
		g_autofree char *path = NULL, *comm = NULL;

		if (!g_ascii_isdigit(*pid) || !holder_has(pid, socket))
			continue;
		path = g_strdup_printf("/proc/%s/comm", pid);
		if (!g_file_get_contents(path, &comm, NULL, NULL))
			return g_strdup_printf("process %s", pid);
		return g_strdup_printf("%s (process %s)", g_strchomp(comm), pid);
	}
	return NULL;
}

char *holder_find(bool tcp, const struct endpoint *e, bool dual)
{
	unsigned long inode = 0;

	if (addr_is_v4(&e->addr) || dual || addr_is_unspecified(&e->addr))
		inode = holder_inode(tcp ? "/proc/net/tcp" : "/proc/net/udp", tcp, e, dual);
	if (!inode)
		inode = holder_inode(tcp ? "/proc/net/tcp6" : "/proc/net/udp6", tcp, e, dual);
	return inode ? holder_process(inode) : NULL;
}
