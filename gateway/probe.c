/* probe.c - the machine's abilities, one function each.
 *
 * Trap: with kernel.apparmor_restrict_unprivileged_userns the unshare itself succeeds and every capability in the new namespace is
 * missing; so the probe also uses one.
 */
#include "gateway/probe.h"

#include "gateway/resolv.h"
#include "gateway/link_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	FLOWS_SANE = 1024, /* fewer descriptors than this and ordinary work meets the limit */
	FD_RESERVE = 64,   /* descriptors that are not flows */
	FLOWS_MAX = 65536, /* the gateway's own cap */
};

#define TUN_DEVICE "/dev/net/tun"

const char *probe_tun_remedy(void)
{
	int fd = open(TUN_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return NULL;
	}
	switch (errno) {
	case EACCES:
	case EPERM:
		return "let users open it (as root: chmod 0666 " TUN_DEVICE "), which gives no privilege by itself; in a container: allow the device";
	case ENODEV:
	case ENXIO:
		return "load the kernel module (as root: modprobe tun)";
	default:
		return "load the kernel module (as root: modprobe tun); in a container: pass the device in (--device " TUN_DEVICE ")";
	}
}

const char *probe_tap_remedy(int error)
{
	const char *open_remedy = probe_tun_remedy();

	if (open_remedy)
		return open_remedy;
	switch (error) {
	case EPERM:
	case EACCES:
		return "a security module or a container's filter forbids TUNSETIFF: allow it there, or start slirpgate outside of it";
	case ENOTTY:
	case EBADFD:
		return "what stands at " TUN_DEVICE " is no tun device (as root: mknod -m 0666 " TUN_DEVICE " c 10 200)";
	case EBUSY:
		return "an interface of that name is there: --ifname NAME";
	default:
		return "a kernel with CONFIG_TUN";
	}
}

/* The number in a file of /proc/sys, or fallback. */
static long sysctl_number(const char *path, long fallback)
{
	g_autofree char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) ? strtol(text, NULL, 10) : fallback;
}

const char *probe_userns_remedy(int error)
{
	if (sysctl_number("/proc/sys/kernel/unprivileged_userns_clone", 1) == 0)
		return "as root: sysctl kernel.unprivileged_userns_clone=1";
	if (sysctl_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0) == 1)
		return "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for slirpgate that allows userns";
	if (error == ENOSPC || sysctl_number("/proc/sys/user/max_user_namespaces", 1) == 0)
		return "as root: sysctl user.max_user_namespaces=15000";
	if (error == EUSERS)
		return "user namespaces are nested too deeply here: start slirpgate further out";
	if (error == EINVAL || error == ENOSYS)
		return "a kernel with CONFIG_USER_NS";
	return "inside a container or chroot: allow unshare and mount there, or start slirpgate outside of it";
}

/* Runs fn in a child of its own; its result (0..255) or 255 when it did not come to an end. */
static int in_child(int (*fn)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn());
	if (pid < 0)
		return 255;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* As netns.c does it: a user namespace, or none when root cannot have one. */
static int enter_namespaces(void)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) == 0)
		return 0;
	if (geteuid() == 0 && unshare(CLONE_NEWNS | CLONE_NEWNET) == 0)
		return 0;
	return errno;
}

static int try_namespaces(void)
{
	int e = enter_namespaces();

	if (e == 0 && mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		e = errno;
	return e;
}

/* Bits of what the tap can do; 128: no tap at all. */
static int try_tap(void)
{
	static const struct {
		unsigned flags;
		int bit;
	} steps[] = {
		{ TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, 1 },
		{ TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | 0x20 | 0x40, 2 }, /* TUN_F_USO4 | TUN_F_USO6, newer than Debian 12's headers */
	};
	int tap, can = 0;

	if (enter_namespaces() != 0)
		return 128;
	tap = link_tap_create("probe0", true, NULL);
	if (tap < 0)
		return 128;
	for (unsigned i = 0; i < G_N_ELEMENTS(steps); i++) {
		if (ioctl(tap, TUNSETOFFLOAD, steps[i].flags) == 0)
			can |= steps[i].bit;
	}
	return can;
}

enum { NO_NAMESPACE = 254 };

/* A tap in a momentary namespace: 0, NO_NAMESPACE to make one in, or the errno of the step that failed, which is TUNSETIFF where the device
 * could be opened. */
static int try_tun(void)
{
	if (enter_namespaces() != 0)
		return NO_NAMESPACE;
	return link_tap_create("probe0", false, NULL) < 0 ? errno : 0;
}

static void probe_tun(struct probe_result *ret)
{
	bool opens = !probe_tun_remedy();
	int e = opens ? in_child(try_tun) : errno;

	ret->ok = opens && (e == 0 || e == NO_NAMESPACE);
	if (!opens)
		ret->found = g_strdup_printf("cannot open " TUN_DEVICE ": %s", g_strerror(e));
	else if (ret->ok)
		ret->found = g_strdup(e ? TUN_DEVICE " can be opened; a tap was not tried, for want of a namespace" : TUN_DEVICE " makes a tap");
	else
		ret->found = g_strdup_printf(TUN_DEVICE " can be opened, but makes no tap (TUNSETIFF): %s",
					     e == 255 ? "the attempt was killed" : g_strerror(e));
	ret->remedy = probe_tap_remedy(e);
}

static void probe_userns(struct probe_result *ret)
{
	int e = in_child(try_namespaces);

	ret->ok = e == 0;
	ret->found = ret->ok ? g_strdup("user, mount and network namespace were made") :
			       g_strdup_printf("cannot make a user namespace: %s", e == 255 ? "the attempt was killed" : g_strerror(e));
	ret->remedy = probe_userns_remedy(e);
}

static void probe_offload(struct probe_result *ret)
{
	int can = in_child(try_tap);

	ret->ok = can & 1 && can < 128;
	if (ret->ok)
		ret->found = g_strdup_printf("virtio-net headers, checksum and TCP segmentation%s", can & 2 ? ", UDP segmentation" : "");
	else
		ret->found = g_strdup(can >= 128 ? "no tap could be made to try" : "the tap takes no offload");
	ret->remedy = can >= 128 ? "the remedies above" : "a kernel with TUNSETOFFLOAD";
}

static void probe_resolv(struct probe_result *ret)
{
	struct addr servers[8];
	int n = resolv_servers("/etc/resolv.conf", servers, G_N_ELEMENTS(servers));

	ret->ok = n > 0;
	if (n < 0)
		ret->found = g_strdup_printf("cannot read /etc/resolv.conf: %s", g_strerror(-n));
	else
		ret->found = g_strdup_printf("%d in /etc/resolv.conf", n);
	ret->remedy = "a nameserver line in /etc/resolv.conf, or slirpgate run --dns ADDR";
}

static void probe_ipv6(struct probe_result *ret)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ret->ok = fd >= 0;
	ret->found = g_strdup(ret->ok ? "the kernel has IPv6 sockets" : "the kernel has no IPv6 sockets");
	ret->remedy = "boot without ipv6.disable=1";
	if (fd >= 0)
		close(fd);
}

static void probe_ping(struct probe_result *ret)
{
	static const char path[] = "/proc/sys/net/ipv4/ping_group_range";
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
	g_autofree char *range = NULL;

	ret->ok = fd >= 0;
	if (fd >= 0)
		close(fd);
	if (g_file_get_contents(path, &range, NULL, NULL))
		g_strdelimit(g_strchomp(range), "\t", ' ');
	ret->found = g_strdup_printf("net.ipv4.ping_group_range is \"%s\"", range ? range : "?");
	ret->remedy = "as root: sysctl net.ipv4.ping_group_range=\"0 2147483647\"";
}

static void probe_descriptors(struct probe_result *ret)
{
	struct rlimit r = { 0 };
	unsigned long long flows;

	getrlimit(RLIMIT_NOFILE, &r);
	flows = r.rlim_max > FD_RESERVE ? MIN(r.rlim_max - FD_RESERVE, FLOWS_MAX) : 0;
	ret->ok = flows >= FLOWS_SANE;
	ret->found = g_strdup_printf("soft %llu, raised to hard %llu: %llu TCP connections at a time", (unsigned long long)r.rlim_cur,
				     (unsigned long long)r.rlim_max, flows);
	ret->remedy = "raise the hard limit (ulimit -Hn, or nofile in /etc/security/limits.conf)";
}

static void probe_kernel(struct probe_result *ret)
{
	struct utsname u;

	ret->ok = uname(&u) == 0;
	ret->found = g_strdup_printf("%s %s", ret->ok ? u.sysname : "?", ret->ok ? u.release : "?");
	ret->remedy = "Linux";
}

/* Whether a socket of that kind takes the option. */
static bool takes(int family, int type, int level, int option, int value)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && setsockopt(fd, level, option, &value, sizeof(value)) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

static void probe_peek(struct probe_result *ret)
{
	bool v4 = takes(AF_INET, SOCK_STREAM, SOL_SOCKET, SO_PEEK_OFF, 0);
	bool v6 = takes(AF_INET6, SOCK_STREAM, SOL_SOCKET, SO_PEEK_OFF, 0);

	ret->ok = v4 && v6;
	ret->found = g_strdup_printf("SO_PEEK_OFF on TCP sockets: IPv4 %s, IPv6 %s", v4 ? "yes" : "no", v6 ? "yes" : "no");
	ret->remedy = "a newer kernel (Linux 6.9 for IPv4, a later one for IPv6)";
}

static void probe_udp(struct probe_result *ret)
{
	bool gso = takes(AF_INET, SOCK_DGRAM, IPPROTO_UDP, UDP_SEGMENT, 1200);
	bool gro = takes(AF_INET, SOCK_DGRAM, IPPROTO_UDP, UDP_GRO, 1);

	ret->ok = gso && gro;
	ret->found = g_strdup_printf("UDP_SEGMENT %s, UDP_GRO %s", gso ? "yes" : "no", gro ? "yes" : "no");
	ret->remedy = "Linux 5.0";
}

const struct probe probe_list[] = {
	{ "kernel", true, NULL, probe_kernel },
	{ "tun device", true, NULL, probe_tun },
	{ "namespaces", true, NULL, probe_userns },
	{ "tap offload", false, "segments are cut and summed by the CPU", probe_offload },
	{ "descriptors", false, "connections beyond that are refused", probe_descriptors },
	{ "name servers", false, "names are not resolved", probe_resolv },
	{ "IPv6", false, "the guest's IPv6 connections are refused", probe_ipv6 },
	{ "ping sockets", false, "the guest's pings to the outside are refused (administratively prohibited); the gateway itself answers", probe_ping },
	{ "TCP peek offset", false, "bytes in flight are read twice", probe_peek },
	{ "UDP offload", false, "one system call per datagram", probe_udp },
	{ NULL, false, NULL, NULL },
};
