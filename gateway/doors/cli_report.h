/* cli_report.h - facts as text for a person and as JSON for jq.
 *
 * What it is: pure formatting; who asked prints it.
 * Below: gateway.h (stats).  Above: cli_run.c, cli_doctor.c, tests.
 */
#ifndef GATEWAY_DOORS_CLI_REPORT_H
#define GATEWAY_DOORS_CLI_REPORT_H

#include "gateway/gateway.h"

#include <glib.h>

/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void cli_report_json_string(GString *s, const char *text);

/* The counters, to be freed by the caller; ends with a newline.  Reasons that never happened are left out. */
char *cli_report_stats_text(const struct gateway_stats *st);
char *cli_report_stats_json(const struct gateway_stats *st);

#endif
