/* flow.c - caps, counts, and who makes room.  See flow.h.
 *
 * Descriptors, of a limit of N: TCP has at most N - FLOW_RESERVE, so that pings (at most N/8 and 256), DNS queries (256) and our own always
 * find one, but for what UDP holds (at most N/4): that is lent.  Who finds none (EMFILE), TCP, ping or DNS, has the least recently used UDP
 * endpoint closed and tries again.
 */
#include "gateway/flow.h"

#include <sys/resource.h>

static uint32_t flow_descriptor_room(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur == RLIM_INFINITY || rl.rlim_cur > INT32_MAX)
		return INT32_MAX;
	/* a small limit is halved rather than eaten up by the reserve: the kernel says the rest (EMFILE, R_NO_DESCRIPTOR) */
	return rl.rlim_cur > 2 * FLOW_RESERVE ? (uint32_t)rl.rlim_cur - FLOW_RESERVE : (uint32_t)rl.rlim_cur / 2;
}

bool flow_table_init(struct flow_table *t, struct loop *loop, const struct gateway_tunables *tune, const struct flow_table_ops *ops,
		     const struct siphash_key *key, struct mem *mem)
{
	*t = (struct flow_table){ .loop = loop, .tune = tune, .ops = *ops, .share = flow_descriptor_room() };
	list_init(&t->order);
	return halfopen_init(&t->half, key, mem);
}

void flow_table_clear(struct flow_table *t)
{
	halfopen_clear(&t->half);
}

uint32_t flow_max(const struct flow_table *t)
{
	return t->tune->tcp_flows_max < t->share ? (uint32_t)t->tune->tcp_flows_max : t->share;
}

/* Half of a small table stays with connections that stand, whoever floods. */
uint32_t flow_half_open_max(const struct flow_table *t)
{
	uint32_t half = (flow_max(t) + 1) / 2;

	return t->tune->tcp_half_open_max < half ? (uint32_t)t->tune->tcp_half_open_max : half;
}

static void flow_judge_pressure(struct flow_table *t)
{
	unsigned percent = pressure_percent(t->now, flow_max(t)), other = t->ops.full ? t->ops.full(t->ops.arg) : 0;

	if (pressure_update(&t->pressure, other > percent ? other : percent, (unsigned)t->tune->pressure_on, (unsigned)t->tune->pressure_off) &&
	    t->ops.pressure)
		t->ops.pressure(t->ops.arg, t->pressure.on);
}

static bool flow_is_idle(struct flow_table *t, struct flow *f, int64_t now)
{
	int64_t heard_at, limit = t->tune->tcp_evict_idle;
	uint32_t mark = t->ops.look(f, &heard_at);

	if (mark != f->mark) {
		f->mark = mark;
		f->mark_at = now;
	}
	return now - heard_at >= limit || now - f->mark_at >= limit; /* heard of: an answer to a keepalive probe moves nothing */
}

/* Looks at those that have waited longest for it.  NULL: none of them is idle. */
static struct flow *flow_idle(struct flow_table *t, int64_t now)
{
	for (int i = 0; i < FLOW_LOOKS && !list_empty(&t->order); i++) {
		struct flow *f = container_of(t->order.next, struct flow, order);

		if (flow_is_idle(t, f, now))
			return f;
		list_unlink(&f->order);
		list_push_tail(&t->order, &f->order);
	}
	return NULL;
}

bool flow_give_way(struct flow_table *t, int64_t now)
{
	struct flow *f = flow_idle(t, now);

	if (f)
		t->ops.end(f, R_EVICTED, now);
	return f != NULL;
}

/* The flow being made that goes first, or NULL if there is room for one more. */
static struct halfopen_item *flow_surplus(const struct flow_table *t, const struct endpoint *dest)
{
	if (halfopen_count(&t->half, dest) >= t->tune->tcp_half_open_dest)
		return halfopen_oldest(&t->half, dest);
	return t->half.now >= flow_half_open_max(t) ? halfopen_busiest(&t->half) : NULL;
}

enum reason flow_room(struct flow_table *t, const struct endpoint *dest, int64_t now)
{
	struct halfopen_item *item = flow_surplus(t, dest);

	if (item)
		t->ops.end(container_of(item, struct flow, half), R_HALF_OPEN_CAP, now);
	if (t->now >= flow_max(t))
		return flow_give_way(t, now) ? R_ACCEPTED : R_FLOW_CAP;
	if (t->pressure.on)
		flow_idle(t, now); /* so that the looks are not far back when room is needed */
	return R_ACCEPTED;
}

bool flow_begin(struct flow_table *t, struct flow *f, const struct endpoint *dest)
{
	if (!halfopen_add(&t->half, &f->half, dest))
		return false;
	list_init(&f->order);
	f->state = FLOW_HELD;
	t->now++;
	flow_judge_pressure(t);
	return true;
}

void flow_cancel(struct flow_table *t, struct flow *f)
{
	halfopen_remove(&t->half, &f->half);
	f->state = FLOW_GONE;
	t->now--;
	flow_judge_pressure(t);
}

void flow_opened(struct flow_table *t, struct flow *f, int64_t now)
{
	halfopen_remove(&t->half, &f->half);
	f->state = FLOW_OPEN;
	f->mark_at = now;
	list_push_tail(&t->order, &f->order);
	t->opened++;
}

void flow_end(struct flow_table *t, struct flow *f, enum reason why, void (*fn)(struct loop_reap *r))
{
	if (f->state == FLOW_GONE)
		return;
	halfopen_remove(&t->half, &f->half);
	list_unlink(&f->order);
	f->state = FLOW_GONE;
	t->now--;
	reason_count(&t->closes, why);
	loop_reap_later(t->loop, &f->reap, fn);
	flow_judge_pressure(t);
}
