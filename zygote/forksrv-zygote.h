/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef FORKSRV_ZYGOTE_H
#define FORKSRV_ZYGOTE_H

/*
 * forksrv-zygote.h - write a zygote: a program that gets everything ready once and is then forked for each worker.
 *
 * forksrvd starts it as forksrv.zygote(5) declares it (Runtime=exec), with a socket as fd 3. The program loads what it likes,
 * says that it is ready, and calls forksrv_zygote_run(): from there on each worker is a fork of it that runs `work` with the
 * arguments, environment, working directory, files and limits that its client asked for. forksrv-zygote(7) describes what is said
 * on the socket.
 *
 * Rules that hold for every function:
 *
 *   Result      0 or a positive value on success, a negative errno on failure.
 *   Threads     None may be running when forksrv_zygote_ready() is called: a fork has only the thread that made it.
 *   Signals     The library blocks SIGCHLD in the zygote, and gives a worker the signals that its client asked for.
 *   Children    All children of the zygote are the library's: what they end with is told to the server.
 *
 * Source standard: C89 with <stdint.h>; usable from C++. _GNU_SOURCE is not needed.
 */

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FORKSRV_ZYGOTE_ABI 0

struct forksrv_zygote;

/* forksrv_zygote_new: from what forksrvd passed. Takes over fd 3, and removes the variables FORKSRV_ZYGOTE_* from the
 * environment. -ENOTCONN: it was not started by forksrvd. -ENOMEM. */
int forksrv_zygote_new(struct forksrv_zygote **ret_zygote);
/* forksrv_zygote_free: for one that did not get ready. NULL is fine. */
void forksrv_zygote_free(struct forksrv_zygote *zygote);

/* What was declared: its name; Module=, "" if there is none; the index-th word of Preload=, NULL after the last one. */
const char *forksrv_zygote_name(const struct forksrv_zygote *zygote);
const char *forksrv_zygote_module(const struct forksrv_zygote *zygote);
const char *forksrv_zygote_preload(const struct forksrv_zygote *zygote, size_t index);

/* forksrv_zygote_trouble: something could not be loaded. text: what, and why, for people: clients and the journal show it. With
 * OnPreloadError=warn it is kept and told by forksrv_zygote_ready. 0 if it may go on, -ECANCELED if not: then the server has been
 * told, and the program should end. */
int forksrv_zygote_trouble(struct forksrv_zygote *zygote, const char *text);

/* forksrv_zygote_fail: it cannot do without what could not be loaded, whatever OnPreloadError= says. Always -ECANCELED. */
int forksrv_zygote_fail(struct forksrv_zygote *zygote, const char *text);

/* forksrv_zygote_ready: from here on it may be forked. Looks for threads and children that are alive, which is trouble as above.
 * software: a name and version, for people. -ECANCELED, or the errno of the socket. */
int forksrv_zygote_ready(struct forksrv_zygote *zygote, const char *software);

/* forksrv_zygote_run: forks for each request. In a worker, `work` is called, and its result is the argument of exit(). In the
 * zygote it returns 0 once the server is done with it, or a negative errno. */
int forksrv_zygote_run(struct forksrv_zygote *zygote, int (*work)(int argc, char **argv, void *data), void *data);

#ifdef __cplusplus
}
#endif

#endif
