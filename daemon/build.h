/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/plan.h"

/* From a SPAWN message and its fds to a plan. Pure memory: nothing is opened or started. */

/* What is ours and every child needs. */
struct plan_base {
    int null_fd;        /* /dev/null, for 0, 1 and 2 where nothing is mapped */
    unsigned n_rlimits; /* those that we changed for ourselves, as they were */
    struct plan_rlimit rlimits[2];
};

/* fds: as received, n of them. ret_plan is freed by free(). On failure (-EINVAL, -E2BIG, -ENOMEM, -ENOTSUP) ret_text, of
 * LIMIT_TEXT bytes, says what was wrong with the request. */
int plan_build(const struct plan_base *base, const struct message *m, const int *fds, struct plan **ret_plan, char *ret_text);
