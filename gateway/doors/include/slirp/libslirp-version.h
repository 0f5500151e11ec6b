/* libslirp-version.h - the version of the interface that libslirp.h declares.  SPDX-License-Identifier: BSD-3-Clause
 *
 * Programs choose code by these at compile time; at run time slirp_version_string() answers.
 */
#ifndef LIBSLIRP_VERSION_H_
#define LIBSLIRP_VERSION_H_

#ifdef __cplusplus
extern "C" {
#endif

#define SLIRP_MAJOR_VERSION 4
#define SLIRP_MINOR_VERSION 9
#define SLIRP_MICRO_VERSION 5
#define SLIRP_VERSION_STRING "4.9.5-slirpgate"

/* Is the interface at least maj.min.mic? */
#define SLIRP_CHECK_VERSION(maj, min, mic)                                                   \
	(SLIRP_MAJOR_VERSION > (maj) ||                                                      \
	 (SLIRP_MAJOR_VERSION == (maj) &&                                                    \
	  (SLIRP_MINOR_VERSION > (min) || (SLIRP_MINOR_VERSION == (min) && SLIRP_MICRO_VERSION >= (mic)))))

#ifdef __cplusplus
}
#endif

#endif
