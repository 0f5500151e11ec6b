/* loop.c - the turn, and the GSource that hosts it.
 *
 * What it is: loop_turn(), the numbered list by which everything in a gateway happens, and its plumbing.
 * What it is not: an owner of descriptors, flows or frames.
 * Cost: a request is one poll() by GLib, one epoll_wait() here, and the work itself.  A turn that leaves work over is
 * followed by the next one without going back to GLib, at most LOOP_STREAK times or for LOOP_STREAK_US, so that other
 * sources of the context are served.  Idle: the context sleeps in poll(), until the earliest deadline if there is one.
 * GLib writes to its own wake-up descriptor whenever it dispatches a source that must not recurse, and may do so when a
 * ready time changes: up to three system calls per turn.  So the source may recurse (and guards itself), and tells its
 * deadline by prepare() and check().
 * System calls: epoll_create1 epoll_ctl epoll_wait close.
 * Below: slirp/stack.h, link.h, slirp/base.  Above: see loop.h.
 */
#include "gateway/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
	LOOP_EVENTS = 64,      /* descriptors per turn: the rest keep their place in the kernel's ready list */
	LOOP_FRAMES = 64,      /* frames from the link per turn: what one ACK per connection is worth gathering over */
	LOOP_TIMERS = 64,      /* callbacks per turn */
	LOOP_STREAK = 32,      /* turns per dispatch */
	LOOP_STREAK_US = 2000, /* and their time: what another GLib source may have to wait */
};

struct loop_source {
	GSource base;
	struct loop *loop;
};

struct loop {
	GMainContext *ctx;
	GSource *source;
	gpointer tag; /* of epfd in source */
	int epfd;

	struct link *link; /* NULL: none, or it has failed */
	struct stack *st;
	void (*on_gone)(void *arg, int err);
	void *arg;
	int gone_err;	 /* positive errno; told at the end of the turn */
	bool link_ready; /* reported readable, or `more` was set by the last rx */

	struct timerq timers;
	struct list reap;

	struct epoll_event batch[LOOP_EVENTS]; /* data.ptr: the watch; the loop itself for the link; NULL: skip */
	int n_batch, cursor;		       /* entries in front of cursor are done */

	int64_t wake; /* when the next turn is due if no descriptor is ready; 0: at once */
	uint64_t turns;
	bool in_turn;
};

int64_t loop_now(void)
{
	return g_get_monotonic_time();
}

uint64_t loop_turns(const struct loop *l)
{
	return l->turns;
}

/* Takes ready descriptors from the kernel.  True: there may be more. */
static bool loop_fetch(struct loop *l)
{
	int n = epoll_wait(l->epfd, l->batch, LOOP_EVENTS, 0);

	l->n_batch = n > 0 ? n : 0;
	for (int i = 0; i < l->n_batch; i++) {
		if (l->batch[i].data.ptr == l) {
			l->link_ready = true;
			l->batch[i].data.ptr = NULL;
		}
	}
	return n == LOOP_EVENTS;
}

static void loop_link_rx(struct loop *l, int64_t now)
{
	bool more = false;
	int n = l->link->ops->rx(l->link, l->st, LOOP_FRAMES, now, &more);

	l->link_ready = n >= 0 && more;
	if (n < 0)
		l->gone_err = -n;
}

static void loop_sockets(struct loop *l, int64_t now)
{
	for (l->cursor = 0; l->cursor < l->n_batch;) {
		const struct epoll_event *e = &l->batch[l->cursor++];
		struct loop_watch *w = e->data.ptr;

		if (w)
			w->fn(w, e->events, now);
	}
	l->n_batch = l->cursor = 0;
}

static void loop_expire(struct loop *l, int64_t now)
{
	struct timer *t;

	if (l->st)
		stack_expire(l->st, now);
	for (int i = 0; i < LOOP_TIMERS && (t = timerq_pop(&l->timers, now)); i++) {
		struct loop_timer *lt = container_of(t, struct loop_timer, timer);

		lt->fn(lt, now);
	}
}

/* link_rx: frames were taken from the link in this turn. */
static void loop_flush(struct loop *l, bool link_rx, int64_t now)
{
	if (l->st)
		stack_flush(l->st, now);
	if (!l->link)
		return;
	if (link_rx)
		l->link->ops->rx_done(l->link);
	if (l->link->ops->tx_flush(l->link))
		stack_link_ready(l->st);
}

static void loop_reap(struct loop *l)
{
	struct list *n;

	while ((n = list_pop_head(&l->reap))) {
		struct loop_reap *r = container_of(n, struct loop_reap, node);

		r->fn(r);
	}
}

/* When the next turn must come; 0: at once. */
static int64_t loop_next(const struct loop *l, bool left)
{
	int64_t at = MIN(l->wake, timerq_next(&l->timers)); /* wake: a kick in this turn */

	if (left || l->link_ready || l->gone_err)
		return 0;
	if (!l->st)
		return at;
	return stack_pending(l->st) ? 0 : MIN(at, stack_deadline(l->st));
}

/* The turn.  fetch: the epoll set may have something.  True: the next one is due at once. */
static bool loop_turn(struct loop *l, bool fetch)
{
	int64_t now = loop_now();		/* 1 now */
	bool left = fetch && loop_fetch(l);	/* 2 epoll batch, at most LOOP_EVENTS */
	bool link_rx = l->link && l->link_ready;

	l->turns++;
	l->in_turn = true;
	l->wake = TIMERQ_NEVER;
	if (link_rx)
		loop_link_rx(l, now);		/* 3 link rx, at most LOOP_FRAMES */
	loop_sockets(l, now);			/* 4 sockets: the batch */
	loop_expire(l, now);			/* 5 deadlines: the core's, at most LOOP_TIMERS of ours */
	loop_flush(l, link_rx, now);		/* 6 connections write, acknowledge, send; 7 the link sends */
	loop_reap(l);				/* 8 reap */
	l->wake = loop_next(l, left);		/* 9 next wake */
	l->in_turn = false;
	return l->wake <= now;
}

/* The link has failed: nothing is driven any more.  on_gone may free the loop, so this comes last. */
static void loop_link_gone(struct loop *l)
{
	int err = l->gone_err;

	if (l->link && l->link->fd >= 0)
		epoll_ctl(l->epfd, EPOLL_CTL_DEL, l->link->fd, NULL);
	l->link = NULL;
	l->st = NULL;
	l->link_ready = false;
	l->gone_err = 0;
	l->wake = timerq_next(&l->timers);
	if (l->on_gone)
		l->on_gone(l->arg, err);
}

static gboolean loop_source_check(GSource *source)
{
	return ((struct loop_source *)source)->loop->wake <= g_source_get_time(source);
}

static gboolean loop_source_prepare(GSource *source, gint *timeout)
{
	int64_t wake = ((struct loop_source *)source)->loop->wake;

	*timeout = -1;
	if (wake == TIMERQ_NEVER)
		return FALSE;
	if (loop_source_check(source))
		return TRUE;
	*timeout = (gint)MIN((wake - g_source_get_time(source) + 999) / 1000, G_MAXINT);
	return FALSE;
}

static gboolean loop_source_dispatch(GSource *source, GSourceFunc fn, gpointer data)
{
	struct loop *l = ((struct loop_source *)source)->loop;
	int64_t start = loop_now();
	bool again;

	(void)fn;
	(void)data;
	if (l->in_turn) /* a callback of ours iterates the context */
		return G_SOURCE_CONTINUE;
	again = loop_turn(l, g_source_query_unix_fd(source, l->tag) != 0);
	for (int i = 1; again && !l->gone_err && i < LOOP_STREAK && loop_now() - start < LOOP_STREAK_US; i++)
		again = loop_turn(l, true);
	if (l->gone_err)
		loop_link_gone(l);
	return G_SOURCE_CONTINUE;
}

struct loop *loop_new(GMainContext *ctx, GError **err)
{
	static const GSourceFuncs funcs = {
		.prepare = loop_source_prepare,
		.check = loop_source_check,
		.dispatch = loop_source_dispatch,
	};
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	struct loop *l;

	if (epfd < 0) {
		int e = errno;

		g_set_error(err, G_FILE_ERROR, g_file_error_from_errno(e), "epoll: %s", g_strerror(e));
		return NULL;
	}
	l = g_new0(struct loop, 1);
	l->ctx = g_main_context_ref(ctx);
	l->epfd = epfd;
	l->wake = TIMERQ_NEVER;
	timerq_init(&l->timers);
	list_init(&l->reap);
	l->source = g_source_new((GSourceFuncs *)&funcs, sizeof(struct loop_source));
	((struct loop_source *)l->source)->loop = l;
	g_source_set_name(l->source, "gateway");
	g_source_set_can_recurse(l->source, TRUE);
	l->tag = g_source_add_unix_fd(l->source, epfd, G_IO_IN);
	g_source_attach(l->source, ctx);
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	loop_reap(l);
	g_source_destroy(l->source);
	g_source_unref(l->source);
	timerq_clear(&l->timers);
	close(l->epfd);
	g_main_context_unref(l->ctx);
	g_free(l);
}

void loop_drive(struct loop *l, struct link *link, struct stack *st, void (*on_gone)(void *arg, int err), void *arg)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = l };

	l->link = link;
	l->st = st;
	l->on_gone = on_gone;
	l->arg = arg;
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, link->fd, &e) < 0)
		l->gone_err = errno;
	loop_kick(l);
}

int loop_watch_add(struct loop *l, struct loop_watch *w, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &e) < 0)
		return -errno;
	w->fd = fd;
	w->active = true;
	return 0;
}

void loop_watch_rearm(struct loop *l, struct loop_watch *w, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	if (w->active)
		epoll_ctl(l->epfd, EPOLL_CTL_MOD, w->fd, &e);
}

void loop_watch_remove(struct loop *l, struct loop_watch *w)
{
	if (!w->active)
		return;
	w->active = false;
	epoll_ctl(l->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	for (int i = l->cursor; i < l->n_batch; i++) { /* fetched and not yet served */
		if (l->batch[i].data.ptr == w)
			l->batch[i].data.ptr = NULL;
	}
}

bool loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at)
{
	if (!timerq_set(&l->timers, &t->timer, at))
		return false;
	if (!l->in_turn) /* else its end will see to it */
		l->wake = MIN(l->wake, at);
	return true;
}

void loop_reap_later(struct loop *l, struct loop_reap *r, void (*fn)(struct loop_reap *r))
{
	r->fn = fn;
	list_init(&r->node);
	list_push_tail(&l->reap, &r->node);
	if (!l->in_turn)
		loop_kick(l);
}

void loop_kick(struct loop *l)
{
	l->wake = 0; /* seen by loop_source_prepare() */
}
