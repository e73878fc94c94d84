/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Why systemd ends this unit. */
enum unit_job {
    UNIT_JOB_NONE, /* it does not: somebody else sent the signal, or the daemon has ended by itself */
    UNIT_JOB_STOP,
    UNIT_JOB_RESTART,
    UNIT_JOB_UNKNOWN, /* there is no bus to ask on */
};

/* Whether systemd itself has started this process as one of a unit: not as a child of another one there. */
bool unit_is_ours(void);

/* Asks systemd, for some seconds at most. */
enum unit_job unit_job(void);

/* ExecStopPost=: ends whatever the unit's daemon has left, unless it comes back for it. Returns the exit status. */
int after_stop(void);
