/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a function of Python in a process of a warm fork server of CPython: cpython ADDRESS KEYFILE MODULE:NAME [ARG]... */
#include <forksrv.h>
#include <stdio.h>
#include <unistd.h>

#define SECOND 1000000

/* The process writes into our pipe; what comes out of it is printed. */
static int run(struct forksrv *session, const char *function, const char *const *args, int *ret_code) {
    struct forksrv_cpython *process;
    char buffer[4096];
    int fds[2], r, signo;
    ssize_t n;

    if (pipe(fds) < 0)
        return -1;
    r = forksrv_cpython_call(session, function, args, &fds[1], 1, 10 * SECOND, &process);
    close(fds[1]);
    while (r == 0 && (n = read(fds[0], buffer, sizeof buffer)) > 0)
        fwrite(buffer, 1, (size_t)n, stdout);
    close(fds[0]);
    if (r < 0)
        return r;
    r = forksrv_cpython_wait(process, FORKSRV_FOREVER, ret_code, &signo);
    if (r == 0 && signo != 0)
        fprintf(stderr, "process %ld was ended by signal %d\n", (long)forksrv_cpython_pid(process), signo);
    forksrv_cpython_free(process);
    return r;
}

int main(int argc, char **argv) {
    struct forksrv *session;
    int r, code = 1;

    if (argc < 4 || forksrv_new(&session) < 0)
        return 2;
    r = forksrv_set_address(session, argv[1]);
    if (r >= 0)
        r = forksrv_set_authkey_file(session, argv[2]);
    if (r >= 0)
        r = run(session, argv[3], (const char *const *)argv + 4, &code);
    if (r < 0)
        fprintf(stderr, "%s\n", forksrv_error(session));
    forksrv_free(session);
    return r < 0 || code < 0 ? 1 : code;
}
