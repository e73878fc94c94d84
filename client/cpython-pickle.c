/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What CPython's multiprocessing.spawn reads in a new process: two objects in the format of pickle, protocol 4. A dict of what is
 * to be prepared, and a Process whose _bootstrap() calls a function. Bytes only; it knows of the format no more than it writes.
 */
#include <errno.h>
#include <string.h>

#include "client/cpython.h"

static const char process_module[] = "multiprocessing.process", context_module[] = "multiprocessing.context";

static void op(struct wire_buf *b, char code) {
    wire_put_bytes(b, &code, 1);
}

/* Numbers of pickle are little endian. */
static void put_u32(struct wire_buf *b, uint32_t v) {
    const uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    wire_put_bytes(b, bytes, sizeof bytes);
}

static void begin(struct wire_buf *b) {
    op(b, '\x80');
    op(b, 4);
}

static void put_text(struct wire_buf *b, const char *text, size_t size) {
    op(b, 'X');
    put_u32(b, (uint32_t)size);
    wire_put_bytes(b, text, size);
}

static void put_str(struct wire_buf *b, const char *text) {
    put_text(b, text, strlen(text));
}

static void put_int(struct wire_buf *b, int32_t v) {
    op(b, 'J');
    put_u32(b, (uint32_t)v);
}

static void put_bytes(struct wire_buf *b, const void *p, size_t n) {
    op(b, 'B');
    put_u32(b, (uint32_t)n);
    wire_put_bytes(b, p, n);
}

/* What a module calls by this name, which may have dots. */
static void put_global(struct wire_buf *b, const char *module, size_t module_size, const char *name) {
    put_text(b, module, module_size);
    put_str(b, name);
    op(b, '\x93');
}

/* What was put before, a function and an argument, is called. */
static void put_result(struct wire_buf *b) {
    op(b, '\x85');
    op(b, 'R');
}

/* As sys.argv has them, whatever bytes they are. */
static void put_strings(struct wire_buf *b, const char *const *strings) {
    for (; *strings != NULL; strings++) {
        put_global(b, "os", 2, "fsdecode");
        put_bytes(b, *strings, strlen(*strings));
        put_result(b);
    }
}

/* For connections of its own; it is made where it is used. */
static void put_authkey(struct wire_buf *b) {
    put_global(b, process_module, sizeof process_module - 1, "AuthenticationString");
    put_global(b, "os", 2, "urandom");
    put_int(b, LIMIT_AUTHKEY);
    put_result(b);
    put_result(b);
}

static void put_preparation(struct wire_buf *b, const char *function, const char *const *args) {
    begin(b);
    op(b, '}');
    op(b, '(');
    put_str(b, "name");
    put_str(b, function);
    put_str(b, "sys_argv");
    op(b, ']');
    op(b, '(');
    put_str(b, function);
    put_strings(b, args);
    op(b, 'e');
    op(b, 'u');
    op(b, '.');
}

/* The attributes that BaseProcess.__init__ makes. */
static void put_state(struct wire_buf *b, const char *function, pid_t parent) {
    put_str(b, "_name");
    put_str(b, function);
    put_str(b, "_identity");
    put_int(b, 1);
    op(b, '\x85');
    put_str(b, "_parent_pid");
    put_int(b, parent);
    put_str(b, "_parent_name");
    put_str(b, "libforksrv");
    put_str(b, "_popen");
    op(b, 'N');
    put_str(b, "_closed");
    op(b, '\x89');
    put_str(b, "_kwargs");
    op(b, '}');
    put_str(b, "_config");
    op(b, '}');
    op(b, '(');
    put_str(b, "authkey");
    put_authkey(b);
    put_str(b, "semprefix");
    put_str(b, "/mp");
    op(b, 'u');
}

int cpython_pickle_call(struct wire_buf *b, const char *function, const char *const *args, pid_t parent) {
    const char *colon = strchr(function, ':');
    size_t size = 0;
    for (const char *const *arg = args; *arg != NULL && size <= LIMIT_ARGS; arg++)
        size += strlen(*arg) + 1;
    if (colon == NULL || colon == function || colon[1] == 0 || strlen(function) >= LIMIT_PATH)
        return -EINVAL;
    if (size > LIMIT_ARGS)
        return -E2BIG;
    put_preparation(b, function, args);
    begin(b);
    put_global(b, context_module, sizeof context_module - 1, "ForkServerProcess");
    op(b, ')');
    op(b, '\x81');
    op(b, '}');
    op(b, '(');
    put_state(b, function, parent);
    put_str(b, "_target");
    put_global(b, function, (size_t)(colon - function), colon + 1);
    put_str(b, "_args");
    op(b, '(');
    put_strings(b, args);
    op(b, 't');
    op(b, 'u');
    op(b, 'b');
    op(b, '.');
    return b->failed ? -ENOMEM : 0;
}
