/* control.h - the control socket: one JSON object per line, in the shape of QEMU's machine protocol.
 *
 * What it is: {"execute": NAME, "arguments": {...}, "id": ANY} in; {"return": ...} or {"error": {"class", "desc"}} out, with the same id.  A
 * request ends with a newline or with the end of the client's stream.  AF_UNIX, mode 0600, and only root or the user we run as is
 * listened to.  It is served by the main loop in small portions: a slow, silent, oversized or malformed client harms nobody.
 * What it is not: reachable from a guest; a knower of what commands do (control_command.h).
 * Below: control_command.h, json-glib.  Above: cli_serve.c.
 */
#ifndef GATEWAY_DOORS_CONTROL_H
#define GATEWAY_DOORS_CONTROL_H

#include "gateway/doors/control_command.h"

#include <glib.h>

enum {
	CONTROL_CLIENTS_MAX = 32,    /* one more: the one that has been silent for longest is let go */
	CONTROL_REQUEST_MAX = 1 << 20, /* bytes */
	CONTROL_PENDING_MAX = 1 << 20, /* of answers not read: then nothing more is read from that client */
	CONTROL_DEPTH_MAX = 32,	     /* of nested JSON */
};

struct control;

/* Binds path (a socket that nobody serves any more is replaced) and serves it from ctx's loop.  env is kept by the caller. */
struct control *control_new(const char *path, GMainContext *ctx, const struct control_env *env, GError **err);
/* Ends every client, removes the path.  NULL is a no-op. */
void control_free(struct control *c);

/* One request, as a line without its end; returns the answer's line, with its newline.  What control_new() serves; apart for tests. */
char *control_answer(const struct control_env *env, const char *line, size_t len);

#endif
