/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon takes from itself at its start, and that what it executes has it back. The user that it becomes is tested by
 * tests/live/privileges.tap. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/privileges.h"
#include "tests/unit/unit.h"

enum { PAGE = 4096, GET_MDWE = 66 };

static bool can_make_code(void) {
    void *both = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *late = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return both != MAP_FAILED || (late != MAP_FAILED && mprotect(late, PAGE, PROT_READ | PROT_EXEC) == 0);
}

/* As the daemon's children do, in its own memory. */
static int execute_self(void *data) {
    execl("/proc/self/exe", (const char *)data, "executed", (char *)NULL);
    _exit(127);
}

START_TEST(it_is_undumpable) {
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
    ck_assert_int_eq(privileges_harden(), 0);
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
}
END_TEST

START_TEST(it_makes_no_code) {
    ck_assert(can_make_code());
    ck_assert_int_eq(privileges_harden(), 0);
    /* Before Linux 6.6 it is not to be had. */
    if (prctl(GET_MDWE, 0, 0, 0, 0) > 0)
        ck_assert(!can_make_code());
}
END_TEST

START_TEST(what_it_executes_is_free_of_both) {
    size_t size = 65536;
    char *stack = malloc(size), name[] = "test_privileges";
    int status;
    ck_assert_ptr_nonnull(stack);
    ck_assert_int_eq(privileges_harden(), 0);
    pid_t pid = clone(execute_self, stack + size, CLONE_VM | CLONE_VFORK | SIGCHLD, name);
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    free(stack);
}
END_TEST

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1)
        return can_make_code() && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 ? 0 : 1;
    Suite *suite = suite_create("privileges");
    TCase *tc = tcase_create("privileges");
    tcase_add_test(tc, it_is_undumpable);
    tcase_add_test(tc, it_makes_no_code);
    tcase_add_test(tc, what_it_executes_is_free_of_both);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
