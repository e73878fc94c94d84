/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of processes, from /proc/PID/smaps_rollup. Here and not in the server: it would keep that from its work. */
#include "memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"

bool memory_of(pid_t pid, struct memory *ret_memory) {
    char path[64], line[256];
    struct memory m = {0};
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    owned_file file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        uint64_t kib;
        if (sscanf(line, "Pss: %" SCNu64, &kib) == 1) {
            m.pss = kib;
            found = true;
        } else if (sscanf(line, "Shared_Clean: %" SCNu64, &kib) == 1 || sscanf(line, "Shared_Dirty: %" SCNu64, &kib) == 1) {
            m.shared += kib;
        } else if (sscanf(line, "Private_Clean: %" SCNu64, &kib) == 1 || sscanf(line, "Private_Dirty: %" SCNu64, &kib) == 1) {
            m.own += kib;
        }
    }
    if (found)
        *ret_memory = m;
    return found;
}

const char *memory_format(uint64_t kib, char *ret_buffer, size_t size) {
    if (kib < 1024)
        snprintf(ret_buffer, size, "%" PRIu64 "K", kib);
    else if (kib < UINT64_C(1024) * 1024)
        snprintf(ret_buffer, size, "%.1fM", (double)kib / 1024);
    else
        snprintf(ret_buffer, size, "%.2fG", (double)kib / 1024 / 1024);
    return ret_buffer;
}
