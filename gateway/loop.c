/* loop.c - the turn, and what hosts it: a GSource or an application.
 *
 * What it is: loop_turn(), the numbered list by which everything in a gateway happens, and its plumbing.
 * What it is not: an owner of descriptors, flows or frames.
 * Cost: a request is one poll() by GLib, one epoll_wait() here, and the work itself.  A turn that leaves work over is
 * followed by the next one without going back to GLib, at most LOOP_STREAK times or for LOOP_STREAK_US, so that other
 * sources of the context are served.  Idle: the context sleeps in poll(), until the earliest deadline if there is one.
 * GLib writes to its own wake-up descriptor whenever it dispatches a source that must not recurse, and may do so when a
 * ready time changes: up to three system calls per turn.  So the source may recurse (and guards itself), and tells its
 * deadline by prepare() and check().
 * An application's loop has an eventfd in its set, edge-triggered and never read: the bell that ends a poll() that began too early.
 * System calls: epoll_create1 epoll_ctl epoll_wait eventfd2 write close.
 * Below: slirp/stack.h, link.h, slirp/base.  Above: see loop.h.
 */
#include "gateway/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	LOOP_EVENTS = 64,      /* descriptors per turn: the rest keep their place in the kernel's ready list */
	LOOP_FRAMES = 256,     /* frames from the link per turn: datagrams of many flows, each of which is to become a run */
	LOOP_TIMERS = 64,      /* callbacks per turn */
	LOOP_STREAK = 32,      /* turns per dispatch */
	LOOP_STREAK_US = 2000, /* and their time: what another GLib source may have to wait */
	LOOP_LINGER_MS = 20,   /* of silence before a lingering loop goes back to GLib's poll; a shorter wait sets a hardware timer each time */
	LOOP_LINGER_US = 100000, /* per dispatch of a lingering loop: what a timeout of the context may have to wait */
	LOOP_FOREIGN = 32,     /* descriptors of other sources that a lingering loop looks after */
};

struct loop_source {
	GSource base;
	struct loop *loop;
};

struct loop {
	GMainContext *ctx; /* NULL: an application drives the loop */
	GSource *source;
	gpointer tag; /* of epfd in source */
	int epfd;
	struct loop_clock clock;

	int bell_fd;  /* -1: none */
	int64_t told; /* the application sleeps until then; -1: it does not sleep */
	void (*bell)(void *arg);
	void *bell_arg;

	struct link *link; /* NULL: none, or it has failed */
	struct stack *st;
	void (*on_gone)(void *arg, int err);
	void *arg;
	void (*gather)(void *arg, int64_t now); /* loop_before_flush() */
	void *gather_arg;
	int gone_err;	 /* positive errno; told at the end of the turn */
	bool link_ready; /* reported readable, or `more` was set by the last rx */

	struct timerq timers;
	struct list reap;

	struct epoll_event batch[LOOP_EVENTS]; /* data.ptr: the watch; NULL: removed meanwhile */
	int n_batch, cursor;		       /* entries in front of cursor are done */

	int64_t wake; /* when the next turn is due if no descriptor is ready; 0: at once */
	uint64_t turns;
	bool in_turn;

	/* A lingering loop: the other descriptors of the context, in an epoll set of their own that is a member of ours. */
	bool lingers;
	int foreign_fd; /* that set; -1: none */
	bool foreign_ready;
	GPollFD foreign[LOOP_FOREIGN];
	int n_foreign;
};

int64_t loop_now(const struct loop *l)
{
	return l && l->clock.now ? l->clock.now(l->clock.arg) : g_get_monotonic_time();
}

uint64_t loop_turns(const struct loop *l)
{
	return l->turns;
}

/* Takes ready descriptors from the kernel, waiting for the first at most `ms`; what is the link's or the context's leaves the batch.  True:
 * there may be more. */
static bool loop_fetch(struct loop *l, int ms)
{
	int n = epoll_wait(l->epfd, l->batch, LOOP_EVENTS, ms);

	l->n_batch = 0;
	for (int i = 0; i < n; i++) {
		if (l->batch[i].data.ptr == l)
			l->link_ready = true;
		else if (l->batch[i].data.ptr == &l->foreign_fd)
			l->foreign_ready = true;
		else if (l->batch[i].data.ptr == &l->bell_fd)
			continue;
		else
			l->batch[l->n_batch++] = l->batch[i];
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
	if (l->gather)
		l->gather(l->gather_arg, now);
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

/* The turn; its epoll batch, at most LOOP_EVENTS, is fetched: `left` says whether there may be more.  True: the next one is due at once. */
static bool loop_turn(struct loop *l, bool left)
{
	int64_t now = loop_now(l);		/* 1 now; 2 epoll batch: loop_fetch() */
	bool link_rx = l->link && l->link_ready;

	l->turns++;
	l->in_turn = true;
	l->wake = TIMERQ_NEVER;
	if (link_rx)
		loop_link_rx(l, now);		/* 3 link rx, at most LOOP_FRAMES */
	loop_sockets(l, now);			/* 4 sockets: the batch */
	loop_expire(l, now);			/* 5 deadlines: the core's, at most LOOP_TIMERS of ours */
	loop_flush(l, link_rx, now);		/* 6 datagrams leave; connections write, acknowledge, send; 7 the link sends */
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

/* Makes the set of the context's other descriptors anew. */
static void loop_foreign_make(struct loop *l)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = &l->foreign_fd };

	if (l->foreign_fd >= 0)
		close(l->foreign_fd); /* which takes it out of our set */
	l->foreign_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->foreign_fd < 0)
		return;
	for (int i = 0; i < l->n_foreign; i++) {
		struct epoll_event f = { .events = l->foreign[i].events }; /* G_IO_IN and EPOLLIN are poll()'s bits both */

		if (l->foreign[i].fd != l->epfd)
			epoll_ctl(l->foreign_fd, EPOLL_CTL_ADD, l->foreign[i].fd, &f);
	}
	epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->foreign_fd, &e);
}

/* Before lingering: does our set know the descriptors that the context waits for?  False: there are too many. */
static bool loop_foreign_sync(struct loop *l)
{
	GPollFD now[LOOP_FOREIGN];
	gint timeout = -1;
	int n = g_main_context_query(l->ctx, G_MAXINT, &timeout, now, LOOP_FOREIGN);

	if (n > LOOP_FOREIGN)
		return false;
	for (int i = 0; i < n; i++)
		now[i].revents = 0;
	if (n == l->n_foreign && !memcmp(now, l->foreign, sizeof(now[0]) * (size_t)n))
		return true;
	memcpy(l->foreign, now, sizeof(now[0]) * (size_t)n);
	l->n_foreign = n;
	loop_foreign_make(l);
	return l->foreign_fd >= 0;
}

static bool loop_has_work(const struct loop *l)
{
	return l->n_batch || l->link_ready || l->wake <= loop_now(l);
}

/* After a turn: is there another one to make before GLib gets its say?  A lingering loop waits for it in epoll_wait() alone, while
 * traffic flows and no other source is ready: GLib's poll() in front of it costs a system call more per turn.  *left as loop_fetch() says. */
static bool loop_again(struct loop *l, bool due, bool lingers, bool *left)
{
	int wait = due || l->wake - loop_now(l) < LOOP_LINGER_MS * 1000 ? 0 : LOOP_LINGER_MS;

	if (l->gone_err || l->foreign_ready || (!due && !lingers))
		return false;
	*left = loop_fetch(l, wait);
	return due || loop_has_work(l);
}

static gboolean loop_source_dispatch(GSource *source, GSourceFunc fn, gpointer data)
{
	struct loop *l = ((struct loop_source *)source)->loop;
	int64_t start = loop_now(l), most;
	bool left, due, lingers;
	int turns = 0;

	(void)fn;
	(void)data;
	if (l->in_turn) /* a callback of ours iterates the context */
		return G_SOURCE_CONTINUE;
	l->foreign_ready = false;
	lingers = l->lingers && loop_foreign_sync(l);
	most = lingers ? LOOP_LINGER_US : LOOP_STREAK_US;
	left = g_source_query_unix_fd(source, l->tag) && loop_fetch(l, 0);
	if (!left && !loop_has_work(l)) /* it was another source's descriptor */
		return G_SOURCE_CONTINUE;
	do
		due = loop_turn(l, left);
	while (loop_now(l) - start < most && (lingers || ++turns < LOOP_STREAK) && loop_again(l, due, lingers, &left));
	if (l->gone_err)
		loop_link_gone(l);
	return G_SOURCE_CONTINUE;
}

/* ------------------------------------------------------------------ an application's loop */

/* From outside a turn: the next one comes no later than `at`. */
static void loop_bring_forward(struct loop *l, int64_t at)
{
	static const uint64_t one = 1;

	if (at >= l->wake)
		return;
	l->wake = at;
	if (at >= l->told) /* -1, too: nobody sleeps */
		return;
	l->told = at;
	if (write(l->bell_fd, &one, sizeof(one)) < 0) /* cannot be: nobody writes 2^64 times */
		l->told = -1;
	if (l->bell)
		l->bell(l->bell_arg);
}

int loop_fd(const struct loop *l)
{
	return l->epfd;
}

int64_t loop_due(struct loop *l)
{
	if (l->in_turn)
		return 0;
	l->told = l->wake;
	return l->wake <= loop_now(l) ? 0 : l->wake;
}

void loop_run(struct loop *l)
{
	int64_t start = loop_now(l);
	bool left, due;
	int turns = 0;

	if (l->in_turn)
		return;
	l->told = -1;
	do {
		left = loop_fetch(l, 0);
		due = loop_turn(l, left);
	} while (due && !l->gone_err && ++turns < LOOP_STREAK && loop_now(l) - start < LOOP_STREAK_US);
	if (l->gone_err)
		loop_link_gone(l);
}

/* ------------------------------------------------------------------ life */

static struct loop *loop_make(GError **err)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	struct loop *l;

	if (epfd < 0) {
		int e = errno;

		g_set_error(err, G_FILE_ERROR, g_file_error_from_errno(e), "epoll: %s", g_strerror(e));
		return NULL;
	}
	l = g_new0(struct loop, 1);
	l->epfd = epfd;
	l->wake = TIMERQ_NEVER;
	l->foreign_fd = -1;
	l->bell_fd = -1;
	l->told = -1;
	timerq_init(&l->timers);
	list_init(&l->reap);
	return l;
}

struct loop *loop_new(GMainContext *ctx, GError **err)
{
	static const GSourceFuncs funcs = {
		.prepare = loop_source_prepare,
		.check = loop_source_check,
		.dispatch = loop_source_dispatch,
	};
	struct loop *l = loop_make(err);

	if (!l)
		return NULL;
	l->ctx = g_main_context_ref(ctx);
	l->source = g_source_new((GSourceFuncs *)&funcs, sizeof(struct loop_source));
	((struct loop_source *)l->source)->loop = l;
	g_source_set_name(l->source, "gateway");
	g_source_set_can_recurse(l->source, TRUE);
	l->tag = g_source_add_unix_fd(l->source, l->epfd, G_IO_IN);
	g_source_attach(l->source, ctx);
	return l;
}

struct loop *loop_new_driven(const struct loop_clock *clock, void (*bell)(void *arg), void *arg, GError **err)
{
	struct loop *l = loop_make(err);
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };

	if (!l)
		return NULL;
	l->clock = *clock;
	l->bell = bell;
	l->bell_arg = arg;
	l->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e.data.ptr = &l->bell_fd;
	if (l->bell_fd >= 0 && !epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->bell_fd, &e))
		return l;
	g_set_error(err, G_FILE_ERROR, g_file_error_from_errno(errno), "eventfd: %s", g_strerror(errno));
	loop_free(l);
	return NULL;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	loop_reap(l);
	if (l->source) {
		g_source_destroy(l->source);
		g_source_unref(l->source);
		g_main_context_unref(l->ctx);
	}
	timerq_clear(&l->timers);
	if (l->foreign_fd >= 0)
		close(l->foreign_fd);
	if (l->bell_fd >= 0)
		close(l->bell_fd);
	close(l->epfd);
	g_free(l);
}

void loop_drive(struct loop *l, struct link *link, struct stack *st, void (*on_gone)(void *arg, int err), void *arg)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = l };

	l->link = link;
	l->st = st;
	l->on_gone = on_gone;
	l->arg = arg;
	if (link->fd >= 0 && epoll_ctl(l->epfd, EPOLL_CTL_ADD, link->fd, &e) < 0)
		l->gone_err = errno;
	loop_kick(l);
}

void loop_before_flush(struct loop *l, void (*fn)(void *arg, int64_t now), void *arg)
{
	l->gather = fn;
	l->gather_arg = arg;
}

void loop_linger(struct loop *l)
{
	l->lingers = true;
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

/* Forgets what was fetched for w and not yet served. */
static void loop_skip(struct loop *l, struct loop_watch *w)
{
	w->active = false;
	for (int i = l->cursor; i < l->n_batch; i++) {
		if (l->batch[i].data.ptr == w)
			l->batch[i].data.ptr = NULL;
	}
}

void loop_watch_remove(struct loop *l, struct loop_watch *w)
{
	if (!w->active)
		return;
	epoll_ctl(l->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	loop_skip(l, w);
}

void loop_watch_close(struct loop *l, struct loop_watch *w)
{
	if (w->active)
		loop_skip(l, w);
	close(w->fd);
}

void loop_use_mem(struct loop *l, struct mem *m)
{
	l->timers.mem = m;
}

bool loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at)
{
	if (!timerq_set(&l->timers, &t->timer, at))
		return false;
	if (!l->in_turn) /* else its end will see to it */
		loop_bring_forward(l, at);
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
	if (l->in_turn)
		l->wake = 0;
	else
		loop_bring_forward(l, 0); /* seen by loop_source_prepare() */
}

void loop_link_ready(struct loop *l)
{
	l->link_ready = l->link != NULL;
	if (!l->in_turn)
		loop_bring_forward(l, 0);
}

void loop_link_now(struct loop *l)
{
	int64_t next;

	if (l->in_turn) {
		loop_link_ready(l);
		return;
	}
	l->link_ready = l->link != NULL;
	loop_turn(l, false);
	next = l->wake;
	l->wake = TIMERQ_NEVER;
	loop_bring_forward(l, next); /* the application may sleep for longer */
	if (l->gone_err)
		loop_link_gone(l);
}

bool loop_in_turn(const struct loop *l)
{
	return l->in_turn;
}
