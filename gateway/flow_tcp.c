/* flow_tcp.c - from a held SYN to the end of a connection.  See flow_tcp.h.
 *
 * One allocation per flow: bookkeeping, the guest's half and the host's half.  There are no pointers between them: container_of().
 */
#include "gateway/flow_tcp.h"

#include "gateway/dial.h"
#include "slirp/tcp_open.h"

#include <errno.h>
#include <glib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct flow_tcp {
	struct flow flow;
	struct tcp_conn conn;
	struct host_tcp up; /* valid when OPEN */
	struct loop_watch watch;
	struct loop_timer dial_timer; /* set while HELD */
	struct flow_tcp_env *env;
	struct endpoint to;
	unsigned tries; /* dials that failed */
	int64_t began;
};

static void flow_tcp_free(struct loop_reap *r)
{
	g_free(container_of(r, struct flow_tcp, flow.reap));
}

static struct loop *tcp_loop(const struct flow_tcp *f)
{
	return f->env->pool->loop;
}

/* Descriptor of a dial to f->to, or to where again() leads; -errno. */
static int tcp_dial(struct flow_tcp *f, int err, int64_t now)
{
	struct flow_tcp_env *env = f->env;

	for (;;) {
		int fd = err ? err : dial_start(env->origin, &f->to);

		if (fd >= 0 || !env->again || !env->again(env->arg, &f->to, ++f->tries, now - f->began, &f->to))
			return fd;
		err = 0;
	}
}

/* The dial has failed with err.  False: so has the flow. */
static bool tcp_redial(struct flow_tcp *f, int err, int64_t now)
{
	int fd = tcp_dial(f, err, now);

	if (fd < 0)
		return false;
	loop_watch_close(tcp_loop(f), &f->watch);
	if (!loop_watch_add(tcp_loop(f), &f->watch, fd, (uint32_t)HOST_TCP_EVENTS) &&
	    loop_timer_set(tcp_loop(f), &f->dial_timer, now + f->env->dial_timeout))
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
	host_tcp_init(&f->up, f->env->pool, f->watch.fd, &f->watch);
	flow_opened(f->env->table, &f->flow);
	tcp_open_accept(&f->conn, &f->up.up, now);
}

static void tcp_event(struct loop_watch *w, uint32_t events, int64_t now)
{
	struct flow_tcp *f = container_of(w, struct flow_tcp, watch);

	if (f->flow.state == FLOW_HELD) {
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

enum reason flow_tcp_open(struct flow_tcp_env *env, const struct endpoint *to, struct tcp_conn **ret)
{
	enum reason r = flow_room(env->table);
	struct flow_tcp *f;
	int fd, err;

	if (r)
		return r;
	f = mem_new0(env->mem, sizeof(*f));
	if (!f)
		return R_NO_MEMORY;
	f->env = env;
	f->to = *to;
	f->began = loop_now(env->pool->loop);
	fd = tcp_dial(f, 0, f->began);
	if (fd < 0) {
		g_free(f);
		return dial_reason(-fd);
	}
	f->watch.fn = tcp_event;
	f->dial_timer.fn = tcp_dial_deadline;
	err = loop_watch_add(env->pool->loop, &f->watch, fd, (uint32_t)HOST_TCP_EVENTS);
	if (err || !loop_timer_set(env->pool->loop, &f->dial_timer, f->began + env->dial_timeout)) {
		loop_watch_remove(env->pool->loop, &f->watch);
		close(fd);
		g_free(f);
		return err ? dial_reason(-err) : R_NO_MEMORY;
	}
	flow_begin(env->table, &f->flow);
	*ret = &f->conn;
	return R_ACCEPTED;
}

void flow_tcp_gone(struct tcp_conn *c, enum reason why)
{
	struct flow_tcp *f = container_of(c, struct flow_tcp, conn);

	if (f->flow.state == FLOW_HELD) {
		struct linger now = { .l_onoff = 1, .l_linger = 0 };

		/* it may have connected since: RST then, and not the FIN of somebody who had nothing to say */
		(void)setsockopt(f->watch.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		loop_timer_set(tcp_loop(f), &f->dial_timer, TIMERQ_NEVER);
		loop_watch_close(tcp_loop(f), &f->watch);
	} else {
		host_tcp_close(&f->up);
	}
	flow_end(f->env->table, &f->flow, why, flow_tcp_free);
}
