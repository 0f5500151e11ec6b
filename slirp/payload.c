/* payload.c - cutting a payload into pieces.  See payload.h. */
#include "slirp/payload.h"

#include <string.h>

int payload_pieces(const struct payload *p, uint32_t skip, uint32_t len, struct iovec *iov, int max)
{
	int n = 0;

	for (int i = -1; i < p->n_rest && len; i++) {
		const uint8_t *base = i < 0 ? p->head : p->rest[i].iov_base;
		uint32_t have = i < 0 ? p->head_len : (uint32_t)p->rest[i].iov_len;

		if (skip >= have) {
			skip -= have;
			continue;
		}
		have -= skip;
		if (n == max)
			return -1;
		iov[n++] = (struct iovec){ .iov_base = (void *)(base + skip), .iov_len = have < len ? have : len };
		len -= have < len ? have : len;
		skip = 0;
	}
	return n;
}

void payload_copy(const struct payload *p, uint8_t *to)
{
	uint32_t left = p->len;

	for (int i = -1; i < p->n_rest && left; i++) {
		const uint8_t *base = i < 0 ? p->head : p->rest[i].iov_base;
		uint32_t have = i < 0 ? p->head_len : (uint32_t)p->rest[i].iov_len, n = have < left ? have : left;

		memcpy(to, base, n);
		to += n;
		left -= n;
	}
}
