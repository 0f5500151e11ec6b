/* states.c - which event met a connection in which state: script-runner --states prints it, tests/lint/check_tables.py makes a table.
 *
 * An event is a line of the script, or a deadline; the state is the one in which it found the connection, none and time-wait among them.
 * Below: play.h, slirp.  Above: play.c, guest.c, host.c.
 */
#include "slirp/stack_state.h"
#include "slirp/tcp_timer.h"
#include "slirp/wire/l4_wire.h"
#include "tests/scripts/play.h"

#include <string.h>

static const char *states_name(struct play *p, const struct conn *c)
{
	struct tuple t;

	if (c->flow)
		return tcp_conn_state_name(c->flow->c.state);
	memset(&t, 0, sizeof(t));
	t.guest = c->guest;
	t.far = c->far;
	return tcp_tw_find(&p->st->tw, &t, stack_hash(p->st, &t), p->now) ? "TIME_WAIT" : "none";
}

static void states_note(struct play *p, const struct conn *c, const char *event)
{
	if (p->states)
		g_hash_table_add(p->states, g_strdup_printf("%s/%s", states_name(p, c), event));
}

void states_guest(struct play *p, const struct conn *c, uint8_t flags, uint32_t len)
{
	states_note(p, c,
		    flags & TCP_RST ? "RST" :
		    flags & TCP_SYN ? (flags & TCP_ACK ? "SYN-ACK" : "SYN") :
		    flags & TCP_FIN ? "FIN" :
		    len		    ? "data" :
				      "ACK");
}

void states_host(struct play *p, const struct conn *c, const char *verb)
{
	static const char *const names[][2] = {
		{ "connected", "host connected" }, { "refused", "host refused" }, { "denied", "host refused" },
		{ "timeout", "host refused" },	   { "unreachable", "host refused" }, { "refuse", "host refused" },
		{ "connect", "host connects" },	   { "sends", "host data" },	   { "eof", "host EOF" },
		{ "reset", "host fails" },	   { "fails", "host fails" },	   { "touch", "host room" },
		{ "space", "host room" },	   { "drops", "gateway drops" },
	};

	for (size_t i = 0; p->states && verb && i < G_N_ELEMENTS(names); i++)
		if (!strcmp(names[i][0], verb))
			states_note(p, c, names[i][1]);
}

void states_time(struct play *p)
{
	GHashTableIter i;
	gpointer c;

	g_hash_table_iter_init(&i, p->conns);
	while (p->states && g_hash_table_iter_next(&i, NULL, &c)) {
		const struct conn *conn = c;

		if (conn->flow && conn->flow->c.timer.slot && conn->flow->c.timer.at <= p->now)
			states_note(p, conn, "time");
	}
}
