/* tftp.c - a TFTP server for the guest.  See tftp.h. */
#include "gateway/tftp.h"

#include "gateway/journal.h"
#include "gateway/tftp_file.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"
#include "slirp/wire/tftp_wire.h"

#include <errno.h>
#include <glib.h>
#include <unistd.h>

enum { TFTP_MESSAGE_MAX = 1536 }; /* the longest request that is looked at */

/* One transfer. */
struct tftp_session {
	struct tuple t;
	int fd;		   /* -1: free */
	struct tftp_options options; /* agreed on */
	uint64_t block;	   /* under way; 0: the acknowledgement of options */
	bool last;	   /* it is the file's last one */
	bool wants;	   /* it goes (again) with the next flush */
	unsigned tries;
	int64_t again;	   /* when it goes again */
	uint64_t used;	   /* when the guest was last heard, in messages */
};

/* A request that was refused: what the guest is told. */
struct tftp_refusal {
	struct tuple t;
	enum tftp_code code;
	const char *text;
};

struct tftp {
	struct tftp_env env;
	struct tftp_dir dir;
	struct tftp_session sessions[TFTP_SESSIONS];
	struct tftp_refusal refusals[TFTP_ERRORS];
	unsigned n_refusals;
	uint64_t messages;
	struct loop_timer timer;
	struct journal_limit said;
};

/* ---- sessions */

static struct tftp_session *tftp_find(struct tftp *f, const struct tuple *t)
{
	for (unsigned i = 0; i < TFTP_SESSIONS; i++)
		if (f->sessions[i].fd >= 0 && tuple_eq(&f->sessions[i].t, t))
			return &f->sessions[i];
	return NULL;
}

static void tftp_end(struct tftp_session *s)
{
	close(s->fd);
	*s = (struct tftp_session){ .fd = -1 };
}

/* A free one, or the one that was quiet for longest. */
static struct tftp_session *tftp_place(struct tftp *f)
{
	struct tftp_session *oldest = &f->sessions[0];

	for (unsigned i = 0; i < TFTP_SESSIONS; i++) {
		if (f->sessions[i].fd < 0)
			return &f->sessions[i];
		if (f->sessions[i].used < oldest->used)
			oldest = &f->sessions[i];
	}
	reason_count(f->env.drops, R_TFTP_EVICTED);
	tftp_end(oldest);
	return oldest;
}

unsigned tftp_sessions(const struct tftp *f)
{
	unsigned n = 0;

	for (unsigned i = 0; i < TFTP_SESSIONS; i++)
		n += f->sessions[i].fd >= 0;
	return n;
}

/* The next deadline of all; at once when something waits for tftp_flush(). */
static void tftp_schedule(struct tftp *f)
{
	int64_t first = TIMERQ_NEVER;

	for (unsigned i = 0; i < TFTP_SESSIONS; i++)
		if (f->sessions[i].fd >= 0 && f->sessions[i].again < first)
			first = f->sessions[i].again;
	loop_timer_set(f->env.loop, &f->timer, first); /* no memory: the next message tries again */
}

/* ---- what the guest asks for */

static enum reason tftp_refuse(struct tftp *f, const struct tuple *t, enum tftp_code code, const char *text)
{
	if (f->n_refusals < TFTP_ERRORS)
		f->refusals[f->n_refusals++] = (struct tftp_refusal){ *t, code, text };
	return R_TFTP_REFUSED;
}

static enum reason tftp_refuse_file(struct tftp *f, const struct tuple *t, int err)
{
	switch (-err) {
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
		return tftp_refuse(f, t, TFTP_E_NOT_FOUND, "File not found");
	case EACCES:
	case EPERM:
		return tftp_refuse(f, t, TFTP_E_ACCESS, "Access violation");
	default:
		return tftp_refuse(f, t, TFTP_E_OTHER, "The file cannot be opened");
	}
}

/* What of the request's options holds. */
static struct tftp_options tftp_agree(const struct tftp *f, const struct tftp_msg *m, const struct tuple *t, uint64_t size)
{
	uint32_t mtu = stack_cfg(f->env.stack)->link.mtu, headers = ip_wire_hdr_len(!addr_is_v4(&t->guest.addr)) + UDP_HDR_LEN + TFTP_HDR_LEN;
	uint32_t most = mtu > headers + TFTP_BLKSIZE_MIN ? mtu - headers : TFTP_BLKSIZE_MIN;
	struct tftp_options o = m->asked;

	most = MIN(most, TFTP_BLKSIZE_OURS);
	o.blksize = o.has_blksize ? (uint16_t)MIN(o.blksize, most) : TFTP_BLKSIZE_DEFAULT;
	o.tsize = size;
	return o;
}

static enum reason tftp_request(struct tftp *f, const struct tuple *t, const struct tftp_msg *m, int64_t now)
{
	struct tftp_session *s = tftp_find(f, t);
	char to[ADDR_STRLEN];
	uint64_t size;
	int fd;

	if (s)
		tftp_end(s); /* it begins anew */
	if (m->op == TFTP_WRQ)
		return tftp_refuse(f, t, TFTP_E_ACCESS, "Access violation");
	if (!tftp_wire_is_octet(m->mode))
		return tftp_refuse(f, t, TFTP_E_ILLEGAL, "Unsupported transfer mode");
	fd = tftp_file_open(&f->dir, m->name, &size);
	journal_limited(f->env.journal, &f->said, now, JOURNAL_INFO, "tftp: %s asks for %s: %s", addr_format(&t->guest.addr, to), m->name,
			fd < 0 ? g_strerror(-fd) : "it is served");
	if (fd < 0)
		return tftp_refuse_file(f, t, fd);
	s = tftp_place(f);
	*s = (struct tftp_session){ .t = *t, .fd = fd, .options = tftp_agree(f, m, t, size), .wants = true, .again = TIMERQ_NEVER, .used = f->messages };
	s->block = s->options.has_blksize || s->options.has_tsize || s->options.has_timeout ? 0 : 1;
	return R_ACCEPTED;
}

static enum reason tftp_ack(struct tftp *f, const struct tuple *t, uint16_t block)
{
	struct tftp_session *s = tftp_find(f, t);

	if (!s)
		return R_TFTP_NO_TRANSFER;
	s->used = f->messages;
	if (block != (uint16_t)s->block || s->wants) /* what waits for its flush has not been seen by anybody */
		return R_TFTP_OTHER_BLOCK;
	if (s->last) {
		tftp_end(s);
		return R_ACCEPTED;
	}
	s->block++;
	s->tries = 0;
	s->wants = true;
	return R_ACCEPTED;
}

static enum reason tftp_judge(struct tftp *f, const struct tuple *t, const struct tftp_msg *m, int64_t now)
{
	struct tftp_session *s;

	switch (m->op) {
	case TFTP_RRQ:
	case TFTP_WRQ:
		return tftp_request(f, t, m, now);
	case TFTP_ACK:
		return tftp_ack(f, t, m->number);
	case TFTP_ERROR:
		s = tftp_find(f, t);
		if (!s)
			return R_TFTP_NO_TRANSFER;
		tftp_end(s);
		return R_ACCEPTED;
	default:
		return R_TFTP_MALFORMED; /* a server's message */
	}
}

static enum reason tftp_in(struct tftp *f, const struct tuple *t, const struct iovec *data, int n, uint32_t len, int64_t now)
{
	uint8_t buf[TFTP_MESSAGE_MAX];
	struct tftp_msg m;
	uint32_t at = 0;
	enum reason r;

	if (len > sizeof(buf))
		return R_TFTP_MALFORMED;
	for (int i = 0; i < n; at += (uint32_t)data[i++].iov_len)
		memcpy(buf + at, data[i].iov_base, data[i].iov_len);
	f->messages++;
	r = tftp_wire_parse(buf, len, &m);
	if (!r)
		r = tftp_judge(f, t, &m, now);
	return r;
}

bool tftp_takes(struct tftp *f, const struct tuple *t, const struct dgram_meta *m, const struct iovec *data, int n, uint32_t len,
		int64_t now, enum reason *ret)
{
	const struct stack_config *cfg;

	if (!f || t->far.port != TFTP_PORT)
		return false;
	cfg = stack_cfg(f->env.stack);
	if (!addr_eq(&t->far.addr, addr_is_v4(&t->far.addr) ? &cfg->gw4 : &cfg->gw6))
		return false;
	*ret = m->gso_size ? R_TFTP_MALFORMED : tftp_in(f, t, data, n, len, now);
	return true;
}

/* ---- what it is sent */

static void tftp_to_guest(struct tftp *f, const struct tuple *t, uint8_t *p, uint32_t len)
{
	stack_dgram(f->env.stack, t, &(struct dgram_meta){ 0 }, &(struct iovec){ p, len }, 1, len); /* no room: it goes again */
}

static void tftp_tell(struct tftp *f, const struct tuple *t, enum tftp_code code, const char *text)
{
	uint8_t p[TFTP_REPLY_MAX];

	tftp_to_guest(f, t, p, tftp_wire_put_error(p, code, text));
}

static void tftp_send_block(struct tftp *f, struct tftp_session *s)
{
	uint8_t p[TFTP_HDR_LEN + TFTP_BLKSIZE_OURS];
	ssize_t n = pread(s->fd, p + TFTP_HDR_LEN, s->options.blksize, (off_t)((s->block - 1) * s->options.blksize));

	if (n < 0) {
		reason_count(f->env.drops, R_TFTP_READ);
		tftp_tell(f, &s->t, TFTP_E_OTHER, "The file cannot be read");
		tftp_end(s);
		return;
	}
	tftp_wire_put_data(p, (uint16_t)s->block);
	s->last = n < s->options.blksize;
	tftp_to_guest(f, &s->t, p, TFTP_HDR_LEN + (uint32_t)n);
}

static void tftp_send(struct tftp *f, struct tftp_session *s, int64_t now)
{
	uint8_t p[TFTP_REPLY_MAX];
	int64_t wait = s->options.has_timeout ? s->options.timeout * TFTP_AGAIN : MIN(TFTP_AGAIN << s->tries, TFTP_AGAIN_MAX);

	s->wants = false;
	s->tries++;
	s->again = now + wait;
	if (s->block)
		tftp_send_block(f, s);
	else
		tftp_to_guest(f, &s->t, p, tftp_wire_put_oack(p, &s->options));
}

void tftp_flush(struct tftp *f, int64_t now)
{
	bool sent;

	if (!f)
		return;
	sent = f->n_refusals > 0;
	for (unsigned i = 0; i < f->n_refusals; i++)
		tftp_tell(f, &f->refusals[i].t, f->refusals[i].code, f->refusals[i].text);
	f->n_refusals = 0;
	for (unsigned i = 0; i < TFTP_SESSIONS; i++) {
		if (f->sessions[i].fd >= 0 && f->sessions[i].wants) {
			tftp_send(f, &f->sessions[i], now);
			sent = true;
		}
	}
	if (sent)
		tftp_schedule(f);
}

static void tftp_late(struct loop_timer *t, int64_t now)
{
	struct tftp *f = container_of(t, struct tftp, timer);

	for (unsigned i = 0; i < TFTP_SESSIONS; i++) {
		struct tftp_session *s = &f->sessions[i];

		if (s->fd < 0 || s->again > now)
			continue;
		if (s->tries < TFTP_TRIES) {
			s->wants = true;
			s->again = TIMERQ_NEVER; /* until it has gone */
		} else {
			reason_count(f->env.drops, R_TFTP_TIMEOUT);
			tftp_end(s);
		}
	}
	tftp_schedule(f);
}

/* ---- life */

struct tftp *tftp_new(const struct tftp_env *env, const char *path)
{
	struct tftp *f = g_try_new0(struct tftp, 1);

	if (!f)
		return NULL;
	f->env = *env;
	f->timer.fn = tftp_late;
	for (unsigned i = 0; i < TFTP_SESSIONS; i++)
		f->sessions[i].fd = -1;
	tftp_dir_init(&f->dir, path);
	return f;
}

void tftp_free(struct tftp *f)
{
	if (!f)
		return;
	loop_timer_set(f->env.loop, &f->timer, TIMERQ_NEVER);
	for (unsigned i = 0; i < TFTP_SESSIONS; i++)
		if (f->sessions[i].fd >= 0)
			tftp_end(&f->sessions[i]);
	tftp_dir_clear(&f->dir);
	g_free(f);
}
