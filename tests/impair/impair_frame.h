/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * impair_frame.h - frames as packet sockets with PACKET_VNET_HDR give them:
 * cut into what a wire carries, checksums finished, a bit turned over.
 *
 * Prefixes: frame_
 */
#ifndef TESTS_IMPAIR_FRAME_H
#define TESTS_IMPAIR_FRAME_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_HDR = sizeof(struct virtio_net_hdr) };	/* in front of each frame */

/* TCP or UDP over IP: what the relay impairs.  Others (ARP, neighbours) pass. */
bool frame_is_transport(const uint8_t *frame, size_t len);

/* Calls `each` with every frame that a wire would carry in place of this one,
 * its checksums finished.  `scratch` holds one frame.  Frames that it cannot
 * cut (neither TCP nor UDP inside) are passed as they are. */
void frame_split(uint8_t *frame, size_t len, uint8_t *scratch,
		 void (*each)(void *arg, uint8_t *frame, size_t len), void *arg);

/* Turns over one bit behind the Ethernet header.  Only on what frame_split()
 * has made: a checksum to be finished later would cover the damage. */
void frame_corrupt(uint8_t *frame, size_t len, uint64_t random);

#endif
