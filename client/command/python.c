/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv python`: runs a Python program whose multiprocessing gets its processes from forksrv. All is done by the Python
 * package, options included; here its place and the interpreter are found. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "command.h"
#include "say.h"

/* Tests run the package where it stands. */
static const char *package(void) {
    const char *path = getenv("FORKSRV_PYTHON_DIR");
    return path != NULL && path[0] == '/' ? path : PATH_PYTHON;
}

int command_python(int argc, char **argv) {
    static char usual[] = "python3";
    char *python = getenv("FORKSRV_PYTHON");
    char program[PATH_MAX], clean[256];
    if (python == NULL || python[0] == 0)
        python = usual;
    if ((size_t)snprintf(program, sizeof program, "%s/forksrv/__main__.py", package()) >= sizeof program ||
        access(program, R_OK) < 0) {
        say("the Python package of forksrv is not there: %s: %s", say_clean(program, clean, sizeof clean), strerror(errno));
        return EXIT_RUN_FAILURE;
    }
    owned_memory char **words = calloc((size_t)argc + 2, sizeof *words);
    if (words == NULL) {
        say("no memory");
        return EXIT_RUN_FAILURE;
    }
    words[0] = python;
    words[1] = program;
    for (int i = 1; i < argc; i++)
        words[i + 1] = argv[i];
    execvp(python, words);
    int error = errno;
    say("cannot run %s: %s; $FORKSRV_PYTHON names the interpreter", say_clean(python, clean, sizeof clean), strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
