/* link_callback.h - the link that is a function of the application.
 *
 * What it is: frames from the guest are handed in, copied (the caller's memory is only borrowed) and kept until the turn; frames toward the
 * guest leave by a callback, one by one, cut to the MTU, checksummed and at least 60 bytes long.
 * What it is not: a queue toward the guest.  What the callback does not take is lost (tx_lost), so the core sends as on a lossy network.
 * Re-entrance: the callback may hand frames in.
 * Below: link.h, link_cut.h.  Above: gateway/doors.  RFC 894 (the least length of a frame).
 */
#ifndef GATEWAY_LINK_CALLBACK_H
#define GATEWAY_LINK_CALLBACK_H

#include "gateway/link.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	LINK_CALLBACK_FRAMES = 64,
	LINK_CALLBACK_ARENA = 256 * 1024,
	LINK_CALLBACK_FRAME_MAX = 65536 + 64,
	LINK_CALLBACK_FRAME_MIN = 60, /* toward the guest; shorter ones are padded with zeroes */
};

/* send: returns the number of bytes, or less than 0 when it did not take the frame.  mtu: IP bytes per frame.  NULL: no memory. */
struct link *link_callback_new(uint16_t mtu, ssize_t (*send)(void *arg, const void *frame, size_t len), void *arg);

/* One frame from the guest, copied; loop_link_ready() is the caller's.  False: no room until a turn has run (or it is larger than any frame). */
bool link_callback_input(struct link *l, const uint8_t *frame, uint32_t len);

#endif
