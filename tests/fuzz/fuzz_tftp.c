/* fuzz_tftp.c - a guest's TFTP message, any bytes.
 *
 * What is held: bounds (the copy is exact); of what is accepted: the texts end inside the message, no name is longer than allowed, every option is in
 * its range, and the options written as an answer read back as the options of a request.
 * Below: slirp/wire/tftp_wire.h.  Above: tests/meson.build.  Corpus: tests/fuzz/corpus/fuzz_tftp.
 */
#include "slirp/wire/tftp_wire.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static void fuzz_check(bool good)
{
	if (!good)
		abort();
}

/* An answer's options behind a name and a mode are a request's. */
static void fuzz_again(const struct tftp_options *o)
{
	uint8_t p[10 + TFTP_REPLY_MAX] = { 0, TFTP_RRQ, 'f', 0, 'o', 'c', 't', 'e', 't', 0 }, oack[TFTP_REPLY_MAX];
	uint32_t len = tftp_wire_put_oack(oack, o);
	struct tftp_msg m;

	fuzz_check(len >= 2 && len <= TFTP_REPLY_MAX && oack[1] == TFTP_OACK);
	memcpy(p + 10, oack + 2, len - 2);
	fuzz_check(!tftp_wire_parse(p, 10 + len - 2, &m) && m.asked.has_blksize == o->has_blksize && m.asked.has_timeout == o->has_timeout &&
		   m.asked.has_tsize == o->has_tsize);
	fuzz_check(m.asked.blksize == o->blksize && m.asked.timeout == o->timeout && m.asked.tsize == o->tsize);
}

static void fuzz_request(const uint8_t *p, size_t len, const struct tftp_msg *m)
{
	const char *end = (const char *)p + len;
	const struct tftp_options *o = &m->asked;

	fuzz_check(m->name == (const char *)p + 2 && strlen(m->name) <= TFTP_NAME_MAX);
	fuzz_check(m->mode == m->name + strlen(m->name) + 1 && m->mode + strlen(m->mode) < end);
	fuzz_check(!o->has_blksize || (o->blksize >= TFTP_BLKSIZE_MIN && o->blksize <= TFTP_BLKSIZE_MAX));
	fuzz_check(!o->has_timeout || o->timeout);
	fuzz_check(!o->has_tsize || o->tsize <= INT64_MAX);
	fuzz_again(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tftp_msg m;
	uint8_t *p = g_memdup2(data, size);

	if (size <= 4096 && !tftp_wire_parse(p, (uint32_t)size, &m)) {
		fuzz_check(m.op >= TFTP_RRQ && m.op <= TFTP_OACK);
		if (m.op == TFTP_RRQ || m.op == TFTP_WRQ)
			fuzz_request(p, size, &m);
		else
			fuzz_check(!m.name && !m.mode && (m.op == TFTP_OACK || size >= TFTP_HDR_LEN));
	}
	g_free(p);
	return 0;
}
