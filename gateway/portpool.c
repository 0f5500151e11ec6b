/* portpool.c - round robin over a bitmap.  See portpool.h. */
#include "gateway/portpool.h"

uint16_t portpool_take(struct portpool *p)
{
	if (p->n_used == PORTPOOL_SIZE)
		return 0;
	for (uint32_t looked = 0; looked <= PORTPOOL_SIZE / 64; looked++) { /* words; the first one a second time, for what stands in front */
		uint32_t word = p->cursor / 64;
		uint64_t free = ~p->used[word] >> (p->cursor % 64);

		if (free) {
			uint32_t port = p->cursor + (uint32_t)__builtin_ctzll(free);

			p->used[word] |= 1ull << (port % 64);
			p->n_used++;
			p->cursor = (port + 1) % PORTPOOL_SIZE;
			return (uint16_t)(PORTPOOL_FIRST + port);
		}
		p->cursor = (word + 1) * 64 % PORTPOOL_SIZE;
	}
	return 0;
}

void portpool_give(struct portpool *p, uint16_t port)
{
	uint32_t i = (uint32_t)port - PORTPOOL_FIRST;

	p->used[i / 64] &= ~(1ull << (i % 64));
	p->n_used--;
}
