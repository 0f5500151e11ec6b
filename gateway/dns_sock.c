/* dns_sock.c - the DNS relay's sockets.  See dns_sock.h.
 *
 * Finding: by guest endpoint in a hash table; by watch, which is embedded; the longest idle stands first in a list.
 * Cost: a kept socket costs a query send() and recv() alone; its watch is level-triggered and stays registered, so that nothing that arrives
 * between two queries goes unseen.  When all places are in use, the longest idle socket is connected anew instead of closed: the kernel
 * gives it another random port at that, and socket(), epoll_ctl() and close() are saved.
 * Trap: what was queued on such a socket stays queued; its id is an old one, so it is a mismatch to the next query.
 * System calls: socket setsockopt connect close.
 */
#include "gateway/dns_sock.h"
#include "gateway/hostsock.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static uint32_t dns_sock_hash(const struct dns_sock_set *set, const struct endpoint *guest)
{
	return (uint32_t)siphash(set->key, guest, sizeof(*guest));
}

static bool dns_sock_is_idle(const struct dns_sock *s)
{
	return s->watch.active && !s->query;
}

static struct dns_sock *dns_sock_oldest(struct dns_sock_set *set)
{
	return list_empty(&set->kept) ? NULL : container_of(set->kept.next, struct dns_sock, node);
}

/* An idle one is idle no more; it belongs to nobody until its caller says so. */
static void dns_sock_unkeep(struct dns_sock *s)
{
	list_unlink(&s->node);
	htab_remove(&s->set->by_guest, &s->by_guest);
}

void dns_sock_drop(struct dns_sock *s)
{
	if (dns_sock_is_idle(s))
		dns_sock_unkeep(s);
	loop_watch_close(s->set->loop, &s->watch);
	s->query = NULL;
	list_push_tail(&s->set->unused, &s->node);
}

void dns_sock_keep(struct dns_sock *s, int64_t now)
{
	struct dns_sock_set *set = s->set;

	if (s->dirty || (!set->timer.timer.slot && !loop_timer_set(set->loop, &set->timer, now + set->idle))) {
		dns_sock_drop(s); /* nobody would time it */
		return;
	}
	s->query = NULL;
	s->kept = true;
	s->since = now;
	list_push_tail(&set->kept, &s->node);
	htab_insert(&set->by_guest, &s->by_guest, dns_sock_hash(set, &s->guest));
}

bool dns_sock_give_way(struct dns_sock_set *set)
{
	struct dns_sock *s = dns_sock_oldest(set);

	if (s)
		dns_sock_drop(s);
	return s;
}

void dns_sock_drop_idle(struct dns_sock_set *set)
{
	while (dns_sock_give_way(set))
		continue;
}

/* The timer is never moved for a query: it may find that its socket was used since. */
static void dns_sock_timer(struct loop_timer *timer, int64_t now)
{
	struct dns_sock_set *set = container_of(timer, struct dns_sock_set, timer);
	struct dns_sock *s;

	while ((s = dns_sock_oldest(set)) && s->since + set->idle <= now)
		dns_sock_drop(s);
	loop_timer_set(set->loop, &set->timer, s ? s->since + set->idle : TIMERQ_NEVER);
}

/* Nobody asked: an answer that comes twice or late, an error, or a forger at work.  The next query gets another port. */
static void dns_sock_event(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct dns_sock *s = container_of(w, struct dns_sock, watch);

	if (s->query) {
		s->set->event(s, events, now);
		return;
	}
	if (events & EPOLLIN)
		reason_count(s->set->drops, R_DNS_MISMATCH);
	dns_sock_drop(s);
}

/* ------------------------------------------------------------------ taking one */

static struct dns_sock *dns_sock_find(const struct dns_sock_set *set, const struct endpoint *guest, const struct endpoint *to)
{
	for (struct htab_node *n = htab_first(&set->by_guest, dns_sock_hash(set, guest)); n; n = htab_next(&set->by_guest, n)) {
		struct dns_sock *s = container_of(n, struct dns_sock, by_guest);

		if (endpoint_eq(&s->guest, guest) && endpoint_eq(&s->to, to))
			return s;
	}
	return NULL;
}

/* 0 or -errno. */
static int dns_sock_connect(int fd, const struct endpoint *to)
{
	struct sockaddr_storage ss;
	socklen_t len = hostsock_sockaddr(to, &ss);

	return connect(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

/* An idle socket from somebody else, at another port.  False: it is closed. */
static bool dns_sock_turn(struct dns_sock *s, const struct endpoint *to)
{
	static const struct sockaddr apart = { .sa_family = AF_UNSPEC };

	if (addr_is_v4(&s->to.addr) == addr_is_v4(&to->addr) && !connect(s->watch.fd, &apart, sizeof(apart)) &&
	    !dns_sock_connect(s->watch.fd, to)) {
		dns_sock_unkeep(s);
		return true;
	}
	dns_sock_drop(s);
	return false;
}

/* 0 or -errno. */
static int dns_sock_open(struct dns_sock_set *set, const struct endpoint *to, struct dns_sock **ret)
{
	static const struct hostsock_origin anywhere;
	struct dns_sock *s = container_of(set->unused.next, struct dns_sock, node);
	int fd = hostsock_open(&to->addr, SOCK_DGRAM, &anywhere), err;

	if ((fd == -EMFILE || fd == -ENFILE) && dns_sock_give_way(set))
		fd = hostsock_open(&to->addr, SOCK_DGRAM, &anywhere);
	if (fd < 0)
		return fd;
	err = dns_sock_connect(fd, to);
	if (!err)
		err = loop_watch_add(set->loop, &s->watch, fd, EPOLLIN);
	if (err < 0) {
		close(fd);
		return err;
	}
	list_unlink(&s->node);
	*ret = s;
	return 0;
}

int dns_sock_take(struct dns_sock_set *set, const struct endpoint *guest, const struct endpoint *to, void *query, struct dns_sock **ret)
{
	struct dns_sock *s = dns_sock_find(set, guest, to), *oldest = dns_sock_oldest(set);
	bool kept = s;

	if (s)
		dns_sock_unkeep(s);
	else if (list_empty(&set->unused) && oldest && dns_sock_turn(oldest, to))
		s = oldest;
	if (!s) {
		int err = list_empty(&set->unused) ? -EMFILE : dns_sock_open(set, to, &s);

		if (err < 0)
			return err;
	}
	s->guest = *guest;
	s->to = *to;
	s->query = query;
	s->kept = kept;
	s->dirty = false;
	*ret = s;
	return 0;
}

/* ------------------------------------------------------------------ life */

bool dns_sock_set_init(struct dns_sock_set *set)
{
	list_init(&set->unused);
	list_init(&set->kept);
	set->timer.fn = dns_sock_timer;
	for (int i = DNS_SOCK_MAX - 1; i >= 0; i--) {
		struct dns_sock *s = &set->socks[i];

		s->set = set;
		s->watch.fn = dns_sock_event;
		list_init(&s->node);
		list_push_tail(&set->unused, &s->node);
	}
	return htab_init(&set->by_guest);
}

void dns_sock_set_clear(struct dns_sock_set *set)
{
	dns_sock_drop_idle(set);
	loop_timer_set(set->loop, &set->timer, TIMERQ_NEVER);
	htab_clear(&set->by_guest);
}
