/* stage.c - six calls over a ring and a function.  See stage.h. */
#include "gateway/stage.h"

#include "slirp/base/list.h"

#include <errno.h>
#include <string.h>

static struct stage *stage_of(struct upstream *up)
{
	return container_of(up, struct stage, up);
}

/* The piece of the ring that begins `off` bytes behind its head. */
static uint32_t stage_piece(struct stage *s, uint32_t off, uint32_t max, uint8_t **ret)
{
	uint32_t at = (s->head + off) % STAGE_SIZE, len = STAGE_SIZE - at;

	*ret = s->ring + at;
	return len < max ? len : max;
}

static ssize_t stage_peek(struct upstream *up, uint32_t off, const struct iovec *iov, int n)
{
	struct stage *s = stage_of(up);
	uint32_t left = off < s->used ? s->used - off : 0, got = 0;

	if (!left)
		return s->eof ? 0 : -EAGAIN;
	for (int i = 0; i < n; i++) {
		uint32_t done = 0;

		while (done < iov[i].iov_len && left) {
			uint8_t *p;
			uint32_t room = (uint32_t)iov[i].iov_len - done, len = stage_piece(s, off + got, room < left ? room : left, &p);

			memcpy((uint8_t *)iov[i].iov_base + done, p, len);
			done += len;
			got += len;
			left -= len;
		}
	}
	return got;
}

static void stage_consume(struct upstream *up, uint32_t n)
{
	struct stage *s = stage_of(up);
	bool full = s->used >= STAGE_SIZE / 2;

	if (n > s->used)
		n = s->used;
	s->head = (s->head + n) % STAGE_SIZE;
	s->used -= n;
	if (full && s->used < STAGE_SIZE / 2 && s->drained)
		s->drained(s->drained_arg);
}

static ssize_t stage_write(struct upstream *up, const struct iovec *iov, int n)
{
	struct stage *s = stage_of(up);
	ssize_t total = 0;

	for (int i = 0; i < n; i++) {
		if (iov[i].iov_len && s->write)
			s->write(iov[i].iov_base, iov[i].iov_len, s->write_arg);
		total += (ssize_t)iov[i].iov_len;
	}
	return total;
}

/* The application has no way to say that it has ended, so it ends with the guest. */
static void stage_shutdown(struct upstream *up)
{
	stage_of(up)->eof = true;
}

static void stage_abort(struct upstream *up)
{
	stage_of(up)->used = 0;
}

static uint32_t stage_space(struct upstream *up)
{
	return STAGE_SIZE;
}

void stage_init(struct stage *s)
{
	static const struct upstream_ops ops = {
		.peek = stage_peek,
		.consume = stage_consume,
		.write = stage_write,
		.shutdown = stage_shutdown,
		.abort = stage_abort,
		.space = stage_space,
	};

	s->up.ops = &ops;
}

uint32_t stage_room(const struct stage *s)
{
	return s->eof || s->used >= STAGE_SIZE / 2 ? 0 : STAGE_SIZE - s->used;
}

bool stage_push(struct stage *s, const uint8_t *buf, uint32_t len)
{
	uint32_t done = 0;

	if (len > STAGE_SIZE - s->used)
		return false;
	while (done < len) {
		uint8_t *p;
		uint32_t n = stage_piece(s, s->used, len - done, &p);

		memcpy(p, buf + done, n);
		s->used += n;
		done += n;
	}
	return true;
}

uint32_t stage_copy(const struct stage *s, uint8_t *buf, uint32_t max)
{
	uint32_t n = s->used < max ? s->used : max;

	for (uint32_t i = 0; i < n; i++)
		buf[i] = s->ring[(s->head + i) % STAGE_SIZE];
	return n;
}
