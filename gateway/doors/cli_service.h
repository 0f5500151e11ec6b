/* cli_service.h - services for the guest that are a command or a Unix socket of the host's: the option --service.
 *
 * What it is: ADDR:PORT=exec:COMMAND and ADDR:PORT=unix:PATH as values, and their places in a gateway.
 * What it is not: the carrying of connections (guestfwd.h).
 * Below: cli_value.h, gateway.h, guestfwd.h.  Above: cli_run_args.c, cli_serve.c.
 */
#ifndef GATEWAY_DOORS_CLI_SERVICE_H
#define GATEWAY_DOORS_CLI_SERVICE_H

#include "gateway/gateway.h"

struct cli_service {
	struct endpoint at;
	const char *command, *unix_path; /* one of them, in argv */
	const char *text;		 /* as it was written, in argv */
};

/* Its error says "VALUE: what is wrong, column N". */
bool cli_service_parse(const char *value, struct cli_service *ret, GError **err);
/* When all options are read: is its address one of the guest's subnet where the guest itself and the name server are not? */
bool cli_service_check(const struct cli_service *s, const struct gateway_config *net, GError **err);
/* Puts it into a gateway that runs. */
bool cli_service_add(const struct cli_service *s, struct gateway *gw, GError **err);

#endif
