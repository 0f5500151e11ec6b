/* flow_tcp.c - from a held SYN, or a client, to the end of a connection.  See flow_tcp.h.
 *
 * One allocation per flow: bookkeeping, the guest's half and the host's half.  There are no pointers between them: container_of().
 */
#include "gateway/flow_tcp.h"

#include "gateway/dial.h"
#include "gateway/host_unix.h"
#include "gateway/preface.h"
#include "slirp/tcp_connect.h"
#include "slirp/tcp_open.h"

#include <errno.h>
#include <glib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct flow_tcp {
	struct flow flow;
	struct tcp_conn conn;
	struct host_tcp up; /* valid when OPEN, and from the beginning toward the guest */
	struct loop_watch watch;
	struct loop_timer dial_timer; /* set while HELD, toward the host */
	struct flow_tcp_env *env;
	struct endpoint to;
	unsigned tries; /* dials that failed */
	int64_t began;
	bool local; /* the socket is of AF_UNIX */
	struct flow_tcp_opener opener; /* toward the guest */
	struct preface *preface;       /* NULL: none */
};

static void flow_tcp_free(struct loop_reap *r)
{
	struct flow_tcp *f = container_of(r, struct flow_tcp, flow.reap);

	g_free(f->preface);
	g_free(f);
}

static struct loop *tcp_loop(const struct flow_tcp *f)
{
	return f->env->pool->loop;
}

static bool tcp_is_dialing(const struct flow_tcp *f)
{
	return f->flow.state == FLOW_HELD && !f->opener.ended;
}

/* ------------------------------------------------------------------ what the table asks */

static uint32_t tcp_look(struct flow *flow, int64_t *ret_heard_at)
{
	struct flow_tcp *f = container_of(flow, struct flow_tcp, flow);

	*ret_heard_at = f->conn.rx_at;
	return f->conn.rcv_nxt + f->conn.snd_una;
}

static void tcp_end(struct flow *flow, enum reason why, int64_t now)
{
	struct flow_tcp *f = container_of(flow, struct flow_tcp, flow);

	if (tcp_is_dialing(f))
		tcp_open_forget(&f->conn, why);
	else
		tcp_conn_drop(&f->conn, why, now);
}

struct flow_table_ops flow_tcp_ops(void)
{
	return (struct flow_table_ops){ .look = tcp_look, .end = tcp_end };
}

/* ------------------------------------------------------------------ toward the host */

/* A descriptor that dials, or -errno; others give way before none is left. */
static int tcp_dial_once(struct flow_tcp_env *env, const struct endpoint *to, int64_t now)
{
	int fd = dial_start(env->origin, to);

	if ((fd == -EMFILE || fd == -ENFILE) && ((env->give_way && env->give_way(env->arg)) || flow_give_way(env->table, now)))
		fd = dial_start(env->origin, to);
	return fd;
}

/* Is it we who lack something?  Then another place will not do either. */
static bool tcp_is_shortage(int err)
{
	enum reason r = dial_reason(-err);

	return r == R_NO_DESCRIPTOR || r == R_NO_MEMORY;
}

/* Descriptor of a dial to f->to, or to where again() leads; -errno. */
static int tcp_dial(struct flow_tcp *f, int err, int64_t now)
{
	struct flow_tcp_env *env = f->env;

	for (;;) {
		int fd = err ? err : tcp_dial_once(env, &f->to, now);

		if (fd >= 0 || tcp_is_shortage(fd) || !env->again || !env->again(env->arg, &f->to, ++f->tries, now - f->began, &f->to))
			return fd;
		err = 0;
	}
}

static int64_t tcp_dial_timeout(const struct flow_tcp_env *env)
{
	const struct gateway_tunables *tune = env->table->tune;
	int64_t t = env->dial_timeout ? env->dial_timeout : tune->tcp_dial;

	return env->table->pressure.on && tune->tcp_dial_pressure < t ? tune->tcp_dial_pressure : t;
}

/* The dial has failed with err.  False: so has the flow. */
static bool tcp_redial(struct flow_tcp *f, int err, int64_t now)
{
	int fd = f->to.port ? tcp_dial(f, err, now) : -1; /* port 0: nobody was dialed, the descriptor came connected */

	if (fd < 0)
		return false;
	loop_watch_close(tcp_loop(f), &f->watch);
	if (!loop_watch_add(tcp_loop(f), &f->watch, fd, (uint32_t)HOST_TCP_EVENTS) &&
	    loop_timer_set(tcp_loop(f), &f->dial_timer, now + tcp_dial_timeout(f->env)))
		return true;
	loop_watch_remove(tcp_loop(f), &f->watch);
	f->watch.fd = fd; /* closed with the flow */
	return false;
}

static void tcp_dialed(struct flow_tcp *f, uint32_t events, int64_t now)
{
	int err = dial_result(f->watch.fd, events, &f->to, f->env->own_addresses);

	if (err && tcp_redial(f, err, now))
		return;
	loop_timer_set(tcp_loop(f), &f->dial_timer, TIMERQ_NEVER);
	if (err) {
		tcp_open_refuse(&f->conn, dial_reason(-err), now);
		return;
	}
	(f->local ? host_unix_init : host_tcp_init)(&f->up, f->env->pool, f->watch.fd, &f->watch);
	tcp_open_accept(&f->conn, &f->up.up, now);
	flow_opened(f->env->table, &f->flow, now);
}

static void tcp_event(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct flow_tcp *f = container_of(w, struct flow_tcp, watch);

	if (tcp_is_dialing(f)) {
		if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
			tcp_dialed(f, events, now);
		if (f->flow.state != FLOW_OPEN)
			return;
	}
	if (host_tcp_event(&f->up, events))
		tcp_conn_reset(&f->conn, f->up.err == -ECONNRESET || f->up.err == -EPIPE ? R_HOST_RESET : R_HOST_ERROR, now);
	else
		tcp_conn_touch(&f->conn);
}

static void tcp_dial_deadline(struct loop_timer *t, int64_t now)
{
	struct flow_tcp *f = container_of(t, struct flow_tcp, dial_timer);

	if (!tcp_redial(f, -ETIMEDOUT, now))
		tcp_open_refuse(&f->conn, R_DIAL_TIMEOUT, now);
}

static enum reason tcp_open_fails(struct flow_tcp *f, int fd, enum reason why)
{
	loop_timer_set(tcp_loop(f), &f->dial_timer, TIMERQ_NEVER);
	loop_watch_remove(tcp_loop(f), &f->watch);
	close(fd);
	g_free(f);
	return why;
}

/* From here on the socket's first event decides, or the deadline. */
static enum reason tcp_hold(struct flow_tcp *f, int fd, const struct endpoint *key, int64_t now, struct tcp_conn **ret)
{
	struct flow_tcp_env *env = f->env;
	int err;

	f->watch.fn = tcp_event;
	f->dial_timer.fn = tcp_dial_deadline;
	err = loop_watch_add(env->pool->loop, &f->watch, fd, (uint32_t)HOST_TCP_EVENTS);
	if (err)
		return tcp_open_fails(f, fd, dial_reason(-err));
	if (!loop_timer_set(env->pool->loop, &f->dial_timer, now + tcp_dial_timeout(env)) ||
	    !flow_begin(env->table, &f->flow, key))
		return tcp_open_fails(f, fd, R_NO_MEMORY);
	*ret = &f->conn;
	return R_ACCEPTED;
}

enum reason flow_tcp_open(struct flow_tcp_env *env, const struct endpoint *to, struct tcp_conn **ret)
{
	struct endpoint key = { .addr = to->addr }; /* a dead address, whatever the port */
	int64_t now = loop_now(env->pool->loop);
	enum reason r = flow_room(env->table, &key, now);
	struct flow_tcp *f;
	int fd;

	if (r)
		return r;
	f = mem_new0(env->mem, sizeof(*f));
	if (!f)
		return R_NO_MEMORY;
	f->env = env;
	f->to = *to;
	f->began = now;
	fd = tcp_dial(f, 0, now);
	if (fd < 0) {
		g_free(f);
		return dial_reason(-fd);
	}
	return tcp_hold(f, fd, &key, now, ret);
}

enum reason flow_tcp_adopt(struct flow_tcp_env *env, int fd, bool local, struct tcp_conn **ret)
{
	static const struct endpoint nowhere; /* all of them are one destination */
	int64_t now = loop_now(env->pool->loop);
	enum reason r = flow_room(env->table, &nowhere, now);
	struct flow_tcp *f = r ? NULL : mem_new0(env->mem, sizeof(*f));
	int err = f && !local ? host_tcp_prepare(fd) : 0;

	if (!f || err) {
		close(fd);
		g_free(f);
		return r ? r : err ? dial_reason(-err) : R_NO_MEMORY;
	}
	f->env = env;
	f->local = local;
	f->began = now;
	return tcp_hold(f, fd, &nowhere, now, ret);
}

/* ------------------------------------------------------------------ toward the guest */

/* False: no memory. */
static bool tcp_preface(struct flow_tcp *f, const struct flow_tcp_opener *o)
{
	if (!o->head_len)
		return true;
	f->preface = mem_new0(f->env->mem, sizeof(*f->preface));
	if (f->preface)
		preface_init(f->preface, &f->up.up, o->head, o->head_len);
	return f->preface;
}

enum reason flow_tcp_connect(struct flow_tcp_env *env, struct stack *st, const struct tuple *t, int fd, bool local,
			     const struct flow_tcp_opener *o, int64_t now)
{
	enum reason r = flow_room(env->table, &t->guest, now);
	struct flow_tcp *f;
	int err;

	if (r)
		return r;
	err = local ? 0 : host_tcp_prepare(fd);
	if (err)
		return dial_reason(-err);
	f = mem_new0(env->mem, sizeof(*f));
	if (!f)
		return R_NO_MEMORY;
	f->env = env;
	f->watch.fn = tcp_event;
	f->opener = *o;
	err = loop_watch_add(env->pool->loop, &f->watch, fd, (uint32_t)HOST_TCP_EVENTS);
	r = err ? dial_reason(-err) : R_ACCEPTED;
	(local ? host_unix_init : host_tcp_init)(&f->up, env->pool, fd, &f->watch);
	if (!r && (!tcp_preface(f, o) || !flow_begin(env->table, &f->flow, &t->guest)))
		r = R_NO_MEMORY;
	if (!r) {
		r = tcp_connect(st, &f->conn, t, f->preface ? &f->preface->up : &f->up.up, now);
		if (r)
			flow_cancel(env->table, &f->flow);
	}
	if (r) {
		loop_watch_remove(env->pool->loop, &f->watch);
		g_free(f->preface);
		g_free(f);
		return r;
	}
	loop_kick(env->pool->loop); /* the SYN leaves with the flush of a turn */
	return R_ACCEPTED;
}

int flow_tcp_fd(const struct tcp_conn *c)
{
	return container_of(c, const struct flow_tcp, conn)->watch.fd;
}

void flow_tcp_established(struct tcp_conn *c)
{
	struct flow_tcp *f = container_of(c, struct flow_tcp, conn);

	flow_opened(f->env->table, &f->flow, c->rx_at);
	if (f->opener.settled)
		f->opener.settled(f->opener.arg);
}

/* ------------------------------------------------------------------ the end */

void flow_tcp_gone(struct tcp_conn *c, enum reason why)
{
	struct flow_tcp *f = container_of(c, struct flow_tcp, conn);

	if (tcp_is_dialing(f)) {
		struct linger now = { .l_onoff = 1, .l_linger = 0 };

		/* it may have connected since: RST then, and not the FIN of somebody who had nothing to say */
		(void)setsockopt(f->watch.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		loop_timer_set(tcp_loop(f), &f->dial_timer, TIMERQ_NEVER);
		loop_watch_close(tcp_loop(f), &f->watch);
	} else {
		host_tcp_close(&f->up);
	}
	if (f->flow.state == FLOW_HELD && f->opener.settled)
		f->opener.settled(f->opener.arg);
	flow_end(f->env->table, &f->flow, why, flow_tcp_free);
	if (f->opener.ended)
		f->opener.ended(&f->opener, why);
}
