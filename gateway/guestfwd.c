/* guestfwd.c - places on the guest's subnet.  See guestfwd.h.
 *
 * A function may be called from inside the core and may push bytes for the guest from there, so nothing here touches a connection at once:
 * a timer that is due does it in the turn (fwd_turn()).
 */
#include "gateway/guestfwd.h"

#include "gateway/dial.h"
#include "gateway/flow_tcp.h"
#include "gateway/guestfwd_peer.h"
#include "gateway/host_unix.h"
#include "gateway/stage.h"
#include "slirp/tcp_open.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

/* One place. */
struct fwd_place {
	struct list node; /* in guestfwd.places */
	struct endpoint at;
	struct guestfwd_target target; /* texts are ours */
	char **argv;		       /* of the command */
	struct list flows;	       /* struct fwd_flow, newest first */
};

/* One connection to a function. */
struct fwd_flow {
	struct tcp_conn conn;
	struct stage stage;
	struct list node;    /* in fwd_place.flows; alone when the place is gone */
	struct loop_timer turn; /* set: something is to be done */
	struct loop_reap reap;
	struct guestfwd *fwd;
	bool doomed; /* to be reset */
};

struct guestfwd {
	struct guestfwd_env env;
	struct list places;
	unsigned n_places, n_flows;
};

struct guestfwd *guestfwd_new(const struct guestfwd_env *env)
{
	struct guestfwd *g = g_try_new0(struct guestfwd, 1);

	if (!g)
		return NULL;
	g->env = *env;
	list_init(&g->places);
	return g;
}

/* ---- places */

static struct fwd_place *fwd_find(const struct guestfwd *g, const struct endpoint *at)
{
	for (struct list *n = g->places.next; n != &g->places; n = n->next) {
		struct fwd_place *p = container_of(n, struct fwd_place, node);

		if (endpoint_eq(&p->at, at))
			return p;
	}
	return NULL;
}

static void fwd_place_free(struct guestfwd *g, struct fwd_place *p)
{
	list_unlink(&p->node);
	g->n_places--;
	g_strfreev(p->argv);
	g_free((char *)p->target.unix_path);
	g_free(p);
}

void guestfwd_free(struct guestfwd *g)
{
	if (!g)
		return;
	while (!list_empty(&g->places))
		fwd_place_free(g, container_of(g->places.next, struct fwd_place, node));
	g_free(g);
}

int guestfwd_add(struct guestfwd *g, const struct endpoint *at, const struct guestfwd_target *target)
{
	struct fwd_place *p;

	if (fwd_find(g, at))
		return -EADDRINUSE;
	if (g->n_places == GUESTFWD_PLACES)
		return -ENOSPC;
	p = g_try_new0(struct fwd_place, 1);
	if (!p)
		return -ENOMEM;
	if (target->command && !g_shell_parse_argv(target->command, NULL, &p->argv, NULL)) {
		g_free(p);
		return -EINVAL;
	}
	p->at = *at;
	p->target = (struct guestfwd_target){ .write = target->write, .arg = target->arg, .unix_path = g_strdup(target->unix_path) };
	list_init(&p->node);
	list_init(&p->flows);
	list_push_tail(&g->places, &p->node);
	g->n_places++;
	return 0;
}

static void fwd_wake(struct fwd_flow *f)
{
	loop_timer_set(f->fwd->env.loop, &f->turn, loop_now(f->fwd->env.loop));
}

int guestfwd_remove(struct guestfwd *g, const struct endpoint *at)
{
	struct fwd_place *p = fwd_find(g, at);

	if (!p)
		return -ENOENT;
	while (!list_empty(&p->flows)) {
		struct fwd_flow *f = container_of(p->flows.next, struct fwd_flow, node);

		list_unlink(&f->node);
		f->doomed = true;
		f->stage.write = NULL;
		fwd_wake(f);
	}
	fwd_place_free(g, p);
	return 0;
}

bool guestfwd_has(const struct guestfwd *g, const struct addr *a)
{
	for (struct list *n = g->places.next; n != &g->places; n = n->next)
		if (addr_eq(&container_of(n, struct fwd_place, node)->at.addr, a))
			return true;
	return false;
}

/* ---- connections to a function */

static void fwd_turn(struct loop_timer *t, int64_t now)
{
	struct fwd_flow *f = container_of(t, struct fwd_flow, turn);

	if (f->doomed)
		tcp_conn_drop(&f->conn, R_SHUTDOWN, now);
	else if (f->conn.state == TCP_HELD)
		tcp_open_accept(&f->conn, &f->stage.up, now);
	else
		tcp_conn_touch(&f->conn);
}

static void fwd_drained(void *arg)
{
	struct fwd_flow *f = arg;

	if (f->fwd->env.drained)
		f->fwd->env.drained(f->fwd->env.arg);
}

static enum reason fwd_open(struct guestfwd *g, struct fwd_place *p, struct tcp_conn **ret)
{
	struct fwd_flow *f;

	if (g->n_flows == GUESTFWD_FLOWS)
		return R_FLOW_CAP;
	f = mem_new0(g->env.tcp->mem, sizeof(*f));
	if (!f)
		return R_NO_MEMORY;
	f->fwd = g;
	f->conn.owner = GUESTFWD_OWNER;
	f->turn.fn = fwd_turn;
	f->stage.write = p->target.write;
	f->stage.write_arg = p->target.arg;
	f->stage.drained = fwd_drained;
	f->stage.drained_arg = f;
	stage_init(&f->stage);
	if (!loop_timer_set(g->env.loop, &f->turn, loop_now(g->env.loop))) {
		g_free(f);
		return R_NO_MEMORY;
	}
	list_init(&f->node);
	list_push_tail(p->flows.next, &f->node); /* in front of the first */
	g->n_flows++;
	*ret = &f->conn;
	return R_ACCEPTED;
}

/* To a command or a unix socket: from here on a flow like others. */
static enum reason fwd_dial(struct guestfwd *g, struct fwd_place *p, struct tcp_conn **ret)
{
	int fd = p->argv ? guestfwd_peer_spawn(p->argv) : host_unix_dial(p->target.unix_path);

	return fd < 0 ? dial_reason(-fd) : flow_tcp_adopt(g->env.tcp, fd, !p->argv, ret);
}

bool guestfwd_syn(struct guestfwd *g, const struct endpoint *at, struct tcp_conn **ret, enum reason *why)
{
	struct fwd_place *p = fwd_find(g, at);

	if (!p)
		return false;
	*why = p->target.write ? fwd_open(g, p, ret) : fwd_dial(g, p, ret);
	return true;
}

static void fwd_free(struct loop_reap *r)
{
	g_free(container_of(r, struct fwd_flow, reap));
}

void guestfwd_gone(struct tcp_conn *c, enum reason why)
{
	struct fwd_flow *f = container_of(c, struct fwd_flow, conn);
	struct guestfwd *g = f->fwd;

	list_unlink(&f->node);
	g->n_flows--;
	reason_count(g->env.closes, why);
	loop_timer_set(g->env.loop, &f->turn, TIMERQ_NEVER);
	loop_reap_later(g->env.loop, &f->reap, fwd_free);
}

/* ---- moving */

void guestfwd_each(struct guestfwd *g, void (*fn)(void *arg, const struct endpoint *at, struct tcp_conn *c, const struct stage *s), void *arg)
{
	for (struct list *n = g->places.next; n != &g->places; n = n->next) {
		struct fwd_place *p = container_of(n, struct fwd_place, node);

		for (struct list *m = p->flows.next; m != &p->flows; m = m->next) {
			struct fwd_flow *f = container_of(m, struct fwd_flow, node);

			fn(arg, &p->at, &f->conn, &f->stage);
		}
	}
}

static void fwd_undo(struct fwd_flow *f)
{
	list_unlink(&f->node);
	f->fwd->n_flows--;
	loop_timer_set(f->fwd->env.loop, &f->turn, TIMERQ_NEVER);
	g_free(f);
}

/* A connection that may be carried on, in no table yet. */
static int fwd_prepare(struct guestfwd *g, struct stack *st, const struct guestfwd_import *in, struct fwd_flow **ret)
{
	struct fwd_place *p = fwd_find(g, &in->tcp.tuple.far);
	struct tcp_conn *c;
	enum reason r;

	if (!p || !p->target.write)
		return -ENOENT;
	if (in->said_len > STAGE_SIZE || tcp_export_check(st, &in->tcp))
		return -EINVAL;
	r = fwd_open(g, p, &c);
	if (r)
		return r == R_FLOW_CAP ? -ENOSPC : -ENOMEM;
	*ret = container_of(c, struct fwd_flow, conn);
	stage_push(&(*ret)->stage, in->said, in->said_len);
	(*ret)->stage.eof = in->ended;
	return 0;
}

/* The guest that is carried on does not know of a connection that was here. */
static void fwd_displace(struct stack *st, const struct tuple *t, int64_t now)
{
	struct tcp_conn *c = tcp_conn_find(st, t);

	if (c && c->owner == GUESTFWD_OWNER)
		tcp_export_release(c);
	else if (c)
		tcp_conn_drop(c, R_SHUTDOWN, now);
}

static void fwd_carry_on(struct fwd_flow *f, struct stack *st, const struct guestfwd_import *in)
{
	int64_t now = loop_now(f->fwd->env.loop);
	enum reason r;

	fwd_displace(st, &in->tcp.tuple, now);
	r = tcp_conn_import(st, &f->conn, &in->tcp, &f->stage.up, now);
	if (r) {
		reason_count(f->fwd->env.closes, r);
		fwd_undo(f);
	} else if (in->heard_len) {
		f->stage.write(in->heard, in->heard_len, f->stage.write_arg);
	}
}

int guestfwd_restore(struct guestfwd *g, struct stack *st, const struct guestfwd_import *in, unsigned n)
{
	struct fwd_flow *flows[GUESTFWD_FLOWS];
	int err = n > GUESTFWD_FLOWS ? -ENOSPC : 0;
	unsigned i = n;

	while (i && !err) { /* from the oldest on */
		err = fwd_prepare(g, st, &in[i - 1], &flows[i - 1]);
		i -= !err;
	}
	if (err) {
		for (; i < n && n <= GUESTFWD_FLOWS; i++)
			fwd_undo(flows[i]);
		return err;
	}
	for (i = n; i--;)
		fwd_carry_on(flows[i], st, &in[i]);
	return 0;
}

/* ---- bytes for the guest */

static struct fwd_flow *fwd_newest(const struct guestfwd *g, const struct endpoint *at)
{
	struct fwd_place *p = fwd_find(g, at);

	return p && !list_empty(&p->flows) ? container_of(p->flows.next, struct fwd_flow, node) : NULL;
}

uint32_t guestfwd_room(const struct guestfwd *g, const struct endpoint *at)
{
	struct fwd_flow *f = fwd_newest(g, at);

	return f && f->conn.state != TCP_HELD ? stage_room(&f->stage) : 0;
}

int guestfwd_push(struct guestfwd *g, const struct endpoint *at, const uint8_t *buf, uint32_t len)
{
	struct fwd_flow *f = fwd_newest(g, at);
	bool good;

	if (!f || f->conn.state == TCP_HELD || f->stage.eof)
		return -ENOTCONN;
	good = stage_push(&f->stage, buf, len);
	f->doomed = !good;
	fwd_wake(f);
	return good ? 0 : -EMSGSIZE;
}
