/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A configuration file of any content: what comes out is a configuration within its bounds, and reading the same file over it
 * again changes nothing. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/config.h"
#include "daemon/log.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct config *c) {
    HOLDS(c->handshake_timeout >= 100000 && c->handshake_timeout <= UINT64_C(600000000));
    HOLDS(c->max_unauthenticated >= 4 && c->max_unauthenticated <= 65536);
    HOLDS(c->max_unauthenticated_per_user >= 2 && c->max_unauthenticated_per_user <= 65536);
    HOLDS(c->n_users <= CONFIG_USERS);
    HOLDS(c->max_sessions >= 1 && c->max_sessions <= 65536);
    HOLDS(c->max_workers >= 1 && c->max_workers_per_session >= 1);
    HOLDS(c->grace <= UINT64_C(3600000000));
    HOLDS(c->keep_ends <= 65536);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    auto_fd fd = memfd_create("config", MFD_CLOEXEC);
    HOLDS(fd >= 0);
    HOLDS(write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    /* Its complaints are for people; here they would only fill the disk. */
    log_init(true);
    struct config first, second;
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    config_defaults(&first);
    config_defaults(&second);
    unsigned wrong = config_read_file(&first, path);
    check(&first);
    HOLDS(config_read_file(&second, path) == wrong);
    /* Its padding is zero in both. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
    HOLDS(memcmp(&first, &second, sizeof first) == 0);
    return 0;
}
