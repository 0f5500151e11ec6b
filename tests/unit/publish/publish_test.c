/* publish_test.c - the registry: all or nothing, ids, pause, removal with clients inside, ingress rules, caps.  Contract C30, C32, T1, A12. */
#include "publish/publish.h"

#include "slirp/base/sockname.h"

#include <errno.h>
#include <glib.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct siphash_key key = { { 1, 2 } };
static const struct publish_policy plain;

/* Counts what is watched. */
struct stage {
	struct publish_host host;
	struct publish *publish;
	struct reason_tally refusals;
	int watched;
	bool fail;
};

static bool stage_watch(struct publish_host *h, struct publish_port *p, GError **err)
{
	struct stage *st = container_of(h, struct stage, host);

	if (st->fail) {
		g_set_error_literal(err, LISTENER_ERROR, LISTENER_ERROR_RESOURCES, "cannot watch");
		return false;
	}
	p->watch = st;
	st->watched++;
	return true;
}

static void stage_unwatch(struct publish_host *h, struct publish_port *p)
{
	struct stage *st = container_of(h, struct stage, host);

	g_assert_true(p->watch == st);
	g_assert_cmpint(p->listener.fd, >=, 0);
	st->watched--;
}

static void stage_open(struct stage *st)
{
	memset(st, 0, sizeof(*st));
	st->host.watch = stage_watch;
	st->host.unwatch = stage_unwatch;
	st->publish = publish_new(&st->host, &key, &st->refusals);
	g_assert_nonnull(st->publish);
}

static void stage_close(struct stage *st)
{
	publish_free(st->publish);
	g_assert_cmpint(st->watched, ==, 0);
}

static struct portspec_rule rule(const char *spec)
{
	static const struct portspec_dialect any = { .any_port = true, .unix_path = true };
	g_autoptr(GArray) table = portspec_table_new();

	g_assert_true(portspec_add(table, PORTSPEC_TCP, spec, &any, NULL));
	return g_array_index(table, struct portspec_rule, 0);
}

/* A socket of ours on a port that is free, three ports in a row; returns the first. */
static uint16_t three_free_ports(int *holder)
{
	for (uint16_t port = 20011; port < 32000; port = (uint16_t)(port + 97)) {
		bool good = true;
		int fd[3];

		for (int i = 0; i < 3; i++) {
			struct endpoint e = { addr_from_v4((const uint8_t[4]){ 127, 0, 0, 1 }), (uint16_t)(port + i) };
			struct sockaddr_storage ss;
			socklen_t len = sockname_put(&e, &ss);

			fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
			good = !bind(fd[i], (struct sockaddr *)&ss, len) && good;
		}
		close(fd[0]);
		close(fd[1]);
		if (good && !listen(fd[2], 1)) {
			*holder = fd[2];
			return port;
		}
		close(fd[2]);
	}
	g_assert_not_reached();
}

/* C32, T1, A12: the third of three is taken: the first two are free again, and the error names the third. */
static void all_or_nothing(void)
{
	int holder;
	uint16_t port = three_free_ports(&holder);
	g_autofree char *spec = g_strdup_printf("127.0.0.1/%u-%u", port, port + 2);
	g_autofree char *two = g_strdup_printf("127.0.0.1/%u-%u", port, port + 1);
	g_autofree char *want = g_strdup_printf("127.0.0.1:%u: Address already in use, held by ", port + 2);
	struct portspec_rule r = rule(spec), first = rule(two), weak = r;
	struct publish_set *s;
	struct stage st;
	g_autoptr(GError) err = NULL;

	stage_open(&st);
	g_assert_null(publish_bind(st.publish, &r, &plain, &err));
	g_assert_nonnull(strstr(err->message, want));
	g_assert_null(publish_next(st.publish, NULL));
	s = publish_bind(st.publish, &first, &plain, NULL);
	g_assert_nonnull(s);
	publish_remove(s);
	weak.weak = true;
	s = publish_bind(st.publish, &weak, &plain, NULL);
	g_assert_cmpuint(s->left_out, ==, 1);
	close(holder);
	stage_close(&st);
}

static void ids(void)
{
	struct portspec_rule r = rule("127.0.0.1/0:22");
	struct publish_set *a, *b, *c;
	uint32_t id_a;
	struct stage st;

	stage_open(&st);
	a = publish_bind(st.publish, &r, &plain, NULL);
	b = publish_bind(st.publish, &r, &plain, NULL);
	id_a = a->id;
	g_assert_cmpuint(id_a, !=, 0);
	g_assert_true(publish_find(st.publish, id_a) == a && publish_find(st.publish, b->id) == b);
	g_assert_true(publish_next(st.publish, NULL) == a && publish_next(st.publish, a) == b && !publish_next(st.publish, b));
	publish_remove(a);
	g_assert_null(publish_find(st.publish, id_a));
	c = publish_bind(st.publish, &r, &plain, NULL);
	g_assert_cmpuint(c->id, >, b->id);
	stage_close(&st);
}

/* C30: nothing is watched before the start; a start that fails leaves nothing behind. */
static void start(void)
{
	struct portspec_rule r = rule("127.0.0.1/0:22");
	struct publish_set *s;
	struct stage st;
	g_autoptr(GError) err = NULL;

	stage_open(&st);
	s = publish_bind(st.publish, &r, &plain, NULL);
	g_assert_cmpint(st.watched, ==, 0);
	g_assert_true(publish_start(s, NULL));
	g_assert_true(publish_start(s, NULL));
	g_assert_cmpint(st.watched, ==, 1);
	publish_remove(s);
	g_assert_cmpint(st.watched, ==, 0);
	st.fail = true;
	s = publish_bind(st.publish, &r, &plain, NULL);
	g_assert_false(publish_start(s, &err));
	g_assert_cmpstr(err->message, ==, "cannot watch");
	g_assert_null(publish_next(st.publish, NULL));
	stage_close(&st);
}

static void passed_in(void)
{
	struct portspec_rule r = rule("0:22");
	struct listener l = { .fd = -1 };
	struct publish_set *s;
	struct publish_port *port;
	struct stage st;

	stage_open(&st);
	g_assert_true(listener_bind(&l, &r, 0, false, NULL));
	g_assert_null(publish_adopt(st.publish, st.watched - 1, &r, &plain, NULL));
	s = publish_adopt(st.publish, l.fd, &r, &plain, NULL);
	port = container_of(s->ports.next, struct publish_port, node);
	g_assert_cmpuint(port->to_port, ==, 22);
	g_assert_cmpuint(port->listener.bound.port, ==, l.bound.port);
	g_assert_true(publish_start(s, NULL));
	stage_close(&st);
}

static struct endpoint client(const char *addr)
{
	struct endpoint e = { .port = 40000 };

	g_assert_true(addr_parse(addr, &e.addr, NULL));
	return e;
}

static struct publish_port *only_port(struct publish_set *s)
{
	return container_of(s->ports.next, struct publish_port, node);
}

static enum reason admit(struct publish_set *s, const char *addr)
{
	struct endpoint e = client(addr);

	return publish_admit(only_port(s), &e);
}

static void leave(struct publish_port *p, const char *addr)
{
	struct endpoint e = client(addr);

	publish_leave(p, &e);
}

/* A removed port lets nobody in, and those inside may finish. */
static void removed_with_clients(void)
{
	struct portspec_rule r = rule("127.0.0.1/0:22");
	struct publish_set *s;
	struct publish_port *port;
	struct stage st;

	stage_open(&st);
	s = publish_bind(st.publish, &r, &plain, NULL);
	g_assert_true(publish_start(s, NULL));
	port = only_port(s);
	g_assert_cmpint(admit(s, "192.0.2.1"), ==, R_ACCEPTED);
	g_assert_cmpint(admit(s, "127.0.0.1"), ==, R_ACCEPTED);
	publish_pause(s, true);
	g_assert_cmpint(admit(s, "192.0.2.2"), ==, R_PORT_PAUSED);
	publish_pause(s, false);
	g_assert_cmpint(admit(s, "192.0.2.2"), ==, R_ACCEPTED);
	publish_remove(s);
	g_assert_cmpint(port->listener.fd, ==, -1);
	g_assert_cmpint(admit(s, "192.0.2.2"), ==, R_PORT_PAUSED);
	g_assert_cmpuint(port->clients, ==, 3);
	g_assert_cmpuint(port->turned_away, ==, 2);
	leave(port, "192.0.2.1");
	leave(port, "192.0.2.2");
	leave(port, "127.0.0.1");
	g_assert_cmpuint(st.refusals.n[R_PORT_PAUSED], ==, 2);
	stage_close(&st);
}

static struct publish_ingress ingress(const char *prefix, bool allow)
{
	struct publish_ingress i = { .allow = allow };

	g_assert_true(prefix_parse(prefix, false, &i.from, NULL, NULL));
	return i;
}

static void check_ingress(const struct publish_ingress *list, unsigned n, const char *addr, enum reason want)
{
	struct portspec_rule r = rule("127.0.0.1/0:22");
	struct publish_policy policy = { .ingress = list, .n_ingress = n };
	struct publish_set *s;
	struct stage st;

	stage_open(&st);
	s = publish_bind(st.publish, &r, &policy, NULL);
	g_assert_cmpint(admit(s, addr), ==, want);
	g_assert_cmpuint(st.refusals.n[want], ==, want ? 1 : 0);
	if (!want)
		leave(only_port(s), addr);
	stage_close(&st);
}

static void ingress_rules(void)
{
	struct publish_ingress mixed[] = { ingress("192.0.2.7/32", false), ingress("192.0.2.0/24", true), ingress("2001:db8::/32", true) };
	struct publish_ingress denies[] = { ingress("192.0.2.0/24", false) };

	check_ingress(mixed, 3, "192.0.2.7", R_INGRESS_DENIED);
	check_ingress(mixed, 3, "192.0.2.8", R_ACCEPTED);
	check_ingress(mixed, 3, "2001:db8::1", R_ACCEPTED);
	check_ingress(mixed, 3, "198.51.100.1", R_INGRESS_DENIED);
	check_ingress(denies, 1, "192.0.2.8", R_INGRESS_DENIED);
	check_ingress(denies, 1, "198.51.100.1", R_ACCEPTED);
	check_ingress(denies, 1, "2001:db8::1", R_ACCEPTED);
	check_ingress(NULL, 0, "198.51.100.1", R_ACCEPTED);
}

/* Each cap holds, is told apart from the other, and gives the place back. */
static void caps(void)
{
	struct portspec_rule r = rule("127.0.0.1/0:22");
	struct publish_policy policy = { .max_clients = 6, .max_source = 2 };
	struct publish_set *s;
	struct stage st;

	stage_open(&st);
	s = publish_bind(st.publish, &r, &policy, NULL);
	g_assert_cmpint(admit(s, "192.0.2.1"), ==, R_ACCEPTED);
	g_assert_cmpint(admit(s, "192.0.2.1"), ==, R_ACCEPTED);
	g_assert_cmpint(admit(s, "192.0.2.1"), ==, R_SOURCE_CAP);
	g_assert_cmpint(admit(s, "192.0.2.2"), ==, R_ACCEPTED);
	leave(only_port(s), "192.0.2.1");
	g_assert_cmpint(admit(s, "192.0.2.1"), ==, R_ACCEPTED);
	for (int i = 0; i < 3; i++)
		g_assert_cmpint(admit(s, "127.0.0.1"), ==, R_ACCEPTED); /* cannot be told apart */
	g_assert_cmpint(admit(s, "127.0.0.1"), ==, R_PORT_CAP);
	g_assert_cmpint(admit(s, "192.0.2.3"), ==, R_PORT_CAP);
	g_assert_cmpuint(st.refusals.n[R_SOURCE_CAP], ==, 1);
	g_assert_cmpuint(st.refusals.n[R_PORT_CAP], ==, 2);
	for (int i = 0; i < 3; i++)
		leave(only_port(s), "127.0.0.1");
	leave(only_port(s), "192.0.2.1");
	leave(only_port(s), "192.0.2.1");
	leave(only_port(s), "192.0.2.2");
	stage_close(&st);
}

/* The table of sources is as large as the clients that are in, and empty afterwards. */
static void flood(void)
{
	struct portspec_rule r = rule("127.0.0.1/0:22");
	struct publish_policy policy = { .max_clients = 1000000 };
	struct endpoint e = client("10.0.0.1");
	uint32_t refused = 0, let_in = 0;
	struct publish_set *s;
	struct stage st;

	stage_open(&st);
	s = publish_bind(st.publish, &r, &policy, NULL);
	for (uint32_t i = 0; i < 2 * PUBLISH_CLIENTS_MAX; i++) {
		e.addr.b[14] = (uint8_t)(i >> 8);
		e.addr.b[13] = (uint8_t)(i >> 16);
		e.addr.b[15] = (uint8_t)i;
		if (publish_admit(only_port(s), &e))
			refused++;
		else
			let_in++;
	}
	g_assert_cmpuint(let_in, ==, PUBLISH_CLIENTS_MAX);
	g_assert_cmpuint(st.refusals.n[R_PORT_CAP], ==, refused);
	for (uint32_t i = 0; i < let_in; i++) {
		e.addr.b[14] = (uint8_t)(i >> 8);
		e.addr.b[13] = (uint8_t)(i >> 16);
		e.addr.b[15] = (uint8_t)i;
		publish_leave(only_port(s), &e);
	}
	g_assert_cmpuint(only_port(s)->clients, ==, 0);
	stage_close(&st);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/publish/all_or_nothing", all_or_nothing);
	g_test_add_func("/publish/ids", ids);
	g_test_add_func("/publish/start", start);
	g_test_add_func("/publish/passed_in", passed_in);
	g_test_add_func("/publish/removed_with_clients", removed_with_clients);
	g_test_add_func("/publish/ingress", ingress_rules);
	g_test_add_func("/publish/caps", caps);
	g_test_add_func("/publish/flood", flood);
	return g_test_run();
}
