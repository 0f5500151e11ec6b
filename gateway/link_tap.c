/* link_tap.c - frames through a tap.  See link_tap.h.
 *
 * With virtio-net headers one read() and one write() move up to 64 KiB, whatever the MTU.  Without them every frame is one system call,
 * cut to the MTU and checksummed here.  Frames are read back to back into one arena, which is free again after the flush.
 * System calls: open, ioctl, fcntl, read, write, close.
 */
#include "gateway/link_tap.h"

#include "slirp/base/list.h"
#include "slirp/wire/eth_wire.h"
#include "slirp/wire/ip_wire.h"
#include "slirp/wire/l4_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	TAP_FRAME_MAX = 65536 + 64,		/* virtio header, Ethernet header, the largest IP packet */
	TAP_ARENA = 4 * 65536 + TAP_FRAME_MAX,	/* bytes read per turn, at least four super-frames */
	TAP_HEAD_MAX = 160,
	TAP_TX = TX_SLOT_IOV * TAP_HEAD_MAX + TAP_FRAME_MAX,
	TAP_QUEUE_PLAIN = 256, /* of the kernel's 500 frames: what one guest connection may fill without offload */
	TAP_VNET_LEN = sizeof(struct virtio_net_hdr),
	TAP_BURST_MAX = 256,
	TAP_FULL_BEFORE_MORE = 6,
	/* Linux 6.2; older headers have no names for them */
	TAP_F_USO = 0x20 | 0x40,
	TAP_GSO_UDP_L4 = 5,
};

struct link_tap {
	struct link link;
	bool vnet;
	unsigned burst; /* frames that the next rx() tries to read */
	unsigned full;	/* times in a row that as many were there */
	uint32_t rx_used;
	uint32_t tx_head_len, tx_mss; /* of the slot given out */
	uint8_t rx[TAP_ARENA];
	uint8_t tx[TAP_TX];
};

static struct link_tap *tap_of(struct link *l)
{
	return container_of(l, struct link_tap, link);
}

/* ------------------------------------------------------------------ making */

static int tap_fail(int fd, GError **err, const char *what)
{
	int e = errno;

	g_set_error(err, G_IO_ERROR, (int)g_io_error_from_errno(e), "%s: %s", what, g_strerror(e));
	if (fd >= 0)
		close(fd);
	return -1;
}

int link_tap_create(const char *ifname, bool offload, GError **err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return tap_fail(fd, err, "cannot open /dev/net/tun");
	g_strlcpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name));
	if (offload)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (!ioctl(fd, TUNSETIFF, &ifr))
		return fd;
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI; /* a kernel without virtio headers on taps */
	if (!offload || ioctl(fd, TUNSETIFF, &ifr))
		return tap_fail(fd, err, "cannot make the tap interface");
	return fd;
}

/* ------------------------------------------------------------------ from the guest */

/* False: the virtio header makes no sense for this frame. */
static bool tap_take_vnet(const uint8_t *p, struct frame *f)
{
	struct virtio_net_hdr h;

	memcpy(&h, p, sizeof(h));
	f->csum_ok = h.flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID);
	switch (h.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV6:
		f->gso_size = h.gso_size;
		return h.gso_size != 0;
	case TAP_GSO_UDP_L4:
		f->gso_size = h.gso_size;
		f->gso_udp = true;
		return h.gso_size != 0;
	default:
		return false;
	}
}

/* One frame.  1: taken, 0: nothing there, -errno. */
static int tap_rx_one(struct link_tap *t, struct stack *st, int64_t now)
{
	uint8_t *p = t->rx + t->rx_used;
	uint32_t skip = t->vnet ? TAP_VNET_LEN : 0;
	ssize_t n = read(t->link.fd, p, TAP_FRAME_MAX);
	struct frame f = { 0 };

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n < (ssize_t)skip)
		return 1;
	t->rx_used += ((uint32_t)n + 63) & ~63u;
	if (t->vnet && !tap_take_vnet(p, &f))
		f.gso_size = 0;
	f.head = p + skip;
	f.head_len = (uint32_t)n - skip;
	stack_input(st, &f, now);
	return 1;
}

/* How many frames come per wake-up changes slowly: reading as many as last time, and twice as many when that has been too few for a while,
 * saves most of the read() that finds nothing.  Stopping early is safe, the descriptor is level-triggered. */
static int tap_rx(struct link *l, struct stack *st, unsigned budget, int64_t now, bool *more)
{
	struct link_tap *t = tap_of(l);
	unsigned n = 0, burst = t->burst < budget ? t->burst : budget;

	*more = false;
	while (n < burst && t->rx_used + TAP_FRAME_MAX <= TAP_ARENA) {
		int r = tap_rx_one(t, st, now);

		if (r < 0)
			return r;
		if (!r) {
			t->burst = n ? n : 1;
			t->full = 0;
			return (int)n;
		}
		n++;
	}
	if (++t->full >= TAP_FULL_BEFORE_MORE && n < TAP_BURST_MAX) {
		t->burst = n * 2;
		t->full = 0;
	}
	return (int)n;
}

static void tap_rx_done(struct link *l)
{
	tap_of(l)->rx_used = 0;
}

/* ------------------------------------------------------------------ to the guest */

static bool tap_cuts(const struct link_tap *t, uint32_t mss, uint32_t payload_len)
{
	return !t->vnet && mss && payload_len > mss;
}

/* With offload: header and payload in one block.  Without: block after block of header gap and mss bytes. */
static bool tap_tx_get(struct link *l, struct tx_slot *slot, uint32_t head_len, uint32_t payload_len, uint32_t mss)
{
	struct link_tap *t = tap_of(l);
	uint8_t *p = t->tx + TAP_VNET_LEN;
	uint32_t piece = tap_cuts(t, mss, payload_len) ? mss : payload_len, room = 0;

	slot->head = p;
	slot->n_pl = 0;
	while (room < payload_len && slot->n_pl < TX_SLOT_IOV) {
		uint32_t len = payload_len - room < piece ? payload_len - room : piece;

		slot->pl[slot->n_pl++] = (struct iovec){ p + head_len, len };
		p += head_len + len;
		room += len;
	}
	slot->room = room;
	t->tx_head_len = head_len;
	t->tx_mss = piece;
	return true;
}

static void tap_write(struct link_tap *t, const uint8_t *p, uint32_t len)
{
	ssize_t n;

	do
		n = write(t->link.fd, p, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		t->link.tx_lost++;
}

static void tap_put_whole(struct link_tap *t, const struct tx_slot *slot, const struct frame_meta *m, uint32_t used)
{
	struct virtio_net_hdr h = { 0 };
	uint8_t *p = slot->head - TAP_VNET_LEN;

	if (m->proto) {
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.csum_start = m->l4_off;
		h.csum_offset = m->proto == IP_PROTO_TCP ? TCP_CSUM_OFFSET : UDP_CSUM_OFFSET;
		gso_wire_partial(slot->head, m, used);
	}
	if (m->mss && used > m->mss) {
		h.gso_type = m->proto == IP_PROTO_UDP ? TAP_GSO_UDP_L4 : m->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		h.gso_size = m->mss;
		h.hdr_len = m->head_len;
	}
	memcpy(p, &h, sizeof(h));
	tap_write(t, p, TAP_VNET_LEN + m->head_len + used);
}

static void tap_put_pieces(struct link_tap *t, struct tx_slot *slot, const struct frame_meta *m, uint32_t used)
{
	uint8_t tmpl[TAP_HEAD_MAX];
	uint32_t off = 0;

	memcpy(tmpl, slot->head, m->head_len);
	for (int i = 0; i < slot->n_pl && off < used; i++) {
		struct iovec *pl = &slot->pl[i];
		uint32_t len = used - off < pl->iov_len ? used - off : (uint32_t)pl->iov_len;
		uint8_t *head = (uint8_t *)pl->iov_base - m->head_len;

		gso_wire_piece(head, tmpl, m, off, len, used, &(struct iovec){ pl->iov_base, len }, 1);
		tap_write(t, head, m->head_len + len);
		off += len;
	}
}

static void tap_tx_put(struct link *l, struct tx_slot *slot, const struct frame_meta *m, uint32_t used)
{
	struct link_tap *t = tap_of(l);

	if (t->vnet) {
		tap_put_whole(t, slot, m, used);
	} else if (m->mss && used > m->mss) {
		tap_put_pieces(t, slot, m, used);
	} else {
		struct iovec payload = { slot->pl[0].iov_base, used }; /* one piece, of which less may be used than was asked for */

		if (m->proto)
			gso_wire_checksum(slot->head, m, &payload, used != 0, used);
		tap_write(t, slot->head, m->head_len + used);
	}
}

static bool tap_tx_flush(struct link *l)
{
	return false; /* every frame left with its tx_put(); a tap is never full */
}

static void tap_free(struct link *l)
{
	close(l->fd);
	g_free(tap_of(l));
}

static const struct link_ops tap_ops = {
	.rx = tap_rx,
	.rx_done = tap_rx_done,
	.tx_get = tap_tx_get,
	.tx_put = tap_tx_put,
	.tx_flush = tap_tx_flush,
	.free = tap_free,
};

struct link *link_tap_new(int fd, uint16_t mtu, GError **err)
{
	struct link_tap *t;
	struct ifreq ifr = { 0 };

	if (ioctl(fd, TUNGETIFF, &ifr)) {
		tap_fail(fd, err, "not a tap descriptor");
		return NULL;
	}
	t = g_try_new0(struct link_tap, 1);
	if (!t) {
		errno = ENOMEM;
		tap_fail(fd, err, "tap link");
		return NULL;
	}
	t->link = (struct link){ .ops = &tap_ops, .fd = fd, .caps = { .mtu = mtu, .lossless = true, .guest_queue = TAP_QUEUE_PLAIN } };
	t->vnet = ifr.ifr_flags & IFF_VNET_HDR;
	t->burst = 1;
	if (t->vnet && !ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TAP_F_USO)) {
		t->link.caps.tso4 = t->link.caps.tso6 = t->link.caps.gso_udp = true;
		t->link.caps.guest_queue = 0;
	} else if (t->vnet && !ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)) {
		t->link.caps.tso4 = t->link.caps.tso6 = true;
		t->link.caps.guest_queue = 0;
	} else if (t->vnet) {
		ioctl(fd, TUNSETOFFLOAD, 0); /* headers, but plain frames in them; toward the guest super-frames are legal all the same */
	}
	return &t->link;
}
