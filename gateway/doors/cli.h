/* cli.h - the commands of `slirpgate`.
 *
 * Each takes the arguments behind its own name and returns the exit status of the program.
 * Below: cli_option.h, gateway.  Above: main() in cli.c.
 */
#ifndef GATEWAY_DOORS_CLI_H
#define GATEWAY_DOORS_CLI_H

enum {
	CLI_EXIT_RUNTIME = 1,
	CLI_EXIT_USAGE = 2,
};

int cli_run(int argc, char **argv);    /* cli_run.c */
int cli_attach(int argc, char **argv); /* cli_attach.c */
int cli_ctl(int argc, char **argv);    /* cli_ctl.c */
int cli_doctor(int argc, char **argv); /* cli_doctor.c */
int cli_wrap(int argc, char **argv);   /* cli_wrap.c */

#endif
