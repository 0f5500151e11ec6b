/* publish.c - the registry of published ports.  See publish.h. */
#include "publish/publish.h"

#include "slirp/base/htab.h"

#include <string.h>

struct publish {
	struct publish_host *host;
	struct siphash_key key;
	struct reason_tally *refusals;
	struct list sets; /* struct publish_set that can be found */
	struct htab sources;
	uint32_t last_id, clients, ports;
};

/* The clients of one address in one set. */
struct publish_origin {
	struct htab_node node;
	struct addr addr;
	uint32_t set_id, clients;
};

static const char *const publish_sources[] = {
	[PUBLISH_SOURCE_CLIENT] = "client",
	[PUBLISH_SOURCE_GATEWAY] = "gateway",
	[PUBLISH_SOURCE_PROXY1] = "proxy1",
	[PUBLISH_SOURCE_PROXY2] = "proxy2",
};

const char *publish_source_name(enum publish_source s)
{
	return publish_sources[s];
}

bool publish_source_parse(const char *name, enum publish_source *ret)
{
	for (size_t i = 0; i < sizeof(publish_sources) / sizeof(publish_sources[0]); i++)
		if (!strcmp(name, publish_sources[i])) {
			*ret = (enum publish_source)i;
			return true;
		}
	return false;
}

struct publish *publish_new(struct publish_host *host, const struct siphash_key *key, struct reason_tally *refusals)
{
	struct publish *p = g_new0(struct publish, 1);

	p->host = host;
	p->key = *key;
	p->refusals = refusals;
	list_init(&p->sets);
	if (!htab_init(&p->sources)) {
		g_free(p);
		return NULL;
	}
	return p;
}

void publish_free(struct publish *p)
{
	struct publish_set *s;

	if (!p)
		return;
	while ((s = publish_next(p, NULL)))
		publish_remove(s);
	htab_clear(&p->sources);
	g_free(p);
}

struct publish_set *publish_next(const struct publish *p, const struct publish_set *s)
{
	const struct list *at = s ? s->node.next : p->sets.next;

	return at == &p->sets ? NULL : container_of(at, struct publish_set, node);
}

struct publish_host *publish_owner(const struct publish_port *port)
{
	return port->set->publish->host;
}

struct publish_set *publish_find(const struct publish *p, uint32_t id)
{
	for (struct publish_set *s = publish_next(p, NULL); s; s = publish_next(p, s))
		if (s->id == id)
			return s;
	return NULL;
}

static void publish_port_drop(struct publish_port *port)
{
	list_unlink(&port->node);
	g_free(port);
}

/* A removed set goes with its last port. */
static void publish_set_settle(struct publish_set *s)
{
	if (!s->removed || !list_empty(&s->ports))
		return;
	g_free((void *)s->policy.ingress);
	g_free(s);
}

static void publish_port_close(struct publish_port *port)
{
	struct publish *p = port->set->publish;

	if (port->listener.fd < 0)
		return;
	if (port->watch)
		p->host->unwatch(p->host, port);
	port->watch = NULL;
	listener_close(&port->listener);
	p->ports--;
}

void publish_remove(struct publish_set *s)
{
	struct list *next;

	if (s->removed)
		return;
	list_unlink(&s->node);
	for (struct list *at = s->ports.next; at != &s->ports; at = at->next)
		publish_port_close(container_of(at, struct publish_port, node)); /* clients of UDP leave with it */
	s->removed = true;
	for (struct list *at = s->ports.next; at != &s->ports; at = next) {
		struct publish_port *port = container_of(at, struct publish_port, node);

		next = at->next;
		if (!port->clients)
			publish_port_drop(port);
	}
	publish_set_settle(s);
}

static struct publish_set *publish_set_new(struct publish *p, const struct portspec_rule *rule, const struct publish_policy *policy)
{
	struct publish_set *s = g_new0(struct publish_set, 1);

	s->publish = p;
	s->rule = *rule;
	s->policy = *policy;
	s->policy.ingress = g_memdup2(policy->ingress, policy->n_ingress * sizeof(*policy->ingress));
	if (!s->policy.max_clients)
		s->policy.max_clients = PUBLISH_PORT_CLIENTS_MAX;
	if (!s->policy.max_source)
		s->policy.max_source = PUBLISH_SOURCE_CLIENTS_MAX;
	list_init(&s->ports);
	s->id = ++p->last_id;
	list_push_tail(&p->sets, &s->node);
	return s;
}

static void publish_port_add(struct publish_set *s, const struct listener *l, uint16_t to_port)
{
	struct publish_port *port = g_new0(struct publish_port, 1);

	port->listener = *l;
	port->set = s;
	port->to_port = to_port;
	list_push_tail(&s->ports, &port->node);
	s->publish->ports++;
}

/* The n-th port of the set's rule; a weak rule does without. */
static bool publish_bind_nth(struct publish_set *s, uint32_t n, GError **err)
{
	struct listener l = { .fd = -1 };
	g_autoptr(GError) why = NULL;

	if (s->publish->ports >= PUBLISH_PORTS_MAX) {
		g_set_error(err, LISTENER_ERROR, LISTENER_ERROR_RESOURCES, "There are %d published ports already", PUBLISH_PORTS_MAX);
		return false;
	}
	if (listener_bind(&l, &s->rule, (uint16_t)(s->rule.first + n), s->policy.freebind, &why)) {
		publish_port_add(s, &l, (uint16_t)(s->rule.to_first + n));
		return true;
	}
	if (s->rule.weak) {
		s->left_out++;
		return true;
	}
	g_propagate_error(err, g_steal_pointer(&why));
	return false;
}

struct publish_set *publish_bind(struct publish *p, const struct portspec_rule *rule, const struct publish_policy *policy, GError **err)
{
	struct publish_set *s = publish_set_new(p, rule, policy);

	for (uint32_t n = 0; n < portspec_count(rule); n++)
		if (!publish_bind_nth(s, n, err)) {
			publish_remove(s);
			return NULL;
		}
	return s;
}

struct publish_set *publish_adopt(struct publish *p, int fd, const struct portspec_rule *rule, const struct publish_policy *policy, GError **err)
{
	struct listener l = { .fd = -1 };
	struct publish_set *s;

	if (!listener_adopt(&l, fd, err))
		return NULL;
	s = publish_set_new(p, rule, policy);
	s->rule.proto = l.proto;
	publish_port_add(s, &l, rule->to_first);
	return s;
}

bool publish_start(struct publish_set *s, GError **err)
{
	struct publish_host *host = s->publish->host;

	for (struct list *at = s->ports.next; at != &s->ports; at = at->next) {
		struct publish_port *port = container_of(at, struct publish_port, node);

		if (port->watch)
			continue;
		if (!listener_start(&port->listener, err) || !host->watch(host, port, err)) {
			publish_remove(s);
			return false;
		}
	}
	s->started = true;
	return true;
}

void publish_pause(struct publish_set *s, bool paused)
{
	s->paused = paused;
}

static enum reason publish_ingress(const struct publish_policy *policy, const struct addr *client)
{
	bool allows = false;

	for (unsigned i = 0; i < policy->n_ingress; i++) {
		const struct publish_ingress *rule = &policy->ingress[i];

		if (prefix_contains(&rule->from, client))
			return rule->allow ? R_ACCEPTED : R_INGRESS_DENIED;
		allows |= rule->allow;
	}
	return allows ? R_INGRESS_DENIED : R_ACCEPTED;
}

static uint32_t publish_origin_hash(const struct publish *p, const struct publish_set *s, const struct addr *a)
{
	struct {
		struct addr addr;
		uint32_t id;
	} key = { *a, s->id };

	return (uint32_t)siphash(&p->key, &key, sizeof(key));
}

static struct publish_origin *publish_origin_find(const struct publish *p, const struct publish_set *s, const struct addr *a, uint32_t hash)
{
	for (struct htab_node *n = htab_first(&p->sources, hash); n; n = htab_next(&p->sources, n)) {
		struct publish_origin *o = container_of(n, struct publish_origin, node);

		if (o->set_id == s->id && addr_eq(&o->addr, a))
			return o;
	}
	return NULL;
}

/* Local clients, and those of Unix sockets, are all alike: they cannot be counted apart. */
static bool publish_counted_apart(const struct endpoint *client)
{
	return !addr_is_loopback(&client->addr) && client->port;
}

static enum reason publish_origin_enter(struct publish_set *s, const struct endpoint *client)
{
	struct publish *p = s->publish;
	uint32_t hash = publish_origin_hash(p, s, &client->addr);
	struct publish_origin *o = publish_origin_find(p, s, &client->addr, hash);

	if (o && o->clients >= s->policy.max_source)
		return R_SOURCE_CAP;
	if (!o) {
		o = g_try_new0(struct publish_origin, 1);
		if (!o)
			return R_NO_MEMORY;
		o->addr = client->addr;
		o->set_id = s->id;
		htab_insert(&p->sources, &o->node, hash);
	}
	o->clients++;
	return R_ACCEPTED;
}

static enum reason publish_judge(struct publish_port *port, const struct endpoint *client)
{
	struct publish_set *s = port->set;
	enum reason why;

	if (s->paused || s->removed)
		return R_PORT_PAUSED;
	why = publish_ingress(&s->policy, &client->addr);
	if (why)
		return why;
	if (port->clients >= s->policy.max_clients || s->publish->clients >= PUBLISH_CLIENTS_MAX)
		return R_PORT_CAP;
	return publish_counted_apart(client) ? publish_origin_enter(s, client) : R_ACCEPTED;
}

enum reason publish_admit(struct publish_port *port, const struct endpoint *client)
{
	enum reason why = publish_judge(port, client);

	if (why) {
		port->turned_away++;
		return reason_count(port->set->publish->refusals, why);
	}
	port->clients++;
	port->let_in++;
	port->set->publish->clients++;
	return R_ACCEPTED;
}

static void publish_origin_leave(struct publish_set *s, const struct endpoint *client)
{
	uint32_t hash = publish_origin_hash(s->publish, s, &client->addr);
	struct publish_origin *o = publish_origin_find(s->publish, s, &client->addr, hash);

	if (!o || --o->clients)
		return;
	htab_remove(&s->publish->sources, &o->node);
	g_free(o);
}

void publish_leave(struct publish_port *port, const struct endpoint *client)
{
	struct publish_set *s = port->set;

	port->clients--;
	s->publish->clients--;
	if (publish_counted_apart(client))
		publish_origin_leave(s, client);
	if (!s->removed || port->clients)
		return;
	publish_port_drop(port);
	publish_set_settle(s);
}
