/* tftp_wire.c - TFTP messages.  See tftp_wire.h. */
#include "slirp/wire/tftp_wire.h"

#include "slirp/base/bytes.h"

#include <glib.h>
#include <string.h>

enum { TFTP_OP_LEN = 2 };

static bool tftp_wire_is(const char *a, const char *b)
{
	return !g_ascii_strcasecmp(a, b);
}

bool tftp_wire_is_octet(const char *mode)
{
	return tftp_wire_is(mode, "octet");
}

/* The text at *at, which moves behind its NUL; NULL: there is none. */
static const char *tftp_wire_text(const uint8_t *p, uint32_t len, uint32_t *at)
{
	const char *text = (const char *)p + *at;
	const uint8_t *end = *at < len ? memchr(p + *at, 0, len - *at) : NULL;

	if (!end)
		return NULL;
	*at = (uint32_t)(end - p) + 1;
	return text;
}

/* Digits and nothing else, no more than max. */
static bool tftp_wire_number(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (!g_ascii_isdigit(*text) || v > (max - (uint64_t)(*text - '0')) / 10)
			return false;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	*ret = v;
	return true;
}

static void tftp_wire_option(struct tftp_options *o, const char *name, const char *value)
{
	uint64_t v;

	if (!o->has_blksize && tftp_wire_is(name, "blksize") && tftp_wire_number(value, TFTP_BLKSIZE_MAX, &v) && v >= TFTP_BLKSIZE_MIN) {
		o->has_blksize = true;
		o->blksize = (uint16_t)v;
	} else if (!o->has_timeout && tftp_wire_is(name, "timeout") && tftp_wire_number(value, TFTP_TIMEOUT_MAX, &v) && v) {
		o->has_timeout = true;
		o->timeout = (uint8_t)v;
	} else if (!o->has_tsize && tftp_wire_is(name, "tsize") && tftp_wire_number(value, INT64_MAX, &v)) {
		o->has_tsize = true;
		o->tsize = v;
	}
}

static enum reason tftp_wire_request(const uint8_t *p, uint32_t len, struct tftp_msg *m)
{
	uint32_t at = TFTP_OP_LEN;

	m->name = tftp_wire_text(p, len, &at);
	if (!m->name || at - TFTP_OP_LEN - 1 > TFTP_NAME_MAX)
		return R_TFTP_MALFORMED;
	m->mode = tftp_wire_text(p, len, &at);
	if (!m->mode)
		return R_TFTP_MALFORMED;
	while (at < len) {
		const char *name = tftp_wire_text(p, len, &at), *value = name ? tftp_wire_text(p, len, &at) : NULL;

		if (!value)
			return R_TFTP_MALFORMED;
		tftp_wire_option(&m->asked, name, value);
	}
	return R_ACCEPTED;
}

enum reason tftp_wire_parse(const uint8_t *p, uint32_t len, struct tftp_msg *ret)
{
	struct tftp_msg m = { 0 };
	enum reason r;

	if (len < TFTP_OP_LEN)
		return R_TFTP_MALFORMED;
	m.op = bytes_get16(p);
	if (m.op < TFTP_RRQ || m.op > TFTP_OACK)
		return R_TFTP_MALFORMED;
	if (m.op == TFTP_RRQ || m.op == TFTP_WRQ) {
		r = tftp_wire_request(p, len, &m);
		if (r)
			return r;
	} else if (m.op != TFTP_OACK) {
		if (len < TFTP_HDR_LEN)
			return R_TFTP_MALFORMED;
		m.number = bytes_get16(p + TFTP_OP_LEN);
	}
	*ret = m;
	return R_ACCEPTED;
}

void tftp_wire_put_data(uint8_t p[TFTP_HDR_LEN], uint16_t block)
{
	bytes_put16(p, TFTP_DATA);
	bytes_put16(p + TFTP_OP_LEN, block);
}

uint32_t tftp_wire_put_error(uint8_t p[TFTP_REPLY_MAX], enum tftp_code code, const char *text)
{
	size_t len;

	bytes_put16(p, TFTP_ERROR);
	bytes_put16(p + TFTP_OP_LEN, (uint16_t)code);
	g_strlcpy((char *)p + TFTP_HDR_LEN, text, TFTP_REPLY_MAX - TFTP_HDR_LEN);
	len = strlen((char *)p + TFTP_HDR_LEN);
	return TFTP_HDR_LEN + (uint32_t)len + 1;
}

static uint32_t tftp_wire_put_option(uint8_t *p, const char *name, uint64_t value)
{
	uint32_t len = (uint32_t)strlen(name) + 1;

	memcpy(p, name, len);
	return len + (uint32_t)g_snprintf((char *)p + len, 21, "%" G_GUINT64_FORMAT, value) + 1;
}

uint32_t tftp_wire_put_oack(uint8_t p[TFTP_REPLY_MAX], const struct tftp_options *o)
{
	uint32_t len = TFTP_OP_LEN;

	bytes_put16(p, TFTP_OACK);
	if (o->has_tsize)
		len += tftp_wire_put_option(p + len, "tsize", o->tsize);
	if (o->has_blksize)
		len += tftp_wire_put_option(p + len, "blksize", o->blksize);
	if (o->has_timeout)
		len += tftp_wire_put_option(p + len, "timeout", o->timeout);
	return len;
}
