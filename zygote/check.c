/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a fork would not take along, or would share where it must not: threads and children. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "zygote/zygote.h"

static void add(char *text, size_t size, const char *what, const char *name) {
    size_t n = strlen(text);
    snprintf(text + n, size - n, "%s%s%s", n > 0 ? ", " : "", what, name);
}

static void check_threads(char *text, size_t size) {
    auto_dir dir = opendir("/proc/self/task");
    const struct dirent *e;
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        char path[64], name[32] = "?";
        if (e->d_name[0] == '.' || atol(e->d_name) == (long)getpid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", e->d_name);
        auto_file f = fopen(path, "re");
        if (f != NULL && fgets(name, sizeof name, f) != NULL)
            name[strcspn(name, "\n")] = 0;
        add(text, size, "a thread is alive: ", name);
    }
}

void check_fork_safety(char *ret_text, size_t size) {
    siginfo_t info;
    ret_text[0] = 0;
    check_threads(ret_text, size);
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
        add(ret_text, size, "a child process was left behind", "");
}
