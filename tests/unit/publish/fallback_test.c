/* fallback_test.c - the walk over handlers, its deadlines, caps and re-entrance, under a clock of the test's own.
 * Contract C48, C49, C51, C53-C59, T5, T6, T7, T8, T9, T10, A14, A16, A17, D11, D12. */
#include "publish/fallback.h"

#include "slirp/base/list.h"

#include <glib.h>

static const struct siphash_key key = { { 3, 4 } };

struct flow {
	struct fallback_ask ask;
	int done;
	enum reason why;
};

static void flow_done(struct fallback_ask *a, enum reason why)
{
	struct flow *fl = container_of(a, struct flow, ask);

	fl->done++;
	fl->why = why;
}

/* A handler that gives one verdict, remembers what it was asked, and may do things meanwhile. */
struct voice {
	enum fallback_verdict says;
	int asked, freed;
	uint64_t token;
	struct fallback_question q;
	struct fallback *f;
	uint64_t remove, answer_now;
	struct voice *add;
};

static enum fallback_verdict voice_ask(const struct fallback_question *q, uint64_t token, void *arg);

static void voice_free(void *arg)
{
	((struct voice *)arg)->freed++;
}

static uint64_t add(struct fallback *f, struct voice *v)
{
	v->f = f;
	return fallback_add(f, &(struct fallback_handler){ .ask = voice_ask, .free = voice_free, .arg = v });
}

static enum fallback_verdict voice_ask(const struct fallback_question *q, uint64_t token, void *arg)
{
	struct voice *v = arg;

	v->asked++;
	v->q = *q;
	v->token = token;
	if (v->remove)
		fallback_remove(v->f, v->remove, 0);
	v->remove = 0;
	if (v->add)
		add(v->f, v->add);
	v->add = NULL;
	if (v->answer_now)
		fallback_answer(v->f, token, (enum fallback_verdict)(v->answer_now - 1), 0);
	return v->says;
}

static struct fallback_question question(uint16_t port, uint8_t source)
{
	return (struct fallback_question){
		.src = { addr_from_v4((const uint8_t[4]){ 10, 0, 2, source }), 40000 },
		.dst = { addr_from_v4((const uint8_t[4]){ 10, 0, 2, 2 }), port },
	};
}

static void ask(struct fallback *f, struct flow *fl, uint16_t port, int64_t now)
{
	struct fallback_question q = question(port, 15);

	*fl = (struct flow){ .ask.done = flow_done, .why = R_COUNT };
	fallback_ask(f, &fl->ask, &q, now);
}

static void check_end(struct fallback *f, const struct flow *fl, enum reason why, uint32_t flows)
{
	struct fallback_stats st;

	fallback_stats(f, &st);
	g_assert_cmpint(fl->done, ==, 1);
	g_assert_cmpint(fl->why, ==, why);
	g_assert_cmpuint(st.flows, ==, flows);
	g_assert_cmpuint(st.ports, ==, flows ? 1 : 0);
}

/* T6, T7, A14, A17: nobody, then somebody who declines, then nobody again: the same end, and nothing is kept. */
static void declined(void)
{
	struct fallback *f = fallback_new(&key);
	struct voice a = { .says = FALLBACK_DECLINE }, b = { .says = FALLBACK_DECLINE };
	struct flow fl;
	uint64_t id;

	g_assert_false(fallback_any(f));
	ask(f, &fl, 80, 0);
	check_end(f, &fl, R_FALLBACK_DECLINED, 0);
	id = add(f, &a);
	add(f, &b);
	g_assert_true(fallback_any(f));
	ask(f, &fl, 80, 0);
	check_end(f, &fl, R_FALLBACK_DECLINED, 0);
	g_assert_cmpint(a.asked + b.asked, ==, 2);
	g_assert_cmpint(fallback_deadline(f), ==, TIMERQ_NEVER);
	g_assert_true(fallback_remove(f, id, 0));
	g_assert_false(fallback_remove(f, id, 0));
	g_assert_cmpint(a.freed, ==, 1);
	fallback_free(f);
	g_assert_cmpint(b.freed, ==, 1);
}

/* T8, T9, T10, C48, C49, C59: in order; the first that decides ends the walk; both ends are told. */
static void decided(void)
{
	struct fallback *f = fallback_new(&key);
	struct voice a = { .says = FALLBACK_DECLINE }, b = { .says = FALLBACK_CLAIM }, c = { .says = FALLBACK_REJECT };
	struct fallback_question want = question(80, 15);
	struct flow fl;
	uint64_t id_a = add(f, &a), id_b = add(f, &b);

	g_assert_cmpuint(id_a, <, id_b);
	g_assert_cmpuint(id_b, <, add(f, &c));
	ask(f, &fl, 80, 0);
	check_end(f, &fl, R_ACCEPTED, 1);
	g_assert_cmpuint(fl.ask.handler, ==, id_b);
	g_assert_cmpint(c.asked, ==, 0);
	g_assert_true(endpoint_eq(&b.q.src, &want.src) && endpoint_eq(&b.q.dst, &want.dst));
	fallback_leave(f, &fl.ask);
	fallback_leave(f, &fl.ask);
	check_end(f, &fl, R_ACCEPTED, 0);
	fallback_remove(f, id_b, 0);
	ask(f, &fl, 80, 0);
	check_end(f, &fl, R_FALLBACK_REJECTED, 0);
	fallback_free(f);
}

/* D12: an answer may come later, up to the deadline; then the next one is asked, with a deadline of its own. */
static void later(void)
{
	struct fallback *f = fallback_new(&key);
	struct voice a = { .says = FALLBACK_LATER }, b = { .says = FALLBACK_LATER };
	struct flow fl;
	uint64_t old;

	add(f, &a);
	add(f, &b);
	ask(f, &fl, 80, 1000);
	g_assert_cmpint(fl.done, ==, 0);
	g_assert_cmpint(fallback_deadline(f), ==, 1000 + FALLBACK_VERDICT_US);
	fallback_answer(f, a.token, FALLBACK_CLAIM, 2000);
	check_end(f, &fl, R_ACCEPTED, 1);
	fallback_answer(f, a.token, FALLBACK_REJECT, 2000); /* said already */
	check_end(f, &fl, R_ACCEPTED, 1);
	fallback_leave(f, &fl.ask);

	ask(f, &fl, 80, 0);
	old = a.token;
	fallback_expire(f, FALLBACK_VERDICT_US - 1);
	g_assert_cmpint(b.asked, ==, 0);
	fallback_expire(f, FALLBACK_VERDICT_US);
	g_assert_cmpint(b.asked, ==, 1);
	fallback_answer(f, old, FALLBACK_CLAIM, FALLBACK_VERDICT_US); /* too late */
	g_assert_cmpint(fl.done, ==, 0);
	g_assert_cmpint(fallback_deadline(f), ==, 2 * FALLBACK_VERDICT_US);
	fallback_expire(f, 2 * FALLBACK_VERDICT_US);
	check_end(f, &fl, R_FALLBACK_DECLINED, 0);

	ask(f, &fl, 80, 0);
	fallback_answer(f, a.token, FALLBACK_LATER, 5);
	g_assert_cmpint(b.asked, ==, 2);
	fallback_answer(f, b.token, FALLBACK_REJECT, 5);
	check_end(f, &fl, R_FALLBACK_REJECTED, 0);
	fallback_free(f);
}

/* The guest gives up while a handler thinks: nobody is told, and the answer hits nothing. */
static void gone(void)
{
	struct fallback *f = fallback_new(&key);
	struct voice a = { .says = FALLBACK_LATER };
	struct flow fl;

	add(f, &a);
	ask(f, &fl, 80, 0);
	fallback_leave(f, &fl.ask);
	memset(&fl, 0xee, sizeof(fl));
	fallback_answer(f, a.token, FALLBACK_CLAIM, 1);
	fallback_answer(f, 0, FALLBACK_CLAIM, 1);
	fallback_expire(f, 10 * FALLBACK_VERDICT_US);
	g_assert_cmpint(fallback_deadline(f), ==, TIMERQ_NEVER);
	fallback_free(f);
}

/* C51, C58: handlers that remove themselves or each other, or add one, in the middle of being asked. */
static void changed_meanwhile(void)
{
	struct fallback *f = fallback_new(&key);
	struct voice late = { .says = FALLBACK_CLAIM }, a = { .says = FALLBACK_DECLINE, .add = &late }, b = { .says = FALLBACK_LATER },
		     c = { .says = FALLBACK_CLAIM };
	struct flow fl;
	uint64_t id_a = add(f, &a), id_b = add(f, &b);

	b.remove = id_b;
	ask(f, &fl, 80, 0); /* a adds, b removes itself and says "later": a decline */
	check_end(f, &fl, R_FALLBACK_DECLINED, 0);
	g_assert_cmpint(b.freed, ==, 1);
	g_assert_cmpint(late.asked, ==, 0);
	add(f, &c);
	a.remove = id_a;
	ask(f, &fl, 80, 0);
	check_end(f, &fl, R_ACCEPTED, 1);
	g_assert_cmpint(late.asked, ==, 1);
	g_assert_cmpint(a.freed, ==, 1);
	fallback_leave(f, &fl.ask);
	fallback_free(f);
}

static void answers_while_asked(void)
{
	struct fallback *f = fallback_new(&key);
	struct voice a = { .says = FALLBACK_LATER, .answer_now = 1 + FALLBACK_CLAIM };
	struct flow fl;

	add(f, &a);
	ask(f, &fl, 80, 0);
	check_end(f, &fl, R_ACCEPTED, 1);
	fallback_leave(f, &fl.ask);
	a.says = FALLBACK_REJECT; /* what is returned wins */
	ask(f, &fl, 80, 0);
	check_end(f, &fl, R_FALLBACK_REJECTED, 0);
	fallback_free(f);
}

/* Flows that wait for a handler that is removed go on to the next. */
static void removed_while_waiting(void)
{
	struct fallback *f = fallback_new(&key);
	struct voice a = { .says = FALLBACK_LATER }, b = { .says = FALLBACK_CLAIM };
	struct flow fl[10];
	uint64_t id = add(f, &a);

	add(f, &b);
	for (int i = 0; i < 10; i++)
		ask(f, &fl[i], 80, 0);
	g_assert_true(fallback_remove(f, id, 0));
	for (int i = 0; i < 10; i++) {
		g_assert_cmpint(fl[i].why, ==, R_ACCEPTED);
		fallback_leave(f, &fl[i].ask);
	}
	fallback_free(f);
}

/* C54, C57, D11: each cap holds, and a place given back can be had again. */
static void caps(void)
{
	struct fallback *f = fallback_new(&key);
	struct voice a = { .says = FALLBACK_CLAIM };
	g_autofree struct flow *fl = g_new0(struct flow, FALLBACK_FLOWS_MAX + 1);
	struct fallback_stats st;
	int n = 0;

	add(f, &a);
	for (int i = 0; i <= FALLBACK_PORT_FLOWS_MAX; i++)
		ask(f, &fl[i], 80, 0);
	g_assert_cmpint(fl[FALLBACK_PORT_FLOWS_MAX].why, ==, R_FALLBACK_CAP);
	ask(f, &fl[FALLBACK_PORT_FLOWS_MAX], 81, 0);
	g_assert_cmpint(fl[FALLBACK_PORT_FLOWS_MAX].why, ==, R_ACCEPTED);
	fallback_leave(f, &fl[0].ask);
	ask(f, &fl[0], 80, 0);
	g_assert_cmpint(fl[0].why, ==, R_ACCEPTED);
	for (int i = 0; i <= FALLBACK_PORT_FLOWS_MAX; i++)
		fallback_leave(f, &fl[i].ask);
	for (n = 0; n <= FALLBACK_SOURCE_FLOWS_MAX; n++)
		ask(f, &fl[n], (uint16_t)(100 + n % 8), 0);
	g_assert_cmpint(fl[n - 1].why, ==, R_FALLBACK_CAP);
	while (n)
		fallback_leave(f, &fl[--n].ask);
	for (n = 0; n <= FALLBACK_FLOWS_MAX; n++) {
		struct fallback_question q = question((uint16_t)(100 + n % 16), (uint8_t)(n % 200));

		fl[n] = (struct flow){ .ask.done = flow_done };
		fallback_ask(f, &fl[n].ask, &q, 0);
	}
	fallback_stats(f, &st);
	g_assert_cmpuint(st.flows, ==, FALLBACK_FLOWS_MAX);
	g_assert_cmpint(fl[n - 1].why, ==, R_FALLBACK_CAP);
	while (n)
		fallback_leave(f, &fl[--n].ask);
	fallback_stats(f, &st);
	g_assert_cmpuint(st.flows + st.ports, ==, 0);
	g_assert_cmpuint(st.asked, ==, st.claimed + st.capped);
	fallback_free(f);
}

/* A16: a scan of all ports past a handler that declines costs nothing that stays, and one that thinks holds up its own source alone. */
static void scan(void)
{
	struct fallback *f = fallback_new(&key);
	struct voice a = { .says = FALLBACK_DECLINE };
	g_autofree struct flow *fl = g_new0(struct flow, 65536);
	struct fallback_question other = question(80, 99);
	struct flow honest = { .ask.done = flow_done };
	struct fallback_stats st;

	add(f, &a);
	for (int port = 1; port < 65536; port++)
		ask(f, &fl[port], (uint16_t)port, 0);
	g_assert_cmpint(a.asked, ==, 65535);
	a.says = FALLBACK_LATER;
	for (int port = 1; port < 65536; port++)
		ask(f, &fl[port], (uint16_t)port, 0);
	fallback_stats(f, &st);
	g_assert_cmpuint(st.ports, ==, FALLBACK_PORTS_MAX);
	fallback_expire(f, FALLBACK_VERDICT_US);
	fallback_stats(f, &st);
	g_assert_cmpuint(st.flows + st.ports, ==, 0);
	a.says = FALLBACK_CLAIM;
	fallback_ask(f, &honest.ask, &other, FALLBACK_VERDICT_US);
	g_assert_cmpint(honest.why, ==, R_ACCEPTED);
	fallback_leave(f, &honest.ask);
	fallback_free(f);
}

/* T5 */
static void relations(void)
{
	g_assert_cmpint(FALLBACK_PORT_FLOWS_MAX, <=, FALLBACK_FLOWS_MAX);
	g_assert_cmpint(FALLBACK_SOURCE_FLOWS_MAX, <, FALLBACK_FLOWS_MAX);
	g_assert_cmpint(FALLBACK_PORTS_MAX, <=, FALLBACK_FLOWS_MAX);
	g_assert_cmpint(FALLBACK_VERDICT_US, <, 10 * 1000 * 1000); /* the guest's SYN is still held */
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/fallback/declined", declined);
	g_test_add_func("/fallback/decided", decided);
	g_test_add_func("/fallback/later", later);
	g_test_add_func("/fallback/gone", gone);
	g_test_add_func("/fallback/changed_meanwhile", changed_meanwhile);
	g_test_add_func("/fallback/answers_while_asked", answers_while_asked);
	g_test_add_func("/fallback/removed_while_waiting", removed_while_waiting);
	g_test_add_func("/fallback/caps", caps);
	g_test_add_func("/fallback/scan", scan);
	g_test_add_func("/fallback/relations", relations);
	return g_test_run();
}
