/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The start of a child. clone3 with CLONE_VM and without CLONE_VFORK: nothing of our memory is copied, and we do not wait for its
 * exec, which can take as long as the file system that the program is on. It decides nothing about what is started. */
#include "daemon/start.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/limits.h"
#include "daemon/raw.h"
#include "daemon/table.h"

struct starter {
    struct slot slots[START_SLOTS];
    char *stacks[START_SLOTS];        /* owned: each mapped at first use, lowest page a guard */
    struct plan *plans[START_SLOTS];  /* owned; NULL once the child has left our memory */
    unsigned free_slots[START_SLOTS]; /* a stack of them: the last one used is still in the cache */
    unsigned n_free;
    unsigned busy[START_SLOTS]; /* with a plan */
    unsigned n_busy;
    bool no_clone3;
    size_t page;
};

int starter_new(struct starter **ret_starter) {
    auto_free struct starter *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    s->page = (size_t)sysconf(_SC_PAGESIZE);
    for (unsigned i = START_SLOTS; i > 0; i--)
        s->free_slots[s->n_free++] = i - 1;
    *ret_starter = steal_ptr(s);
    return 0;
}

void starter_free(struct starter *s) {
    if (s == NULL)
        return;
    for (unsigned i = 0; i < START_SLOTS; i++) {
        free(s->plans[i]);
        if (s->stacks[i] != NULL)
            munmap(s->stacks[i], START_STACK + s->page);
    }
    free(s);
}

static int make_stack(struct starter *s, unsigned i) {
    if (s->stacks[i] != NULL)
        return 0;
    char *p = mmap(NULL, START_STACK + s->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (p == MAP_FAILED)
        return -errno;
    if (mprotect(p, s->page, PROT_NONE) < 0) {
        int r = -errno;
        munmap(p, START_STACK + s->page);
        return r;
    }
    s->stacks[i] = p;
    return 0;
}

static int run_plan(void *plan) {
    child_run(plan);
    return 127;
}

/* For containers whose seccomp filter has no clone3: the same without a cgroup. Where raw.h has no system calls of its own, the
 * child uses libc's and may touch errno, so we do wait for its exec. */
static long clone_old(struct starter *s, unsigned i, struct plan *plan, int *pidfd) {
    int flags = CLONE_VM | CLONE_PIDFD | CLONE_CHILD_CLEARTID | SIGCHLD | (RAW_SHARES_MEMORY ? 0 : CLONE_VFORK);
    if (plan->cut > 0)
        flags |= CLONE_FILES;
    int pid = clone(run_plan, s->stacks[i] + s->page + START_STACK, flags, plan, pidfd, NULL, &s->slots[i].tid);
    return pid < 0 ? -errno : pid;
}

static long clone_plan(struct starter *s, unsigned i, struct plan *plan, int cgroup, int *pidfd) {
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_PIDFD | CLONE_CHILD_CLEARTID,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .child_tid = (uint64_t)(uintptr_t)&s->slots[i].tid,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)(s->stacks[i] + s->page),
        .stack_size = START_STACK,
    };
    if (plan->cut > 0)
        args.flags |= CLONE_FILES;
    if (plan->record != NULL) {
        args.flags |= CLONE_PARENT_SETTID;
        args.parent_tid = (uint64_t)(uintptr_t)&plan->record->pid;
    }
    if (cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)cgroup;
    }
    if (plan->flags & SPAWN_HAND_OVER) {
        args.flags |= CLONE_PARENT;
        args.exit_signal = 0; /* it is the same as ours, which our parent has chosen */
    }
    long r = s->no_clone3 || !RAW_SHARES_MEMORY ? -ENOSYS : raw_clone3(&args, sizeof args, child_run, plan);
    if (r != -ENOSYS && !(r == -EPERM && cgroup < 0))
        return r;
    s->no_clone3 = true;
    return cgroup >= 0 || plan->flags & SPAWN_HAND_OVER ? -EOPNOTSUPP : clone_old(s, i, plan, pidfd);
}

int starter_start(struct starter *s, struct plan *plan, uint64_t owner, int cgroup, pid_t *ret_pid, int *ret_pidfd,
                  struct slot **ret_slot) {
    starter_collect(s);
    if (s->n_free == 0)
        return -EAGAIN;
    unsigned i = s->free_slots[s->n_free - 1];
    int r = make_stack(s, i);
    if (r < 0)
        return r;
    struct slot *slot = &s->slots[i];
    *slot = (struct slot){.tid = 1, .owner = owner};
    plan->slot = slot;
    int pidfd = -1;
    long pid = clone_plan(s, i, plan, cgroup, &pidfd);
    if (pid < 0)
        return (int)pid;
    if (plan->record != NULL)
        plan->record->pid = (pid_t)pid;
    s->n_free--;
    s->plans[i] = plan;
    s->busy[s->n_busy++] = i;
    *ret_pid = (pid_t)pid;
    *ret_pidfd = pidfd;
    *ret_slot = slot;
    return 0;
}

void starter_collect(struct starter *s) {
    for (unsigned k = 0; k < s->n_busy;) {
        unsigned i = s->busy[k];
        if (__atomic_load_n(&s->slots[i].tid, __ATOMIC_ACQUIRE) != 0) {
            k++;
            continue;
        }
        s->busy[k] = s->busy[--s->n_busy];
        free(s->plans[i]);
        s->plans[i] = NULL;
        /* One that failed stays, until its owner has read why. */
        if (s->slots[i].error == 0)
            s->free_slots[s->n_free++] = i;
    }
}

bool starter_has_room(struct starter *s) {
    if (s->n_free == 0)
        starter_collect(s);
    return s->n_free > 0;
}

unsigned starter_busy(struct starter *s) {
    starter_collect(s);
    return START_SLOTS - s->n_free;
}

bool starter_has_own_fds(const struct slot *slot, uint64_t owner) {
    return slot->owner != owner || __atomic_load_n(&slot->unshared, __ATOMIC_ACQUIRE) != 0 ||
           __atomic_load_n(&slot->tid, __ATOMIC_ACQUIRE) == 0;
}

bool starter_is_starting(const struct slot *slot, uint64_t owner) {
    return slot != NULL && slot->owner == owner && __atomic_load_n(&slot->tid, __ATOMIC_ACQUIRE) != 0;
}

bool starter_begun(const struct slot *slot, uint64_t owner) {
    return slot->owner != owner || __atomic_load_n(&slot->begun, __ATOMIC_ACQUIRE) != 0;
}

bool starter_failed(const struct slot *slot, uint64_t owner) {
    return __atomic_load_n(&slot->error, __ATOMIC_ACQUIRE) != 0 && slot->owner == owner;
}

int starter_failure(struct starter *s, struct slot *slot, uint64_t owner, enum stage *ret_stage) {
    unsigned i = (unsigned)(slot - s->slots);
    int error = (int)__atomic_load_n(&slot->error, __ATOMIC_ACQUIRE);
    if (slot->owner != owner || error == 0)
        return 0;
    *ret_stage = (enum stage)slot->stage;
    starter_collect(s);
    slot->owner = 0;
    slot->error = 0;
    if (s->plans[i] == NULL)
        s->free_slots[s->n_free++] = i;
    return error;
}
