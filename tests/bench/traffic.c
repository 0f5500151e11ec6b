/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * traffic.c - the load of the bench: one server, and clients of several kinds.
 *
 * What it is: client and server of every timed row, on plain TCP sockets and
 * one epoll instance.  Here are the options, the namespaces and what both ends
 * share; the ends are traffic_server.c and traffic_client.c.  It knows nothing
 * of gateways; bench.py puts one between the two ends.  What it is not: a general tool, each mode does what one row
 * needs and nothing more.
 *
 * The first byte of a connection names its kind, so that one server port
 * carries all of them:
 *
 *   'T'  tx    client sends, server reads and counts
 *   'R'  rx    server sends, client reads and counts
 *   'E'  rr    every byte comes back, one in flight per connection
 *   'C'  crr   one byte, one byte back, then the client closes
 *   'S'  crrs  the same, but the server closes
 *   'I'  idle  one byte back as a receipt, then silence
 *
 * Bytes are counted where they are received.  A receiving process (the server
 * for tx, the client for rx) answers the line "mark" on stdin with one line of
 * JSON: its clock and its counters; two marks give a rate over a window in
 * which nothing starts or ends.  A tx client also asks for a receipt: it closes
 * its sending side at the end and the server answers with the bytes it counted
 * and the time it took for them.
 *
 * Datagrams and names have modes of their own: traffic_dgram.c, traffic_dns.c.
 *
 * Every client prints {"ready":N} when its connections stand, and one line of
 * JSON at the end.  The end of stdin ends any of them.
 */
#include "tests/bench/traffic.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct options opt = { .port = 5301, .ports = 1, .count = 1, .batch = 1 };
int ep = -1;
static char *chunk;
uint64_t bytes_in, bytes_out, accepted, exchanges, failed;
static struct conn *dead;
char last_error[128];
bool stdin_over;
char used_cc[16] = "?";


int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

void die(const char *what)
{
	fprintf(stderr, "bench-traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

void note_failure(const char *what)
{
	failed++;
	snprintf(last_error, sizeof(last_error), "%s: %s", what, strerror(errno));
}

static void raise_descriptors(void)
{
	struct rlimit rl;

	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static bool same_namespace(pid_t pid, const char *kind)
{
	struct stat mine, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	if (stat(path, &mine))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	return !stat(path, &theirs) && mine.st_ino == theirs.st_ino;
}

static int open_namespace(pid_t pid, const char *kind)
{
	char path[64];
	int fd;

	if (same_namespace(pid, kind))
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

/* A namespace without a root: let a command run by "exec" have our rights. */
static void keep_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, caps))
		die("capget");
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		caps[i].inheritable = caps[i].permitted;
	if (syscall(SYS_capset, &head, caps))
		die("capset");
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
}

/* Both are opened first: after the first setns() /proc may be out of reach. */
static void enter_namespaces(pid_t pid)
{
	int user = open_namespace(pid, "user");
	int net = open_namespace(pid, "net");

	if (user >= 0) {
		if (setns(user, CLONE_NEWUSER))
			die("setns user");
		if (setresgid(0, 0, 0) || setresuid(0, 0, 0))
			keep_capabilities();
		close(user);
	}
	if (net >= 0) {
		if (setns(net, CLONE_NEWNET))
			die("setns net");
		close(net);
	}
}

void watch(int fd, uint32_t events, void *what)
{
	struct epoll_event e = { .events = events, .data.ptr = what };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
		die("epoll_ctl");
}

void rewatch(struct conn *c, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = c };

	epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}

void conn_tune(struct conn *c)
{
	int one = 1;

	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (opt.cc)
		setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, opt.cc,
			   strlen(opt.cc));
}

/* Events of this turn may still point here: free at the end of the turn. */
void conn_close(struct conn *c)
{
	if (c->fd < 0)
		return;
	close(c->fd);
	c->fd = -1;
	c->next_dead = dead;
	dead = c;
}

void bury(void)
{
	while (dead) {
		struct conn *c = dead;

		dead = c->next_dead;
		free(c);
	}
}

static void print_mark(void)
{
	printf("{\"t\":%" PRId64 ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64
	       ",\"accepted\":%" PRIu64 ",\"exchanges\":%" PRIu64
	       ",\"failed\":%" PRIu64 ",\"cc\":\"%s\"}\n",
	       now_ns(), bytes_in, bytes_out, accepted, exchanges, failed, used_cc);
	fflush(stdout);
}

void read_stdin(void)
{
	char line[256];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line));

	if (n <= 0) {
		stdin_over = true;
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		if (line[i] == '\n')
			print_mark();
}

/* Regular files and /dev/null cannot be polled: then only time ends the run. */
void watch_stdin(void)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, STDIN_FILENO, &e) && errno != EPERM)
		die("epoll_ctl stdin");
}

/* ---- streams, both ends ---- */

/* True if the other side has closed or the connection failed. */
bool stream_read(struct conn *c, int64_t now)
{
	for (int i = 0; i < STREAM_STEPS; i++) {
		ssize_t n = recv(c->fd, chunk, CHUNK, MSG_DONTWAIT);

		if (n < 0)
			return errno != EAGAIN;
		if (n == 0)
			return true;
		c->bytes += n;
		c->last = now;
		bytes_in += n;
		if (n < CHUNK)
			break;
	}
	return false;
}

bool stream_write(struct conn *c)
{
	for (int i = 0; i < STREAM_STEPS; i++) {
		size_t want = CHUNK;
		ssize_t n;

		if (opt.bytes && opt.bytes - c->bytes < want)
			want = opt.bytes - c->bytes;
		if (!want)
			return false;
		n = send(c->fd, chunk, want, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno != EAGAIN;
		c->bytes += n;
		bytes_out += n;
		if ((size_t)n < want)
			break;
	}
	return false;
}

/* ---- small helpers for bench.py ---- */

/* Keep a namespace alive.  The token lets bench.py find this process. */
static _Noreturn void run_hold(bool fresh_user, bool fresh_net)
{
	if (fresh_user && unshare(CLONE_NEWUSER))
		die("unshare user");
	if (fresh_net && unshare(CLONE_NEWNET))
		die("unshare net");
	printf("{\"ready\":1}\n");
	fflush(stdout);
	for (;;)
		pause();
}

/* Somebody else who wants the CPU, all of it. */
static _Noreturn void run_spin(void)
{
	printf("{\"ready\":1}\n");
	fflush(stdout);
	for (;;)
		__asm__ volatile("");
}

static void usage(void)
{
	fputs("usage: bench-traffic [OPTIONS] MODE\n"
	      "modes: server | tx | rx | rr | crr | crrs | idle   load\n"
	      "       usink | utx | usource | urx                 datagrams\n"
	      "       dnsserver | dns | dnskept                   names\n"
	      "       hold TOKEN      keep the namespaces of this process alive\n"
	      "       exec COMMAND... run a command in the namespaces given\n"
	      "       spin            use up the CPU\n"
	      "  -N PID   enter the user and network namespace of PID first\n"
	      "  -c CPU   run on this CPU only\n"
	      "  -h ADDR  server address    -p PORT  server port\n"
	      "  -k N     that many ports: the server listens, crr rotates\n"
	      "  -n N     streams, connections or exchanges in flight\n"
	      "  -w MS    warm-up, not counted   -t MS  time measured\n"
	      "  -b BYTES per stream, instead of a time\n"
	      "           datagrams: size of one;  -m N  of them per system call\n"
	      "  -g       datagrams: by UDP_SEGMENT\n"
	      "  -C NAME  congestion control\n"
	      "  -u, -U   hold: in a new network, user namespace\n", stderr);
	exit(2);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

/* The modes that need no address to go to; -1: none of them. */
static int run_host_side(const char *mode)
{
	if (!strcmp(mode, "server"))
		return run_server();
	if (!strcmp(mode, "usink"))
		return run_dgram_sink();
	if (!strcmp(mode, "usource"))
		return run_dgram_source();
	if (!strcmp(mode, "dnsserver"))
		return run_dns_server();
	return -1;
}

static int run_load(const char *mode)
{
	int r;

	ep = epoll_create1(EPOLL_CLOEXEC);
	chunk = malloc(CHUNK);
	if (ep < 0 || !chunk)
		die("start");
	memset(chunk, 'x', CHUNK);
	r = run_host_side(mode);
	if (r >= 0)
		return r;
	if (!opt.host)
		usage();
	find_target();
	if (!strcmp(mode, "tx"))
		return run_stream('T');
	if (!strcmp(mode, "rx"))
		return run_stream('R');
	if (!strcmp(mode, "rr"))
		return run_latency('E');
	if (!strcmp(mode, "crr"))
		return run_latency('C');
	if (!strcmp(mode, "crrs"))
		return run_latency('S');
	if (!strcmp(mode, "idle"))
		return run_idle();
	if (!strcmp(mode, "utx"))
		return run_dgram_send();
	if (!strcmp(mode, "urx"))
		return run_dgram_receive();
	if (!strcmp(mode, "dns") || !strcmp(mode, "dnskept"))
		return run_dns(!mode[3]);
	usage();
	return 2;
}

int main(int argc, char **argv)
{
	bool fresh_net = false, fresh_user = false;
	int o;

	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	while ((o = getopt(argc, argv, "+N:c:h:p:k:n:w:t:b:m:C:guU")) != -1) {
		switch (o) {
		case 'N': enter_namespaces(atoi(optarg)); break;
		case 'c': pin(atoi(optarg)); break;
		case 'h': opt.host = optarg; break;
		case 'p': opt.port = atoi(optarg); break;
		case 'k': opt.ports = atoi(optarg); break;
		case 'n': opt.count = atoi(optarg); break;
		case 'w': opt.warmup = atoi(optarg) * 1000000LL; break;
		case 't': opt.duration = atoi(optarg) * 1000000LL; break;
		case 'b': opt.bytes = strtoull(optarg, NULL, 10); break;
		case 'm': opt.batch = atoi(optarg); break;
		case 'g': opt.segment = true; break;
		case 'C': opt.cc = optarg; break;
		case 'u': fresh_net = true; break;
		case 'U': fresh_user = true; break;
		default: usage();
		}
	}
	if (optind >= argc || opt.ports < 1 || opt.ports > PORTS_MAX ||
	    opt.count < 1)
		usage();
	if (!strcmp(argv[optind], "hold"))
		run_hold(fresh_user, fresh_net);
	if (!strcmp(argv[optind], "spin"))
		run_spin();
	if (!strcmp(argv[optind], "exec") && argv[optind + 1]) {
		execvp(argv[optind + 1], argv + optind + 1);
		die(argv[optind + 1]);
	}
	return run_load(argv[optind]);
}
