/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A configuration file of any content: what comes out is a configuration within its bounds, and reading the same file over it
 * again only adds to users. */
#include <pwd.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/declaration.h"
#include "daemon/log.h"
#include "tests/fuzz/file.h"

/* There is one user here: who the machine knows is none of our business, and to ask it takes longer than all the rest. */
struct passwd *getpwnam(const char *name) {
    static char root_name[] = "root";
    static struct passwd root = {.pw_name = root_name};
    return strcmp(name, root_name) == 0 ? &root : NULL;
}

static void check(const struct config *c) {
    HOLDS(c->handshake_timeout >= 100000 && c->handshake_timeout <= UINT64_C(600000000));
    HOLDS(c->max_unauthenticated >= 4 && c->max_unauthenticated <= 65536);
    HOLDS(c->max_unauthenticated_per_user >= 2 && c->max_unauthenticated_per_user <= 65536);
    HOLDS(c->n_users <= CONFIG_USERS);
    for (unsigned i = 0; i < c->n_users; i++)
        HOLDS(c->users[i] != (uid_t)-1);
    HOLDS(c->max_sessions >= 1 && c->max_sessions <= 65536);
    HOLDS(c->max_workers >= 1 && c->max_workers <= 1048576);
    HOLDS(c->max_workers_per_session >= 1 && c->max_workers_per_session <= 1048576);
    HOLDS(c->grace <= UINT64_C(3600000000));
    HOLDS(c->keep_ends <= 65536 && c->keep_ends_time <= UINT64_C(2592000000000));
    HOLDS(c->idle_exit <= UINT64_C(2592000000000));
    HOLDS(c->cpython_zygote[0] == 0 || declaration_name_is_fine(c->cpython_zygote));
}

/* What a second reading changes: who is named in more than one file is there more than once, and all else is said again. */
static void check_again(const struct config *first, struct config *second) {
    HOLDS(second->n_users >= first->n_users);
    HOLDS(memcmp(second->users, first->users, first->n_users * sizeof first->users[0]) == 0);
    memcpy(second->users, first->users, sizeof first->users);
    second->n_users = first->n_users;
    /* Their padding is zero in both. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
    HOLDS(memcmp(first, second, sizeof *first) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    file.data = data;
    file.size = size;
    /* Its complaints are for people; here they would only fill the disk. */
    log_init(true);
    struct config first, second;
    memset(&first, 0, sizeof first);
    config_defaults(&first);
    unsigned wrong = config_read_file(&first, FILE_PATH);
    check(&first);
    memcpy(&second, &first, sizeof second);
    HOLDS(config_read_file(&second, FILE_PATH) >= wrong);
    check(&second);
    check_again(&first, &second);
    return 0;
}
