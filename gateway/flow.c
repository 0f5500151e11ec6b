/* flow.c - caps and counts.  See flow.h.
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

	if (getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur == RLIM_INFINITY || rl.rlim_cur > FLOW_MAX * 2)
		return FLOW_MAX;
	/* a small limit is halved rather than eaten up by the reserve: the kernel says the rest (EMFILE, R_NO_DESCRIPTOR) */
	return rl.rlim_cur > 2 * FLOW_RESERVE ? (uint32_t)rl.rlim_cur - FLOW_RESERVE : (uint32_t)rl.rlim_cur / 2;
}

void flow_table_init(struct flow_table *t, struct loop *loop, uint32_t max, uint32_t max_half_open)
{
	uint32_t room = flow_descriptor_room();

	*t = (struct flow_table){ .loop = loop, .max = max, .max_half_open = max_half_open };
	if (!t->max)
		t->max = room < FLOW_MAX ? room : FLOW_MAX;
	if (!t->max_half_open)
		t->max_half_open = FLOW_HALF_OPEN_MAX;
}

enum reason flow_room(const struct flow_table *t)
{
	if (t->now >= t->max)
		return R_FLOW_CAP;
	return t->half_open >= t->max_half_open ? R_HALF_OPEN_CAP : R_ACCEPTED;
}

void flow_begin(struct flow_table *t, struct flow *f)
{
	f->state = FLOW_HELD;
	t->now++;
	t->half_open++;
}

void flow_opened(struct flow_table *t, struct flow *f)
{
	f->state = FLOW_OPEN;
	t->half_open--;
	t->opened++;
}

void flow_end(struct flow_table *t, struct flow *f, enum reason why, void (*fn)(struct loop_reap *r))
{
	if (f->state == FLOW_GONE)
		return;
	if (f->state == FLOW_HELD)
		t->half_open--;
	f->state = FLOW_GONE;
	t->now--;
	reason_count(&t->closes, why);
	loop_reap_later(t->loop, &f->reap, fn);
}
