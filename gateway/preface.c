/* preface.c - an upstream with a few bytes in front.  See preface.h. */
#include "gateway/preface.h"

#include "slirp/base/list.h"

#include <string.h>

static struct preface *preface_of(struct upstream *up)
{
	return container_of(up, struct preface, up);
}

static ssize_t preface_peek(struct upstream *up, uint32_t off, const struct iovec *iov, int n)
{
	struct preface *p = preface_of(up);
	uint32_t left = (uint32_t)p->len - p->taken, done = 0;

	if (off >= left)
		return p->below->ops->peek(p->below, off - left, iov, n);
	for (int i = 0; i < n && off < left; i++) {
		uint32_t len = left - off < iov[i].iov_len ? left - off : (uint32_t)iov[i].iov_len;

		memcpy(iov[i].iov_base, p->bytes + p->taken + off, len);
		off += len;
		done += len;
	}
	return done;
}

static void preface_consume(struct upstream *up, uint32_t n)
{
	struct preface *p = preface_of(up);
	uint32_t left = (uint32_t)p->len - p->taken, own = n < left ? n : left;

	p->taken = (uint8_t)(p->taken + own);
	if (n > own)
		p->below->ops->consume(p->below, n - own);
}

static ssize_t preface_write(struct upstream *up, const struct iovec *iov, int n)
{
	struct upstream *below = preface_of(up)->below;

	return below->ops->write(below, iov, n);
}

static void preface_shutdown(struct upstream *up)
{
	struct upstream *below = preface_of(up)->below;

	below->ops->shutdown(below);
}

static void preface_abort(struct upstream *up)
{
	struct upstream *below = preface_of(up)->below;

	below->ops->abort(below);
}

static uint32_t preface_space(struct upstream *up)
{
	struct upstream *below = preface_of(up)->below;

	return below->ops->space(below);
}

void preface_init(struct preface *p, struct upstream *below, const uint8_t *bytes, uint8_t len)
{
	static const struct upstream_ops ops = {
		.peek = preface_peek,
		.consume = preface_consume,
		.write = preface_write,
		.shutdown = preface_shutdown,
		.abort = preface_abort,
		.space = preface_space,
	};

	p->up.ops = &ops;
	p->below = below;
	p->len = len;
	p->taken = 0;
	memcpy(p->bytes, bytes, len);
}
