/* reason.h - every drop and every close has a name, a text and a counter.
 *
 * What it is: the one list.  A function that judges a packet returns an enum reason; R_ACCEPTED means accepted.  slirp/ and policy/
 * return and count reasons, gateway/ prints them; a lint tool fails when a test never produces one.
 * Below: nothing.  Above: everybody.
 */
#ifndef SLIRP_BASE_REASON_H
#define SLIRP_BASE_REASON_H

#include <stdint.h>

/* X(NAME, "text"): the text completes "dropped: ..." or "closed: ...". */
#define REASON_LIST(X)                                                                                 \
	X(ACCEPTED, "accepted")                                                                            \
	/* frames */                                                                                   \
	X(SHORT_FRAME, "frame shorter than its headers")                                               \
	X(ETHERTYPE, "ethertype neither ARP, IPv4 nor IPv6")                                           \
	X(NOT_FOR_US, "destination MAC is neither ours nor a group we listen to")                      \
	X(SPOOFED_MAC, "source MAC is not the one this guest was given")                               \
	X(SPOOFED_ADDR, "source address is not one this guest was given")                              \
	X(BAD_GSO, "offload metadata contradicts the packet")                                          \
	X(NCSI_SHORT, "NC-SI message that ends before its header or payload does")                     \
	X(NCSI_TYPE, "NC-SI message that is no command")                                               \
	/* ARP, NDP */                                                                                 \
	X(ARP_MALFORMED, "ARP packet is not Ethernet/IPv4 or is too short")                            \
	X(ARP_NOT_OURS, "ARP asks for an address the gateway does not answer for")                     \
	X(NDP_MALFORMED, "neighbour discovery message fails the checks of RFC 4861")                   \
	X(NDP_NOT_OURS, "neighbour solicitation for an address the gateway does not answer for")       \
	/* IP */                                                                                       \
	X(IP_VERSION, "IP version does not match the ethertype")                                       \
	X(IP_HEADER, "IP header length is impossible")                                                 \
	X(IP_LENGTH, "IP total length is larger than the frame")                                       \
	X(IP_CHECKSUM, "IPv4 header checksum is wrong")                                                \
	X(IP_FRAGMENT, "IP fragment of what is never fragmented: another fragment, neighbour discovery") \
	X(IP_OPTION, "IPv6 extension header that the gateway does not walk")                           \
	X(IP_MAPPED, "IPv4-mapped address inside an IPv6 packet")                                      \
	X(IP_PROTOCOL, "IP protocol that the gateway does not carry")                                  \
	X(FAMILY_OFF, "address family is switched off")                                                \
	X(GROUP_TRAFFIC, "multicast or broadcast that no service here listens to")                     \
	/* L4 */                                                                                       \
	X(L4_CHECKSUM, "TCP, UDP or ICMP checksum is wrong")                                           \
	X(L4_LENGTH, "TCP, UDP or ICMP header length is impossible")                                   \
	X(HOP_LIMIT, "hop limit used up at the gateway: answered with ICMP time exceeded")             \
	X(UDP_FILTERED, "UDP datagram from a peer that the guest has not sent to")                     \
	X(UDP_NO_SERVICE, "UDP datagram to an address and port where nothing answers")                 \
	X(ICMP_IGNORED, "ICMP message that the gateway does not act on")                               \
	/* TCP segments */                                                                             \
	X(TCP_FLAGS, "TCP flags that no state accepts")                                                \
	X(TCP_NO_CONN, "TCP segment for no connection: answered with RST")                             \
	X(TCP_RST_NO_CONN, "TCP RST for no connection")                                                \
	X(TCP_HELD_SEGMENT, "TCP segment while the connection is still being dialed")                  \
	X(TCP_DUP_SYN, "repeated SYN of a connection being dialed: not dialed twice")                  \
	X(TCP_WINDOW, "TCP segment outside the window: answered with an ACK")                          \
	X(TCP_OUT_OF_ORDER, "TCP data ahead of a gap, more than is kept: the guest sends it again")    \
	X(TCP_ACK_FUTURE, "TCP ACK of bytes never sent")                                               \
	X(TCP_PAWS, "TCP timestamp older than the last one accepted")                                  \
	X(TCP_RST_WINDOW, "TCP RST that does not hit the next expected byte")                          \
	X(TCP_SYN_IN_WINDOW, "TCP SYN inside a connection: answered with a challenge ACK")             \
	X(TCP_ACK_OLD, "TCP ACK older than any window: answered with a challenge ACK")                      \
	X(TCP_CHALLENGE_LIMIT, "TCP segment that wants a challenge ACK when enough have left lately")     \
	X(TCP_PORT_ZERO, "TCP or UDP port 0")                                                          \
	X(SHORT_WRITE, "host socket took only part: the rest waits for it, as far as there is room")   \
	X(INPUT_FULL, "frame from the guest that came while the turn before it was still going on, and no room was left") \
	X(LINK_FULL, "link had no room for a frame")                                                   \
	X(TURN_FULL, "more segments in one turn than the turn's table holds")                          \
	/* connection ends */                                                                          \
	X(CLOSED, "both sides closed")                                                                 \
	X(GUEST_RESET, "reset by the guest")                                                           \
	X(HOST_RESET, "reset by the far side")                                                         \
	X(HOST_ERROR, "host socket failed")                                                            \
	X(DIAL_REFUSED, "refused by the far side")                                                     \
	X(DIAL_TIMEOUT, "no answer from the far side within the dial deadline")                        \
	X(NET_UNREACHABLE, "no route to that network")                                                 \
	X(HOST_UNREACHABLE, "host unreachable")                                                        \
	X(DENIED, "denied by policy")                                                                  \
	X(HOST_LOOPBACK, "the host's own addresses are closed to the guest (--host-loopback opens them)") \
	X(NEVER_DIALED, "destination that is never dialed (loopback, unspecified, class E, link-local)") \
	X(NO_DNS, "the host has no name server to relay to")                                           \
	X(FLOW_CAP, "total number of TCP flows reached")                                               \
	X(HALF_OPEN_CAP, "too many connections being made, to there or at all: the oldest gave way")                           \
	X(NO_DESCRIPTOR, "out of descriptors")                                                         \
	X(NO_MEMORY, "out of memory")                                                                  \
	X(HANDSHAKE_TIMEOUT, "guest did not finish the handshake")                                     \
	X(GUEST_SILENT, "guest acknowledged nothing and answered no probe")                            \
	X(HALF_CLOSE_TIMEOUT, "half-closed connection with no answer to probes")                       \
	X(GUEST_REFUSED, "refused by the guest")                                                       \
	X(GUEST_UNREACHABLE, "guest says by ICMP that the connection cannot be made")                  \
	X(CONNECT_TIMEOUT, "guest did not answer the SYN")                                             \
	X(CONNECT_CROSSED, "guest began the same connection at the same time")                         \
	X(NO_PORT, "every port of the gateway's toward the guest is in use")                         \
	X(EVICTED, "idle, and its place was needed")                                                  \
	X(EXPORTED, "carried over to another process")                                                 \
	X(EXPORT_STATE, "connection that cannot be carried over now: it is being opened, or in the middle of a turn") \
	X(IMPORT_INVALID, "state that no connection can have")                                         \
	X(TUPLE_BUSY, "connection with the same ends exists, or has just ended")                       \
	X(OPERATOR, "closed by the operator")                                                          \
	X(SHUTDOWN, "gateway is shutting down")                                                        \
	/* DNS relay */                                                                                \
	X(DNS_OFF, "the name server's address, while name service is switched off")                    \
	X(DNS_MALFORMED, "DNS message is too short or not a query")                                    \
	X(DNS_FULL, "too many DNS queries in flight: the oldest was given up")                         \
	X(DNS_MISMATCH, "DNS answer that matches no query")                                            \
	X(DNS_TIMEOUT, "no name server answered")                                                      \
	/* IP fragments */                                                                             \
	X(FRAG_LENGTH, "IP fragment that is empty, misaligned or ends beyond the largest packet")      \
	X(FRAG_TINY, "first IP fragment that does not hold the packet's headers")                      \
	X(FRAG_OVERLAP, "IP fragments that overlap or contradict each other: the packet is refused")   \
	X(FRAG_DUPLICATE, "IP fragment that came before")                                              \
	X(FRAG_TOO_MANY, "packet in more IP fragments than the gateway keeps")                         \
	X(FRAG_EVICTED, "unfinished packet given up for newer IP fragments")                           \
	X(FRAG_TIMEOUT, "IP fragments whose packet was not whole in time") \
	/* DHCP */ \
	X(DHCP_MALFORMED, "DHCP message that is cut short, overlong, or lacks what its type needs") \
	X(DHCP_RELAYED, "DHCP message of a relay: there is none on this link") \
	X(DHCP_TYPE, "DHCP message that no client sends to a server, or not in this way") \
	X(DHCP_OTHER_SERVER, "DHCP message meant for another server") \
	X(DHCP_DECLINED, "guest declined the address that is its own: it saw somebody else use it") \
	/* TFTP */ \
	X(TFTP_MALFORMED, "TFTP message that is cut short, overlong, or none that a client sends") \
	X(TFTP_REFUSED, "TFTP request answered with an error: no such file, not to be had, to write, or not octet") \
	X(TFTP_NO_TRANSFER, "TFTP message to no transfer") \
	X(TFTP_OTHER_BLOCK, "TFTP acknowledgement of another block than the one under way") \
	X(TFTP_READ, "TFTP transfer whose file could not be read on") \
	X(TFTP_EVICTED, "TFTP transfer quiet for longest: its place was needed") \
	X(TFTP_TIMEOUT, "TFTP transfer whose guest acknowledged nothing more") \
	/* published ports */                                                                          \
	X(INGRESS_DENIED, "client that the published port's rules do not let in")                      \
	X(PORT_PAUSED, "published port that is paused or has been removed")                            \
	X(PORT_CAP, "as many clients on the published port as it may have")                            \
	X(SOURCE_CAP, "as many clients from one address as the published port lets in")                \
	/* fallback handlers */                                                                        \
	X(FALLBACK_DECLINED, "every fallback handler declined")                                        \
	X(FALLBACK_REJECTED, "rejected by a fallback handler")                                         \
	X(FALLBACK_CAP, "as many flows for fallback handlers as there may be")                         \
	/* echo; host firewalls */                                                                     \
	X(PING_FORBIDDEN, "the host's kernel forbids ping sockets (net.ipv4.ping_group_range)")        \
	X(ECHO_STRANGER, "echo reply or error that answers no ping of the guest")                      \
	X(HOST_PROHIBITED, "forbidden by a packet filter or route of the host or the network")         \
	X(ICMP_RATE, "ICMP error kept back: the guest was told too many lately")

enum reason {
#define REASON_ENUM(name, text) R_##name,
	REASON_LIST(REASON_ENUM)
#undef REASON_ENUM
	R_COUNT
};

const char *reason_name(enum reason r); /* "SPOOFED_MAC" */
const char *reason_text(enum reason r);

/* One counter per reason; owned by the gateway, handed down by pointer. */
struct reason_tally {
	uint64_t n[R_COUNT];
};

static inline enum reason reason_count(struct reason_tally *t, enum reason r)
{
	t->n[r]++;
	return r;
}

#endif
