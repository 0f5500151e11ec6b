/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * impair.c - a bad wire: loss, damage, duplicates, disorder, delay, jitter and
 * a rate, for each direction by itself.
 *
 * What it is: two packet sockets, one on the gateway's tap and one on a veth
 * whose other end is the guest.  The end-to-end tests and the bench use it, as
 * a kernel need not have netem.  What happens to the frame number k of a
 * direction follows from the seed and k alone.
 *
 * Only TCP and UDP over IP are harmed: ARP and neighbour discovery would fail
 * for good after three losses, and are not what is tested.  Super-frames are
 * cut into what a wire carries first, so that "1 %" means segments; a direction
 * with nothing but a delay, or with the word "whole", keeps them.
 *
 * What it is not: an emulator of networks.  It has no AQM, and it is honest
 * about what its own sockets lost: "overrun" and "unsent" in the report.
 *
 * SIGUSR1 freezes the wire (all frames vanish), SIGUSR2 thaws it; SIGTERM ends
 * it with a line of JSON that counts what it did.
 */
#include "tests/impair/impair_frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	FRAME_MAX = FRAME_HDR + ETH_HLEN + 65535 + 64,
	BATCH = 32,
	SOCKET_BUFFER = 32 << 20,	/* asked for; the kernel caps it */
	LATE_FRAMES = 8,		/* reorder: overtaken by 1 to so many */
	LATE_NS = 20 * 1000000,		/* and by time at the end of a burst */
	QUEUE = 1000,			/* rate: frames that wait, default */
};

/* What is decided about a frame; each draws its own number. */
enum decision { LOSS, DUP, REORDER, CORRUPT, DECISIONS, JITTER = DECISIONS, BIT, DEPTH };

static const char *const names[DECISIONS] = { "loss", "dup", "reorder", "corrupt" };

struct frame {
	struct frame *next;
	int64_t due;		/* ns */
	unsigned overtakers;	/* late: so many frames go first */
	size_t len;
	uint8_t data[];
};

/* One direction. */
struct way {
	double chance[DECISIONS];	/* 0 to 1 */
	int64_t delay, jitter;		/* ns */
	double rate;			/* ns per byte, 0: as it comes */
	unsigned limit;			/* frames that may wait for the rate */
	bool whole;			/* super-frames are not cut */
	uint64_t seed;
	int from, to;
	struct frame *first, **last;	/* in order of sending */
	struct frame *late;
	unsigned queued;
	int64_t last_due, free_at;
	uint64_t frames;		/* that could be harmed */
	unsigned long done[DECISIONS], overflow, frozen, unsent;
};

static struct mmsghdr msgs[BATCH];
static struct iovec iovs[BATCH];
static uint8_t scratch[FRAME_MAX];
static volatile sig_atomic_t over, frozen;
static int64_t now;			/* of this turn */

static void die(const char *what)
{
	fprintf(stderr, "impair: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* ---- namespaces and sockets ---- */

static int open_ns(pid_t pid, const char *kind)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

/* Entering the user namespace one is in is refused: then there is no need. */
static void enter(pid_t pid)
{
	struct stat mine, theirs;
	int user = open_ns(pid, "user"), net = open_ns(pid, "net");

	if (stat("/proc/self/ns/user", &mine) || fstat(user, &theirs))
		die("stat");
	if (mine.st_ino != theirs.st_ino && setns(user, CLONE_NEWUSER))
		die("setns user");
	if (setns(net, CLONE_NEWNET))
		die("setns net");
	close(user);
	close(net);
}

static int open_interface(const char *name)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int one = 1, size = SOCKET_BUFFER;
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(name),
	};
	struct packet_mreq all = {
		.mr_ifindex = at.sll_ifindex,
		.mr_type = PACKET_MR_PROMISC,
	};

	if (fd < 0 || !at.sll_ifindex)
		die(name);
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)))
		die("PACKET_VNET_HDR");
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)))
		die("PACKET_IGNORE_OUTGOING");
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)))
		die("promiscuous mode");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)))
		die("bind");
	return fd;
}

/* ---- one frame ---- */

/* A number that follows from seed, frame and purpose alone (splitmix64). */
static uint64_t draw(const struct way *w, unsigned purpose)
{
	uint64_t x = w->seed + (w->frames * 16 + purpose + 1) * 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static bool happens(struct way *w, enum decision d)
{
	bool yes = (draw(w, d) >> 11) * 0x1p-53 < w->chance[d];

	w->done[d] += yes;
	return yes;
}

static struct frame *new_frame(const uint8_t *data, size_t len)
{
	struct frame *f = malloc(sizeof(*f) + len);

	if (!f)
		die("malloc");
	f->next = NULL;
	f->len = len;
	memcpy(f->data, data, len);
	return f;
}

/* Behind all others; jitter and rate delay it, but keep the order. */
static void append(struct way *w, struct frame *f)
{
	f->due = now + w->delay;
	if (w->jitter)
		f->due += draw(w, JITTER) % w->jitter;
	if (f->due < w->last_due)
		f->due = w->last_due;
	if (w->rate > 0) {
		if (w->queued >= w->limit) {
			w->overflow++;
			free(f);
			return;
		}
		if (f->due < w->free_at)
			f->due = w->free_at;
		w->free_at = f->due + (int64_t)(w->rate * (f->len - FRAME_HDR));
	}
	w->last_due = f->due;
	w->queued++;
	*w->last = f;
	w->last = &f->next;
}

/* The late ones whose overtakers have gone, or whose time is over. */
static void let_late(struct way *w, unsigned passed)
{
	struct frame **p = &w->late;

	while (*p) {
		struct frame *f = *p;

		f->overtakers -= f->overtakers < passed ? f->overtakers : passed;
		if (f->overtakers && f->due > now) {
			p = &f->next;
			continue;
		}
		*p = f->next;
		f->next = NULL;
		append(w, f);
	}
}

static void impair_one(void *arg, uint8_t *data, size_t len)
{
	struct way *w = arg;
	struct frame *f;

	w->frames++;
	if (happens(w, LOSS)) {
		let_late(w, 1);
		return;
	}
	f = new_frame(data, len);
	if (happens(w, DUP))
		append(w, new_frame(data, len));
	if (happens(w, CORRUPT))
		frame_corrupt(f->data, len, draw(w, BIT));
	if (happens(w, REORDER)) {
		f->overtakers = 1 + draw(w, DEPTH) % LATE_FRAMES;
		f->due = now + LATE_NS;
		let_late(w, 1);
		f->next = w->late;
		w->late = f;
		return;
	}
	append(w, f);
	let_late(w, 1);
}

/* ---- both directions ---- */

static int receive(int fd)
{
	for (int i = 0; i < BATCH; i++)
		iovs[i].iov_len = FRAME_MAX;
	return recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);
}

/* A direction without any impairment: as fast as it goes. */
static void pass(struct way *w, int n)
{
	int sent = 0;

	for (int i = 0; i < n; i++)
		iovs[i].iov_len = msgs[i].msg_len;
	while (sent < n) {
		int r = sendmmsg(w->to, msgs + sent, n - sent, 0);

		if (r > 0) {
			sent += r;
			continue;
		}
		w->unsent++;		/* this one cannot pass, the next may */
		sent++;
	}
}

static bool harms(const struct way *w)
{
	for (int d = 0; d < DECISIONS; d++)
		if (w->chance[d] > 0)
			return true;
	return false;
}

static bool is_clean(const struct way *w)
{
	return !harms(w) && !w->delay && !w->jitter && w->rate <= 0;
}

static void take(struct way *w)
{
	int n = receive(w->from);
	bool clean = is_clean(w), whole = w->whole || (!harms(w) && w->rate <= 0);

	if (frozen && n > 0) {
		w->frozen += n;
		return;
	}
	if (clean) {
		pass(w, n);
		return;
	}
	for (int i = 0; i < n; i++) {
		uint8_t *data = iovs[i].iov_base;
		size_t len = msgs[i].msg_len;

		if (!frame_is_transport(data, len))
			append(w, new_frame(data, len));
		else if (whole)
			impair_one(w, data, len);
		else
			frame_split(data, len, scratch, impair_one, w);
	}
}

static void release(struct way *w)
{
	let_late(w, 0);
	while (w->first && w->first->due <= now) {
		struct frame *f = w->first;

		if (send(w->to, f->data, f->len, 0) < 0)
			w->unsent++;
		w->first = f->next;
		if (!w->first)
			w->last = &w->first;
		w->queued--;
		free(f);
	}
}

static int64_t next_due(const struct way *w, int64_t due)
{
	if (w->first && w->first->due < due)
		due = w->first->due;
	for (const struct frame *f = w->late; f; f = f->next)
		if (f->due < due)
			due = f->due;
	return due;
}

static void loop(struct way *down, struct way *up)
{
	struct pollfd p[2] = {
		{ .fd = down->from, .events = POLLIN },
		{ .fd = up->from, .events = POLLIN },
	};

	while (!over) {
		int64_t due = next_due(up, next_due(down, INT64_MAX));
		struct timespec wait = { 0 };
		int64_t left = due - now_ns();

		if (left > 0) {
			wait.tv_sec = left / 1000000000;
			wait.tv_nsec = left % 1000000000;
		}
		if (ppoll(p, 2, due < INT64_MAX ? &wait : NULL, NULL) < 0)
			continue;
		now = now_ns();
		if (p[1].revents)
			take(up);
		if (p[0].revents)
			take(down);
		release(up);
		release(down);
	}
}

/* ---- options, signals, report ---- */

static void on_signal(int sig)
{
	if (sig == SIGTERM)
		over = 1;
	else
		frozen = sig == SIGUSR1;
}

static void handle_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static bool set_word(struct way *w, const char *key, double value)
{
	for (int d = 0; d < DECISIONS; d++) {
		if (!strcmp(key, names[d])) {
			w->chance[d] = value / 100;
			return value >= 0 && value <= 100;
		}
	}
	if (!strcmp(key, "delay"))
		w->delay = value * 1000;
	else if (!strcmp(key, "jitter"))
		w->jitter = value * 1000;
	else if (!strcmp(key, "rate") && value > 0)
		w->rate = 8000 / value;		/* ns per byte at so many Mbit/s */
	else if (!strcmp(key, "queue"))
		w->limit = value;
	else if (!strcmp(key, "whole"))
		w->whole = true;
	else
		return false;
	return value >= 0;
}

static void parse_way(struct way *w, char *text)
{
	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		char *value = strchr(word, '='), *end;
		bool known = true;
		double v = 0;

		if (value) {
			*value++ = 0;
			v = strtod(value, &end);
			known = end > value && !*end;
		}
		if (!known || !set_word(w, word, v)) {
			fprintf(stderr, "impair: not known, or out of range: %s\n", word);
			exit(2);
		}
	}
	if (w->whole && w->chance[CORRUPT] > 0) {
		fputs("impair: a super-frame cannot be damaged so that it shows\n", stderr);
		exit(2);
	}
}

static void report_way(const char *name, const struct way *w)
{
	printf("\"%s\":{\"frames\":%lu,\"loss\":%lu,\"dup\":%lu,\"reorder\":%lu,"
	       "\"corrupt\":%lu,\"overflow\":%lu,\"frozen\":%lu,\"unsent\":%lu},",
	       name, (unsigned long)w->frames, w->done[LOSS], w->done[DUP],
	       w->done[REORDER], w->done[CORRUPT], w->overflow, w->frozen, w->unsent);
}

static unsigned overrun(int fd)
{
	struct tpacket_stats s = { 0 };
	socklen_t len = sizeof(s);

	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &s, &len);
	return s.tp_drops;
}

static void usage(void)
{
	fputs("usage: impair [-N PID] [-s SEED] [-d FROM-GATEWAY] [-u FROM-GUEST] "
	      "GATEWAY-IF GUEST-IF\n"
	      "FROM-...: loss=% dup=% reorder=% corrupt=% delay=USEC jitter=USEC "
	      "rate=MBIT queue=FRAMES whole, with commas between\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	struct way down = { .limit = QUEUE }, up = { .limit = QUEUE };
	pid_t pid = 0;
	int o;

	while ((o = getopt(argc, argv, "N:s:d:u:")) != -1) {
		switch (o) {
		case 'N': pid = atoi(optarg); break;
		case 's': down.seed = strtoull(optarg, NULL, 0); break;
		case 'd': parse_way(&down, optarg); break;
		case 'u': parse_way(&up, optarg); break;
		default: usage();
		}
	}
	if (optind + 2 != argc)
		usage();
	if (pid)
		enter(pid);
	for (int i = 0; i < BATCH; i++) {
		iovs[i].iov_base = malloc(FRAME_MAX);
		if (!iovs[i].iov_base)
			die("malloc");
		msgs[i].msg_hdr.msg_iov = &iovs[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	up.seed = down.seed + 0x5851f42d4c957f2d;
	up.to = down.from = open_interface(argv[optind]);
	down.to = up.from = open_interface(argv[optind + 1]);
	up.last = &up.first;
	down.last = &down.first;
	handle_signals();
	puts("{\"ready\":1}");
	fflush(stdout);
	loop(&down, &up);
	printf("{");
	report_way("from_gateway", &down);
	report_way("from_guest", &up);
	printf("\"overrun\":%u}\n", overrun(down.from) + overrun(up.from));
	return 0;
}
