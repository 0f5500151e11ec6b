/* cli_report.c - counters as text and as JSON (RFC 8259).  Below: gateway.h.  Above: the commands. */
#include "gateway/doors/cli_report.h"

#include <stddef.h>

/* One row per plain counter of gateway_stats. */
static const struct {
	const char *key, *text;
	size_t offset;
} counters[] = {
#define COUNTER(field, text) { #field, text, offsetof(struct gateway_stats, field) }
	COUNTER(link_rx_frames, "frames from the guest"),
	COUNTER(link_rx_bytes, "bytes in them"),
	COUNTER(link_tx_frames, "frames to the guest"),
	COUNTER(link_tx_bytes, "bytes in them"),
	COUNTER(flows_opened, "flows opened"),
	COUNTER(flows_now, "flows still there"),
	COUNTER(half_open_now, "of them being dialed"),
	COUNTER(to_host_bytes, "TCP bytes guest to host"),
	COUNTER(to_guest_bytes, "TCP bytes host to guest"),
	COUNTER(udp_sessions_opened, "UDP sessions opened"),
	COUNTER(udp_sessions_now, "UDP sessions still there"),
	COUNTER(udp_sockets_now, "host sockets for them"),
	COUNTER(udp_evicted, "UDP sessions given up for others"),
	COUNTER(udp_to_host, "UDP datagrams guest to host"),
	COUNTER(udp_to_guest, "UDP datagrams host to guest"),
	COUNTER(echo_sockets_now, "ids that ping"),
	COUNTER(echo_evicted, "ids that gave way"),
	COUNTER(echo_to_host, "pings guest to host"),
	COUNTER(echo_to_guest, "replies to them"),
	COUNTER(dns_queries, "DNS queries"),
	COUNTER(dns_answers, "DNS answers"),
	COUNTER(turns, "turns of the loop"),
#undef COUNTER
};

static uint64_t counter(const struct gateway_stats *st, unsigned i)
{
	return *(const uint64_t *)((const char *)st + counters[i].offset);
}

void cli_report_json_string(GString *s, const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);

	g_string_append_c(s, '"');
	for (const char *p = valid; *p; p++) {
		if (*p == '"' || *p == '\\')
			g_string_append_printf(s, "\\%c", *p);
		else if ((unsigned char)*p < 0x20)
			g_string_append_printf(s, "\\u%04x", (unsigned)*p);
		else
			g_string_append_c(s, *p);
	}
	g_string_append_c(s, '"');
}

static void tally_text(GString *s, const char *title, const struct reason_tally *t)
{
	for (unsigned i = 0; i < R_COUNT; i++) {
		if (t->n[i])
			g_string_append_printf(s, "  %14" G_GUINT64_FORMAT "  %s: %s\n", t->n[i], title, reason_text((enum reason)i));
	}
}

static void tally_json(GString *s, const char *key, const struct reason_tally *t)
{
	const char *comma = "";

	g_string_append_printf(s, ",\"%s\":{", key);
	for (unsigned i = 0; i < R_COUNT; i++) {
		if (t->n[i]) {
			g_string_append_printf(s, "%s\"%s\":%" G_GUINT64_FORMAT, comma, reason_name((enum reason)i), t->n[i]);
			comma = ",";
		}
	}
	g_string_append_c(s, '}');
}

char *cli_report_stats_text(const struct gateway_stats *st)
{
	GString *s = g_string_new("slirpgate: counters\n");

	for (unsigned i = 0; i < G_N_ELEMENTS(counters); i++)
		g_string_append_printf(s, "  %14" G_GUINT64_FORMAT "  %s\n", counter(st, i), counters[i].text);
	tally_text(s, "dropped", &st->drops);
	tally_text(s, "closed", &st->closes);
	return g_string_free(s, FALSE);
}

char *cli_report_stats_json(const struct gateway_stats *st)
{
	GString *s = g_string_new("{");

	for (unsigned i = 0; i < G_N_ELEMENTS(counters); i++)
		g_string_append_printf(s, "%s\"%s\":%" G_GUINT64_FORMAT, i ? "," : "", counters[i].key, counter(st, i));
	tally_json(s, "drops", &st->drops);
	tally_json(s, "closes", &st->closes);
	g_string_append(s, "}\n");
	return g_string_free(s, FALSE);
}
