/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a declaration to the plan of a process. The daemon's own environment is no part of it: what a zygote needs of its user it
 * gets anew, and what it is to load is told in variables that forksrv-zygote(7) lists. */
#include "daemon/runtime.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/build.h"
#include "daemon/launch.h"
#include "protocol/frame.h"

#define DEFAULT_PYTHON "/usr/bin/python3"
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define PREFIX "FORKSRV_ZYGOTE_"

/* ---- what is run ---- */

/* Ours may be elsewhere, for tests and for builds that are not installed. */
static const char *ours(const char *variable, const char *installed) {
    const char *path = getenv(variable);
    return path != NULL && path[0] == '/' ? path : installed;
}

const char *runtime_program(const struct declaration *d) {
    if (d->runtime == RUNTIME_DSO)
        return ours("FORKSRV_ZYGOTE_DSO", PATH_LIBEXEC "/forksrv-zygote-dso");
    return d->interpreter.count > 0 ? d->interpreter.data : DEFAULT_PYTHON;
}

static bool add(struct words *w, const char *word) {
    return words_add(w, word, strlen(word));
}

static bool add_words(struct words *w, const struct words *more) {
    bool ok = true;
    for (const char *p = more->data; p != NULL && p < more->data + more->size; p += strlen(p) + 1)
        ok &= add(w, p);
    return ok;
}

static bool make_argv(const struct declaration *d, struct words *argv) {
    char start[LIMIT_PATH];
    bool ok = true;
    switch ((enum zygote_runtime)d->runtime) {
    case RUNTIME_DSO:
        return add(argv, runtime_program(d));
    case RUNTIME_PYTHON:
        ok = d->interpreter.count > 0 ? add_words(argv, &d->interpreter) : add(argv, DEFAULT_PYTHON);
        snprintf(start, sizeof start, "%s/forksrv/_start.py", ours("FORKSRV_PYTHON_DIR", PATH_PYTHON));
        return ok && add(argv, start);
    case RUNTIME_EXEC:
        ok = add_words(argv, &d->interpreter);
        return ok && (d->module == NULL || add(argv, d->module));
    }
    return false;
}

/* ---- its environment ---- */

/* A later one of the same name wins, as with execve's readers; so the declaration's own come after ours. */
static bool put(struct words *e, const char *name, const char *value) {
    char variable[LIMIT_PATH + 64];
    int n = snprintf(variable, sizeof variable, "%s=%s", name, value);
    return n > 0 && (size_t)n < sizeof variable && words_add(e, variable, (size_t)n);
}

static bool put_number(struct words *e, const char *name, uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return put(e, name, text);
}

static bool put_from_ours(struct words *e, const char *name) {
    const char *value = getenv(name);
    return value == NULL || strlen(value) >= LIMIT_PATH || put(e, name, value);
}

static bool put_user(struct words *e) {
    char buf[16384];
    struct passwd pw, *found = NULL;
    if (getpwuid_r(getuid(), &pw, buf, sizeof buf, &found) != 0 || found == NULL)
        return put(e, "HOME", "/");
    return put(e, "HOME", pw.pw_dir) && put(e, "USER", pw.pw_name) && put(e, "LOGNAME", pw.pw_name) &&
           put(e, "SHELL", pw.pw_shell);
}

/* One name of what is to be loaded on each line. */
static bool put_list(struct words *e, const char *name, const struct words *list) {
    size_t size = strlen(name) + 1 + list->size + 1;
    char *variable = malloc(size);
    if (variable == NULL)
        return false;
    size_t n = (size_t)snprintf(variable, size, "%s=", name);
    for (size_t i = 0; i < list->size; i++)
        variable[n++] = list->data[i] != 0 ? list->data[i] : '\n';
    bool ok = words_add(e, variable, list->size > 0 ? n - 1 : n);
    free(variable);
    return ok;
}

static bool drop_same(struct words *e, const char *variable) {
    size_t name = strcspn(variable, "=") + 1;
    for (char *p = e->data; p != NULL && p < e->data + e->size; p += strlen(p) + 1) {
        if (strncmp(p, variable, name) != 0)
            continue;
        size_t n = strlen(p) + 1;
        memmove(p, p + n, e->size - (size_t)(p - e->data) - n);
        e->size -= n;
        e->count--;
        return true;
    }
    return false;
}

static bool put_declared(struct words *e, const struct words *declared) {
    for (const char *p = declared->data; p != NULL && p < declared->data + declared->size; p += strlen(p) + 1) {
        drop_same(e, p);
        if (strchr(p, '=') == NULL || p[0] == '=' || !add(e, p))
            return false;
    }
    return true;
}

static bool make_environ(const struct zygote *z, struct words *e) {
    const struct declaration *d = &z->declaration;
    bool ok = put(e, "PATH", DEFAULT_PATH) && put_user(e);
    static const char *const ours[] = {"LANG", "LC_ALL", "LC_CTYPE", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        ok = ok && put_from_ours(e, ours[i]);
    /* Only where we ourselves were built with these would anybody set them. */
    static const char *const tools[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS",     "LSAN_OPTIONS",
                                        "GCOV_PREFIX",  "GCOV_PREFIX_STRIP", "LLVM_PROFILE_FILE"};
    for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++)
        ok = ok && put_from_ours(e, tools[i]);
    ok = ok && put_declared(e, &d->environment);
    ok = ok && put(e, PREFIX "NAME", z->name) && put_list(e, PREFIX "PRELOAD", &d->preload);
    ok = ok && put(e, PREFIX "MODULE", d->module != NULL ? d->module : "");
    ok = ok && put_number(e, PREFIX "START_TIMEOUT_USEC", d->start_timeout) && put_number(e, PREFIX "SPARES", d->spares) &&
         put_number(e, PREFIX "SPARE_REFILL_USEC", d->spare_refill);
    return ok && put(e, PREFIX "ON_PRELOAD_ERROR", d->on_preload_error == ON_ERROR_WARN ? "warn" : "fail");
}

/* ---- the plan: by the same way as a client's request ---- */

static void put_fdmap(struct message_writer *w) {
    static const uint32_t map[][2] = {{RUNTIME_PRINT, 1}, {RUNTIME_PRINT, 2}, {RUNTIME_SOCKET, 3}};
    enum { PAIRS = sizeof map / sizeof map[0] };
    uint8_t *p = message_put_space(w, ATTR_FDMAP, 8 * (size_t)PAIRS);
    for (unsigned i = 0; p != NULL && i < PAIRS; i++) {
        wire_put_u32(p + 8 * i, map[i][0]);
        wire_put_u32(p + 8 * i + 4, map[i][1]);
    }
}

static int wrong(char ret_text[LIMIT_TEXT], int r, const char *what) {
    snprintf(ret_text, LIMIT_TEXT, "it cannot be started: %s", what);
    return r;
}

static int plan_of(struct wire_buf *buf, const struct zygote *z, const int fds[RUNTIME_FDS], struct plan **ret_plan,
                   char ret_text[LIMIT_TEXT]) {
    struct message m;
    int r = message_read(wire_buf_head(buf) + FRAME_HEADER, wire_buf_len(buf) - FRAME_HEADER, FROM_CLIENT, STATE_READY, &m);
    if (r < 0)
        return wrong(ret_text, r, "its arguments and environment are too many");
    return plan_build(launch_base(z->d), &m, fds, ret_plan, ret_text);
}

int runtime_plan(const struct zygote *z, const int fds[RUNTIME_FDS], struct plan **ret_plan, char ret_text[LIMIT_TEXT]) {
    struct words argv = {0}, environ_ = {0};
    struct wire_buf buf;
    struct message_writer w;
    int r = 0;
    wire_buf_init(&buf, FRAME_HEADER + LIMIT_FRAME);
    if (z->declaration.runtime == RUNTIME_EXEC && z->declaration.interpreter.count == 0)
        r = wrong(ret_text, -EINVAL, "Runtime=exec needs Interpreter=");
    else if (!make_argv(&z->declaration, &argv) || !make_environ(z, &environ_))
        r = wrong(ret_text, -EINVAL, "a word of Environment= is not NAME=VALUE, or memory is short");
    if (r == 0) {
        message_begin(&w, &buf, MSG_SPAWN, RUNTIME_FDS, 1);
        message_put_bytes(&w, ATTR_ARGV, argv.data, argv.size);
        message_put_bytes(&w, ATTR_ENVIRON, environ_.data, environ_.size);
        if (z->declaration.working_directory != NULL)
            message_put_str(&w, ATTR_CWD, z->declaration.working_directory);
        put_fdmap(&w);
        r = message_end(&w) < 0 ? wrong(ret_text, -E2BIG, "its arguments and environment are too long")
                                : plan_of(&buf, z, fds, ret_plan, ret_text);
    }
    wire_buf_done(&buf);
    words_done(&argv);
    words_done(&environ_);
    return r;
}
