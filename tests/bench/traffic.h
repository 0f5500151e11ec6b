/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * traffic.h - what the parts of bench-traffic share.
 *
 * traffic.c has the options, the clock, the connections and the stream ends;
 * traffic_server.c, traffic_client.c and traffic_dgram.c use them and not each
 * other, traffic_dns.c uses the samples of traffic_client.c too.  One process is
 * one server or one client: plain globals are enough.
 */
#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

enum {
	CHUNK = 128 * 1024,	/* bytes per read or write of a stream */
	EVENTS = 256,		/* epoll batch */
	STREAM_STEPS = 8,	/* chunks per stream and turn, so all streams move */
	PORTS_MAX = 16,		/* ports of one server */
	OPEN_AHEAD = 64,	/* idle: connections being opened at once */
	SAMPLES = 1 << 22,	/* latency samples kept, the rest is only counted */
	IDLE_STALL_MS = 5000,	/* idle: give up when no connection came for so long */
	RECEIPT_MS = 5000,	/* tx: how long to wait for the server's receipt */
};

struct conn {
	int fd;
	char kind;		/* one of the letters above, 0 = not named yet */
	bool up;		/* client: connect() has finished */
	bool receipted;		/* client: idle or rr receipt seen */
	bool closed_half;	/* tx client: SHUT_WR done */
	int64_t start;		/* when the exchange in flight began, ns */
	int64_t last;		/* server, tx: last byte, ns */
	uint64_t bytes;		/* counted on this connection */
	struct conn *next_dead;	/* freed at the end of the turn */
};

struct receipt {
	uint64_t bytes;
	uint64_t ns;
};

struct options {
	const char *host;
	const char *cc;		/* congestion control to ask for, or NULL */
	int port;
	int ports;		/* that many from there on; crr uses all in turn */
	int count;		/* streams, connections or exchanges in flight */
	int64_t warmup;		/* ns */
	int64_t duration;	/* ns, 0 = until stdin ends */
	uint64_t bytes;		/* streams: stop after that many per stream;
				   datagrams: the size of one */
	int batch;		/* datagrams per system call */
	bool segment;		/* these in one UDP_SEGMENT send */
};

extern struct options opt;
extern int ep;			/* the one epoll instance */
extern uint64_t bytes_in;	/* received on streams */
extern uint64_t bytes_out;	/* handed to the kernel on streams */
extern uint64_t accepted, exchanges, failed;
extern char last_error[128];	/* of the last failure counted */
extern bool stdin_over;		/* we are to end */
extern char used_cc[16];	/* congestion control in use */

int64_t now_ns(void);
void die(const char *what);
void note_failure(const char *what);	/* counts; keeps errno's text */

void watch(int fd, uint32_t events, void *what);
void rewatch(struct conn *c, uint32_t events);
void watch_stdin(void);
void read_stdin(void);		/* answers marks */

void conn_tune(struct conn *c);
void conn_close(struct conn *c);	/* freed by bury() only */
void bury(void);		/* at the end of a turn */

/* Both return true if the connection is over. */
bool stream_read(struct conn *c, int64_t now);
bool stream_write(struct conn *c);

int run_server(void);

void find_target(void);		/* before any of the rest but sources */
int connect_target(int fd);
int run_stream(char kind);	/* 'T' or 'R' */
int run_latency(char kind);	/* 'E', 'C' or 'S' */
int run_idle(void);

/* Latencies, over at most SAMPLES exchanges. */
void samples_begin(void);
void sample(int64_t ns);
void print_latency(const char *mode, double seconds);

int run_dgram_sink(void);
int run_dgram_source(void);
int run_dgram_send(void);
int run_dgram_receive(void);
int run_dns_server(void);
int run_dns(bool fresh);

#endif
