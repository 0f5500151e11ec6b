/* fallback.h - who takes a flow that nobody else claims: an ordered registry of handlers.
 *
 * What it is: the decision, made while the SYN is held.  Handlers are asked in the order of their registration; each declines, claims,
 * rejects, or says later.  The first claim or rejection ends the walk; all declining, none there, a cap or a deadline close the flow:
 * fail closed.  A port costs an accounting entry while it has flows, and never a listener.
 * What it is not: a user of sockets or clocks; the owner holds the SYN, tells the time, and carries what is claimed.
 * Times: int64_t microseconds, monotonic.
 * Re-entrance: a handler may add and remove handlers, itself too, and answer at once or later; what it registers is not asked about the flow
 * under way.  `done` is called once for each fallback_ask() unless fallback_leave() comes first, from within that call, fallback_answer(),
 * fallback_remove() or fallback_expire(); it may call fallback_leave() and nothing else of this registry.
 * Contract C47-C59, D11, D12.
 * Below: slirp/base.  Above: gateway/.
 */
#ifndef PUBLISH_FALLBACK_H
#define PUBLISH_FALLBACK_H

#include "slirp/base/addr.h"
#include "slirp/base/htab.h"
#include "slirp/base/reason.h"
#include "slirp/base/siphash.h"
#include "slirp/base/timerq.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	FALLBACK_PORTS_MAX = 1024,	/* different ports with flows */
	FALLBACK_PORT_FLOWS_MAX = 512,	/* asked about or claimed, of one port */
	FALLBACK_SOURCE_FLOWS_MAX = 1024, /* of one source address */
	FALLBACK_FLOWS_MAX = 4096,
	FALLBACK_VERDICT_US = 2 * 1000 * 1000, /* a handler that has not answered by then has declined */
};

enum fallback_verdict {
	FALLBACK_DECLINE,
	FALLBACK_CLAIM,
	FALLBACK_REJECT,
	FALLBACK_LATER, /* fallback_answer() follows */
};

struct fallback;
struct fallback_ask;

/* Who asks for what: src has begun the flow, dst is what it has dialed. */
struct fallback_question {
	struct endpoint src, dst;
	bool inbound; /* src is a client of a published port; else the guest */
};

struct fallback_handler {
	/* token is for fallback_answer(), in case of FALLBACK_LATER. */
	enum fallback_verdict (*ask)(const struct fallback_question *q, uint64_t token, void *arg);
	void (*free)(void *arg); /* after the removal; may be NULL */
	void *arg;
};

/* One flow under way; the owner embeds it.  Zeroed: not asked about. */
struct fallback_ask {
	struct fallback_question q;
	void (*done)(struct fallback_ask *a, enum reason why); /* R_ACCEPTED: claimed; it counts until fallback_leave() */
	uint64_t handler;	  /* whose answer it waits for, or who claimed it */
	uint64_t last;		  /* the last one registered when the walk began */
	uint64_t token;		  /* of the question to that handler; 0: it waits for nobody */
	struct htab_node waiting; /* by token */
	struct timer timer;
	bool counted;
};

/* key: random, sources are chosen by outsiders.  NULL: no memory. */
struct fallback *fallback_new(const struct siphash_key *key);
/* Every flow must have left.  Handlers are freed.  NULL is a no-op. */
void fallback_free(struct fallback *f);

/* Returns the handler's id: ascending, never 0, never used again. */
uint64_t fallback_add(struct fallback *f, const struct fallback_handler *h);
/* Flows that wait for its answer are as if it had declined; claimed flows stay.  False: no such handler. */
bool fallback_remove(struct fallback *f, uint64_t id, int64_t now);
/* Is there anybody to ask?  If not, a flow that nobody claims is refused as if there were no registry. */
bool fallback_any(const struct fallback *f);

/* Asks the handlers about q; `done` tells how it ended. */
void fallback_ask(struct fallback *f, struct fallback_ask *a, const struct fallback_question *q, int64_t now);
/* The late answer to a question; FALLBACK_LATER is a decline.  Ignored when it is no longer awaited, or from a flow that has gone. */
void fallback_answer(struct fallback *f, uint64_t token, enum fallback_verdict v, int64_t now);
/* The flow has ended, claimed or not; harmless when it is not counted.  `done` is not called any more. */
void fallback_leave(struct fallback *f, struct fallback_ask *a);

/* Deadlines that have passed; when the next one is, or TIMERQ_NEVER. */
void fallback_expire(struct fallback *f, int64_t now);
int64_t fallback_deadline(const struct fallback *f);

struct fallback_stats {
	uint32_t handlers, flows, ports;
	uint64_t asked, claimed, declined, rejected, timed_out, capped;
};
void fallback_stats(const struct fallback *f, struct fallback_stats *ret);

#endif
