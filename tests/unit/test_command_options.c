/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines against a table of options: what is taken, where the operands begin, and what is said about a mistake. Messages
 * are read from a file that stands in for standard error. */
#include "client/command/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "client/command/say.h"
#include "client/command/suggest.h"
#include "tests/unit/unit.h"

enum { KEY_LONG = OPTION_OWN, KEY_JSON, KEY_WAIT };

static const struct option_spec table[] = {
    {'E', "setenv", "NAME", "a variable"},    {KEY_LONG, "longer-than-the-column-of-names", "VALUE", "first line\nsecond line"},
    {KEY_JSON, "json", NULL, "as JSON"},      {KEY_WAIT, "wait", "[=SPAN]", "for so long"},
    {'o', "or-not", "[=WORD]", "either way"}, {0},
};

static const struct usage in_order = {
    .name = "try", .synopsis = "[X]", .summary = "Tries.", .groups = {{"Options", table}}, .more = "More.\n", .in_order = true};
static const struct usage permuted = {
    .name = "try", .synopsis = "[X]", .summary = "Tries.", .groups = {{"Options", table}}, .more = "More.\n"};

static char seen[256], output[4096];

static int record(void *data, int key, const char *argument) {
    size_t n = strlen(seen);
    ck_assert_ptr_eq(data, seen);
    snprintf(seen + n, sizeof seen - n, "%d=%s;", key, argument != NULL ? argument : "");
    return argument != NULL && strcmp(argument, "bad") == 0 ? options_bad_value("--setenv", argument, "good") : 0;
}

/* Runs options_parse on words separated by blanks; what it prints on `fd` is then in `output`. */
static int parse(const struct usage *usage, int fd, const char *line, int *ret_first) {
    static char words[256];
    char *argv[16];
    int argc = 0;
    snprintf(words, sizeof words, "try %s", line);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    seen[0] = '\0';
    fflush(NULL);
    int saved = dup(fd), file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(dup2(file, fd), fd);
    int r = options_parse(usage, argc, argv, record, seen, ret_first);
    fflush(NULL);
    dup2(saved, fd);
    close(saved);
    ssize_t n = pread(file, output, sizeof output - 1, 0);
    output[n > 0 ? n : 0] = '\0';
    close(file);
    return r;
}

static const struct {
    bool ordered;
    const char *line;
    const char *seen;
    int first;
} good[] = {
    {true, "", "", 1},
    {true, "prog --json", "", 1},
    {true, "-E A --json -- prog -E B", "69=A;257=;", 5},
    {true, "--setenv=A=B prog", "69=A=B;", 2},
    {true, "-EA=B prog", "69=A=B;", 2},
    {true, "--js prog", "257=;", 2},
    {true, "--wait 5s", "258=;", 2},
    {true, "--wait=5s prog", "258=5s;", 2},
    {true, "-oA -o A", "111=A;111=;", 3},
    {false, "prog --json -E X", "257=;69=X;", 4},
    {false, "--json -- --json", "257=;", 3},
};

START_TEST(taken) {
    int first = 0;
    int r = parse(good[_i].ordered ? &in_order : &permuted, STDERR_FILENO, good[_i].line, &first);
    ck_assert_msg(r == 0, "'%s' gives %d", good[_i].line, r);
    ck_assert_str_eq(seen, good[_i].seen);
    ck_assert_int_eq(first, good[_i].first);
    ck_assert_str_eq(output, "");
}
END_TEST

static const struct {
    const char *line;
    const char *message;
} wrong[] = {
    {"--jsno", "forksrv: there is no option --jsno: did you mean --json?\n"},
    {"--setnev=A", "forksrv: there is no option --setnev: did you mean --setenv?\n"},
    {"--quite-another", "forksrv: there is no option --quite-another; see 'forksrv try --help'\n"},
    {"--json -xE", "forksrv: there is no option -x; see 'forksrv try --help'\n"},
    {"-x", "forksrv: there is no option -x; see 'forksrv try --help'\n"},
    {"--json=yes", "forksrv: --json takes no value\n"},
    {"--setenv", "forksrv: --setenv needs a value; see 'forksrv try --help'\n"},
    {"-E", "forksrv: -E needs a value; see 'forksrv try --help'\n"},
    {"--\033[31m", "forksrv: there is no option --?[31m; see 'forksrv try --help'\n"},
    {"-E bad", "forksrv: --setenv: 'bad' is not good\n"},
};

START_TEST(mistaken) {
    int first = 4711;
    ck_assert_int_eq(parse(&in_order, STDERR_FILENO, wrong[_i].line, &first), -EINVAL);
    ck_assert_str_eq(output, wrong[_i].message);
    ck_assert_int_eq(first, 4711);
}
END_TEST

START_TEST(help) {
    int first;
    ck_assert_int_eq(parse(&in_order, STDOUT_FILENO, "--help --jsno", &first), OPTIONS_HELPED);
    ck_assert_str_eq(output, "Usage: forksrv try [X]\n\nTries.\n\nOptions:\n"
                             "  -E, --setenv=NAME         a variable\n"
                             "      --longer-than-the-column-of-names=VALUE\n"
                             "                            first line\n"
                             "                            second line\n"
                             "      --json                as JSON\n"
                             "      --wait[=SPAN]         for so long\n"
                             "  -o, --or-not[=WORD]       either way\n\n"
                             "  -h, --help                print this help\n\nMore.\n\nThe manual: man 1 forksrv\n");
}
END_TEST

START_TEST(suggestions) {
    static const char *const names[] = {"run", "list", "status", "kill", "wait", "watch", NULL};
    static const struct {
        const char *typed;
        const char *meant;
    } words[] = {{"lst", "list"},    {"lits", "list"},
                 {"stat", "status"}, {"wathc", "watch"},
                 {"rum", "run"},     {"k", NULL},
                 {"xyzzy", NULL},    {"", NULL},
                 {"restart", NULL},  {"an-argument-that-is-much-too-long-for-a-name", NULL}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        ck_assert_pstr_eq(suggest(words[i].typed, names), words[i].meant);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("command options");
    TCase *tests = tcase_create("options");
    tcase_add_loop_test(tests, taken, 0, (int)(sizeof good / sizeof good[0]));
    tcase_add_loop_test(tests, mistaken, 0, (int)(sizeof wrong / sizeof wrong[0]));
    tcase_add_test(tests, help);
    tcase_add_test(tests, suggestions);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
