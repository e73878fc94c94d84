/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* The subcommands. argv[0] is the subcommand's own name. Each returns the exit code of the command. */
int command_app(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_keygen(int argc, char **argv);
int command_kill(int argc, char **argv);
int command_list(int argc, char **argv);
int command_ping(int argc, char **argv);
int command_python(int argc, char **argv);
int command_run(int argc, char **argv);
int command_status(int argc, char **argv);
int command_top(int argc, char **argv);
int command_wait(int argc, char **argv);
int command_watch(int argc, char **argv);
int command_zygote(int argc, char **argv);

/* Exit codes. run and wait keep 0 to 124 for their worker's. */
enum {
    EXIT_OWN_FAILURE = 1,
    EXIT_MISUSE = 2,
    EXIT_WAIT_TIMEOUT = 124,
    EXIT_RUN_FAILURE = 125,
    EXIT_NOT_EXECUTABLE = 126,
    EXIT_NOT_FOUND = 127,
};

/* How long an answer of the server may take, where nothing but the server is waited for. In microseconds. */
#define REPLY_TIMEOUT UINT64_C(30000000)
