/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the server tells of workers, as the structs of forksrv.h. Missing attributes are 0 or "". */
#include "client/spec.h"

#include <errno.h>
#include <string.h>

static uint64_t usage(const struct message *m, enum rusage_field field) {
    const struct attribute *a = &m->attributes[ATTR_RUSAGE];
    return a->size / 8 > (uint32_t)field ? wire_get_u64(a->data + 8 * (size_t)field) : 0;
}

void record_end(const struct message *m, struct forksrv_end *ret_end) {
    struct forksrv_end e = {.code = -1};
    const struct attribute *a = &m->attributes[ATTR_END];
    if (a->size >= 16) {
        uint32_t kind = wire_get_u32(a->data), value = wire_get_u32(a->data + 4);
        if (kind == END_EXITED)
            e.code = (int)(value & 0xff);
        else
            e.signo = (int)(value & 0x7f);
        e.core_dumped = kind == END_DUMPED;
        e.reason = (enum forksrv_reason)wire_get_u32(a->data + 8);
    }
    e.wall = message_u64(m, ATTR_WALL, 0);
    e.user_time = usage(m, RUSAGE_USER);
    e.system_time = usage(m, RUSAGE_SYSTEM);
    e.max_rss = usage(m, RUSAGE_MAXRSS);
    e.minor_faults = usage(m, RUSAGE_MINFLT);
    e.major_faults = usage(m, RUSAGE_MAJFLT);
    e.blocks_in = usage(m, RUSAGE_INBLOCK);
    e.blocks_out = usage(m, RUSAGE_OUBLOCK);
    e.voluntary_switches = usage(m, RUSAGE_NVCSW);
    e.involuntary_switches = usage(m, RUSAGE_NIVCSW);
    *ret_end = e;
}

static const char *or_empty(const char *s) {
    return s != NULL ? s : "";
}

int record_info(const struct message *m, struct forksrv_info *ret_info, char **ret_strings) {
    const char *name = or_empty(message_str(m, ATTR_NAME)), *program = or_empty(message_str(m, ATTR_PROGRAM)),
               *zygote = or_empty(message_str(m, ATTR_ZYGOTE));
    size_t name_size = strlen(name) + 1, program_size = strlen(program) + 1, zygote_size = strlen(zygote) + 1;
    char *strings = malloc(name_size + program_size + zygote_size);
    if (strings == NULL)
        return -ENOMEM;
    memcpy(strings, name, name_size);
    memcpy(strings + name_size, program, program_size);
    memcpy(strings + name_size + program_size, zygote, zygote_size);
    struct forksrv_info info = {
        .id = message_u64(m, ATTR_WORKER, 0),
        .pid = (pid_t)message_u32(m, ATTR_PID, 0),
        .state = message_has(m, ATTR_END) ? FORKSRV_STATE_ENDED : FORKSRV_STATE_RUNNING,
        .flags = message_u32(m, ATTR_SPAWN_FLAGS, 0) & SPEC_FLAGS,
        .name = strings,
        .program = strings + name_size,
        .zygote = strings + name_size + program_size,
        .session = message_u64(m, ATTR_SESSION, 0),
        .started_at = message_u64(m, ATTR_STARTED_AT, 0),
    };
    record_end(m, &info.end);
    *ret_info = info;
    *ret_strings = strings;
    return 0;
}
