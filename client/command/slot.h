/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "forksrv.h"

/* The patience of `forksrv run --wait-for-slot`. */
struct slot {
    uint64_t until; /* on clock_nsec; 0: it does not wait; UINT64_MAX: it does for ever */
    uint64_t pause; /* before the next try, in nanoseconds */
};

/* usec: 0: it does not wait; UINT64_MAX: for ever. */
void slot_init(struct slot *slot, uint64_t usec);
bool slot_waits(const struct slot *slot);
/* Has the server wait for as long as there is patience left. */
void slot_set(const struct slot *slot, struct forksrv_spec *spec);
/* forksrv_spawn for as long as it takes. slot NULL: it does not wait for a slot. */
int slot_spawn(struct slot *slot, struct forksrv *session, struct forksrv_spec *spec, struct forksrv_worker **ret_worker);
/* A limit of the server refused the worker, and nothing was started. */
bool slot_refused(enum forksrv_stage stage, int error);
/* A session that was lost: whether it was because the server has no room for it. */
bool slot_session_refused(struct forksrv *session);
/* After such a refusal: pauses, and returns whether to try once more. A signal that ends processes ends this one meanwhile. */
bool slot_again(struct slot *slot);
