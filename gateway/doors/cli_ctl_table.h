/* cli_ctl_table.h - what a gateway answers, for a person to read.
 *
 * What it is: JSON to text: a list of objects is a table with a column for each name, an object a list of names and values, indented
 * where it holds others.  A value of the gateway's is never taken for a terminal's escape.
 * Below: json-glib.  Above: cli_ctl.c, tests.
 */
#ifndef GATEWAY_DOORS_CLI_CTL_TABLE_H
#define GATEWAY_DOORS_CLI_CTL_TABLE_H

#include <json-glib/json-glib.h>

/* Ends with a newline unless it is empty; g_free(). */
char *cli_ctl_table(JsonNode *value);

#endif
