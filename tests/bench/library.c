/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * library.c - bench-library: a libslirp.so.0, whosever, measured from inside.
 *
 *     bench-library -l FILE -m MTU -p PORT -k PORTS -t MS -w MS PHASE...
 *
 * Loads FILE by dlopen() and lends it a loop as QEMU's: pollfds_fill, poll,
 * pollfds_poll, then the guest's turn, whose frames go in by slirp_input().
 * The far side is a server of bench-traffic on the host's loopback, which the
 * guest reaches as 10.0.2.2.  Phases, one after the other in one process:
 *
 *     tx, rx      one stream, guest to host or host to guest
 *     rr          one byte to and fro, one in flight
 *     crr-N       connect, one byte, one byte back, the guest closes; N at once
 *     idle-N      opens N connections and keeps them, measures what they cost
 *
 * Every phase answers in lines of JSON: {"begin"} when the warm-up is over (not
 * idle), then its figures.  `frames` to the guest per ACK or call are the guest's.
 */
#include "gateway/doors/include/slirp/libslirp.h"
#include "tests/bench/library.h"

#include <dirent.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	SAMPLES = 1 << 22,
	OPEN_AHEAD = 32,		/* connections being opened at once */
	OPEN_MS = 30000,
	SETTLE_MS = 500,		/* after crr and idle, before descriptors are counted */
	POLLS = 16384,
	PROBE_MS = 1,			/* a kernel would wait for 200 */
};

static struct {
	Slirp *(*new)(const SlirpConfig *, const SlirpCb *, void *);
	void (*fill)(Slirp *, uint32_t *, SlirpAddPollCb, void *);
	void (*poll)(Slirp *, int, SlirpGetREventsCb, void *);
	void (*input)(Slirp *, const uint8_t *, int);
	const char *(*version)(void);
} lib;

static Slirp *slirp;
static struct pollfd polls[POLLS];
static int n_polls;
static uint64_t notified, turns;
static int64_t warmup_ns, measure_ns;

static char phase;			/* the letter of its connections; 0: none */
static bool measuring;
static struct peer *streamer;		/* of tx, rx, rr */
static bool has_room;			/* tx: it could have sent more */
static int in_flight;
static uint64_t done, failed;
static uint32_t *samples;
static size_t n_samples;
static int opening, idle_up;

static void die(const char *what)
{
	fprintf(stderr, "bench-library: %s\n", what);
	exit(1);
}

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* ---- what the library asks of an application */

static ssize_t cb_send(const void *frame, size_t len, void *opaque)
{
	guest_frame(frame, len);
	return len;
}

static void cb_error(const char *msg, void *opaque)
{
	fprintf(stderr, "bench-library: guest error: %s\n", msg);
}

static int64_t cb_clock(void *opaque)
{
	return now_ns();
}

static void *cb_timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
	return &slirp;			/* of router advertisements: there is no IPv6 */
}

static void cb_timer_free(void *timer, void *opaque)
{
}

static void cb_timer_mod(void *timer, int64_t expire, void *opaque)
{
}

static void cb_fd(int fd, void *opaque)
{
}

static void cb_notify(void *opaque)
{
	notified++;
}

static int add_poll(int fd, int events, void *opaque)
{
	if (n_polls == POLLS)
		die("too many descriptors");
	polls[n_polls].fd = fd;
	polls[n_polls].events = (events & SLIRP_POLL_IN ? POLLIN : 0) | (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
				(events & SLIRP_POLL_PRI ? POLLPRI : 0);
	return n_polls++;
}

static int get_revents(int i, void *opaque)
{
	int r = polls[i].revents;

	return (r & POLLIN ? SLIRP_POLL_IN : 0) | (r & POLLOUT ? SLIRP_POLL_OUT : 0) | (r & POLLPRI ? SLIRP_POLL_PRI : 0) |
	       (r & POLLERR ? SLIRP_POLL_ERR : 0) | (r & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static void guest_input(const uint8_t *frame, int len)
{
	lib.input(slirp, frame, len);
}

static void *symbol(void *so, const char *name)
{
	void *p = dlsym(so, name);

	if (!p)
		die(dlerror());
	return p;
}

static void load(const char *path, uint32_t mtu)
{
	static const SlirpCb cb = {
		.send_packet = cb_send, .guest_error = cb_error, .clock_get_ns = cb_clock,
		.timer_new = cb_timer_new, .timer_free = cb_timer_free, .timer_mod = cb_timer_mod,
		.register_poll_fd = cb_fd, .unregister_poll_fd = cb_fd, .notify = cb_notify,
	};
	SlirpConfig cfg = {
		.version = 1, .in_enabled = true, .if_mtu = mtu, .if_mru = mtu,
		.vnetwork.s_addr = inet_addr("10.0.2.0"), .vnetmask.s_addr = inet_addr("255.255.255.0"),
		.vhost.s_addr = inet_addr("10.0.2.2"), .vdhcp_start.s_addr = inet_addr("10.0.2.15"),
		.vnameserver.s_addr = inet_addr("10.0.2.3"),
	};
	void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!so)
		die(dlerror());
	lib.new = symbol(so, "slirp_new");
	lib.fill = symbol(so, "slirp_pollfds_fill");
	lib.poll = symbol(so, "slirp_pollfds_poll");
	lib.input = symbol(so, "slirp_input");
	lib.version = symbol(so, "slirp_version_string");
	slirp = lib.new(&cfg, &cb, NULL);
	if (!slirp)
		die("slirp_new failed");
}

/* ---- what the guest does */

static void sampled(struct peer *p)
{
	int64_t now = now_ns();

	if (measuring) {
		done++;
		if (n_samples < SAMPLES)
			samples[n_samples++] = now - p->start;
	}
	p->start = now;
}

/* The first byte, which names the kind. */
static void ask(struct peer *p)
{
	p->asked = peer_send(p, 1);
}

static void event_rr(struct peer *p)
{
	if (!p->got)
		return;
	sampled(p);
	p->got = 0;
	peer_send(p, 1);
}

static void event_crr(struct peer *p)
{
	if (!p->got || p->fin_sent)
		return;
	sampled(p);
	peer_fin(p);
	in_flight--;
}

static void event_idle(struct peer *p)
{
	if (p->got != 1)
		return;
	p->got++;
	opening--;
	idle_up++;
}

static void on_event(struct peer *p)
{
	if (p->state != PEER_UP)
		return;
	if (p->kind == 'T')
		has_room = p == streamer;
	else if (!p->asked)
		ask(p);
	else if (p->kind == 'E')
		event_rr(p);
	else if (p->kind == 'C')
		event_crr(p);
	else if (p->kind == 'I')
		event_idle(p);
}

static void turn(int64_t until)
{
	int64_t left = (until - now_ns()) / 1000000;
	uint32_t timeout = has_room || guest.todo ? 0 : left > 0 ? left : 0;
	bool shut = streamer && phase == 'T' && peer_is_shut(streamer);
	int n;

	if (shut && timeout > PROBE_MS)
		timeout = PROBE_MS;
	n_polls = 0;
	turns++;
	lib.fill(slirp, &timeout, add_poll, NULL);
	n = poll(polls, n_polls, timeout);
	lib.poll(slirp, n < 0, get_revents, NULL);
	guest_turn();
	if (shut && peer_is_shut(streamer))
		peer_probe(streamer);
	if (has_room)
		has_room = peer_stream(streamer);
}

static void run_for(int64_t ns)
{
	int64_t until = now_ns() + ns;

	while (now_ns() < until)
		turn(until);
}

/* ---- accounts */

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = -3;			/* ., .. and d itself */

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static long memory_kib(void)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile(double share)
{
	return n_samples ? samples[(size_t)(share * (n_samples - 1))] / 1e3 : 0;
}

static void report(const char *name, int64_t ns, double cpu, uint64_t bytes, uint64_t turned, int files)
{
	qsort(samples, n_samples, sizeof(*samples), by_size);
	printf("{\"phase\":\"%s\",\"seconds\":%.6f,\"cpu\":%.6f,\"bytes\":%" PRIu64 ",\"transactions\":%" PRIu64
	       ",\"failed\":%" PRIu64 ",\"p50_us\":%.2f,\"p99_us\":%.2f,\"files_left\":%d,\"turns\":%" PRIu64
	       ",\"notified\":%" PRIu64 ",\"frames_in\":%" PRIu64 ",\"frames_out\":%" PRIu64 ",\"resent\":%" PRIu64
	       ",\"probes\":%" PRIu64
	       ",\"disorder\":%" PRIu64 ",\"bad\":%" PRIu64 ",\"mss\":%u,\"scaled\":%d}\n",
	       name, ns / 1e9, cpu, bytes, done, failed, percentile(0.5), percentile(0.99), files, turns - turned, notified,
	       guest.frames_in, guest.frames_out, guest.resent, guest.probes, guest.disorder, guest.bad, streamer ? streamer->mss : 0,
	       streamer ? streamer->scaled : 0);
	fflush(stdout);
}

/* ---- phases */

static void crr_for(int64_t ns, int count)
{
	int64_t until = now_ns() + ns;

	while (now_ns() < until) {
		while (in_flight < count) {
			peer_open('C');
			in_flight++;
		}
		turn(until);
	}
}

static void measure(const char *name, int count)
{
	uint64_t bytes, turned;
	int files = descriptors();
	int64_t start;
	double cpu;

	if (phase != 'C')
		streamer = peer_open(phase);
	phase == 'C' ? crr_for(warmup_ns, count) : run_for(warmup_ns);
	printf("{\"begin\":1}\n");
	fflush(stdout);
	measuring = true;
	done = failed = n_samples = 0;
	failed -= guest.refused;
	turned = turns;
	bytes = phase == 'C' ? 0 : phase == 'T' ? streamer->una : streamer->got;
	start = now_ns();
	cpu = cpu_seconds();
	phase == 'C' ? crr_for(measure_ns, count) : run_for(measure_ns);
	start = now_ns() - start;
	cpu = cpu_seconds() - cpu;
	measuring = false;
	failed += guest.refused;
	if (phase == 'T')
		bytes = 0;	/* the server's mark counts */
	else if (phase == 'R')
		bytes = streamer->got - bytes;
	if (phase == 'C')
		run_for(SETTLE_MS * INT64_C(1000000));
	report(name, start, cpu, bytes, turned, descriptors() - files);
	has_room = false;
	if (phase != 'C')
		peer_reset(streamer);
	streamer = NULL;
	run_for(100 * 1000 * 1000);
}

static void hold_idle(int count)
{
	int64_t start = now_ns(), until = start + OPEN_MS * INT64_C(1000000), took;
	long kib = memory_kib();
	int files = descriptors(), opened = 0;
	double cpu;

	while (idle_up < count && now_ns() < until) {
		for (; opening < OPEN_AHEAD && opened < count; opening++, opened++)
			peer_open('I');
		turn(until);
	}
	took = now_ns() - start;
	if (!idle_up)
		die("no connection came up");
	run_for(SETTLE_MS * INT64_C(1000000));
	kib = memory_kib() - kib;
	files = descriptors() - files;
	cpu = cpu_seconds();
	run_for(1000 * 1000 * 1000);
	printf("{\"phase\":\"idle\",\"held\":%d,\"seconds\":%.3f,\"kib\":%ld,\"files\":%d,\"cpu\":%.6f}\n", idle_up, took / 1e9, kib,
	       files, cpu_seconds() - cpu);
	fflush(stdout);
}

static void run_phase(const char *name)
{
	const char *dash = strchr(name, '-');
	int count = dash ? atoi(dash + 1) : 1;

	if (!strncmp(name, "idle", 4)) {
		hold_idle(count);
		return;
	}
	phase = !strcmp(name, "tx") ? 'T' : !strcmp(name, "rx") ? 'R' : !strcmp(name, "rr") ? 'E' : !strncmp(name, "crr", 3) ? 'C' : 0;
	if (!phase)
		die("no such phase");
	measure(name, count);
}

int main(int argc, char **argv)
{
	const char *path = NULL;
	uint32_t mtu = 1500;
	int port = 0, ports = 1, o;

	while ((o = getopt(argc, argv, "l:m:p:k:t:w:")) != -1) {
		switch (o) {
		case 'l': path = optarg; break;
		case 'm': mtu = atoi(optarg); break;
		case 'p': port = atoi(optarg); break;
		case 'k': ports = atoi(optarg); break;
		case 't': measure_ns = atoi(optarg) * INT64_C(1000000); break;
		case 'w': warmup_ns = atoi(optarg) * INT64_C(1000000); break;
		default: return 2;
		}
	}
	if (!path || !port || optind == argc || mtu < 576 || mtu > 65521)
		die("usage: -l FILE -m MTU -p PORT -k PORTS -t MS -w MS PHASE...");
	samples = malloc(SAMPLES * sizeof(*samples));
	if (!samples)
		die("no memory");
	memset(samples, 0, SAMPLES * sizeof(*samples));	/* not to be counted as a connection's */
	load(path, mtu);
	printf("{\"ready\":1,\"version\":\"%s\"}\n", lib.version());
	fflush(stdout);
	guest_begin(mtu, port, ports, guest_input, on_event);
	for (; optind < argc; optind++)
		run_phase(argv[optind]);
	return 0;
}
