/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The generator's judgements: which names are fine, how they are escaped, which commands systemd would take as they are meant,
 * for which manager it was called. What it makes of files is tests/live/generator.tap. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/command.h"
#include "plugin/flavour.h"
#include "plugin/names.h"
#include "plugin/output.h"
#include "tests/unit/unit.h"

/* ---- names ---- */

static const struct {
    const char *name;
    bool user, zygote, unit;
} names[] = {
    {"alice", true, true, false},        {"bob-smith", true, true, false},
    {"_x.1", true, true, false},         {"A", true, true, false},
    {"1", false, true, false},           {"-x", false, true, false},
    {".x", false, false, false},         {"", false, false, false},
    {"a/b", false, false, false},        {"..", false, false, false},
    {"../a", false, false, false},       {"a b", false, false, false},
    {"a%i", false, false, false},        {"a\n", false, false, false},
    {"a@b", false, false, false},        {"a\\b", false, false, false},
    {"\xc3\xa4", false, false, false},   {"a.service", true, true, true},
    {".service", false, false, false},   {"a@b.target", false, false, true},
    {"@.target", false, false, false},   {"a:b\\x2d.mount", false, false, true},
    {"a/b.target", false, false, false}, {"a.wants", true, true, false},
    {"a b.target", false, false, false}, {"%i.target", false, false, false},
    {"-.slice", false, true, true},
};

START_TEST(which_names) {
    const char *name = names[_i].name;
    ck_assert_msg(name_is_user(name) == names[_i].user, "user %s", name);
    ck_assert_msg(name_is_zygote(name) == names[_i].zygote, "zygote %s", name);
    ck_assert_msg(name_is_unit(name, NULL) == names[_i].unit, "unit %s", name);
}
END_TEST

START_TEST(long_names) {
    char name[300];
    memset(name, 'x', sizeof name);
    name[64] = 0;
    ck_assert(name_is_user(name) && name_is_zygote(name));
    name[64] = 'x', name[65] = 0;
    ck_assert(!name_is_user(name) && !name_is_zygote(name));
    memset(name, 'x', sizeof name);
    memcpy(name + 249, ".slice", 7);
    ck_assert(name_is_unit(name, ".slice") && !name_is_unit(name, ".target"));
    memset(name, 'x', sizeof name);
    memcpy(name + 250, ".slice", 7);
    ck_assert(!name_is_unit(name, ".slice"));
}
END_TEST

/* As systemd-escape has it, but for '-'. */
static const struct {
    const char *name, *unit;
} escaped[] = {
    {"panel", "h-panel.service"},
    {"a-b_c.d:e", "h-a-b_c.d:e.service"},
    {"a b", "h-a\\x20b.service"},
    {"%h", "h-\\x25h.service"},
    {"a\\", "h-a\\x5c.service"},
    {"x@y", "h-x\\x40y.service"},
    {"\xc3\xa4", "h-\\xc3\\xa4.service"},
    {"..", "h-...service"},
    {"a/b", "h-a\\x2fb.service"},
    {"", NULL},
    {"a\nb", NULL},
    {"a\tb", "h-a\\x09b.service"},
    {"\xff", NULL},
};

START_TEST(escapes) {
    char unit[NAME_UNIT];
    bool fine = name_escape("h-", escaped[_i].name, ".service", unit);
    ck_assert_int_eq(fine, escaped[_i].unit != NULL);
    if (fine)
        ck_assert_str_eq(unit, escaped[_i].unit);
}
END_TEST

START_TEST(long_escapes) {
    char unit[NAME_UNIT], name[400];
    for (size_t n = 1; n < sizeof name; n++) {
        memset(name, n % 2 == 0 ? 'x' : ' ', n);
        name[n] = 0;
        if (name_escape("h-", name, ".service", unit))
            ck_assert(strlen(unit) < NAME_UNIT && name_is_unit(unit, ".service"));
        else
            ck_assert_uint_gt(n, 50);
    }
}
END_TEST

/* ---- commands ---- */

static const struct {
    const char *command;
    bool program, forked;
} commands[] = {
    {"/bin/true", true, true},
    {"panel --home=%h $HOME ${X}", true, true},
    {"sh -c 'a; b \"c\"'", true, true},
    {"sh -c \"a ; b\"", true, true},
    {"find \\;", true, true},
    {"find \\; x", true, true},
    {"a ';'", true, true},
    {"-m module", false, true},
    {"-", false, true},
    {"a ; b", false, false},
    {"a ;", false, false},
    {"a;b", true, true},
    {"@a", false, false},
    {"+a", false, false},
    {"!!a", false, false},
    {":a", false, false},
    {"|a", false, false},
    {"\"\" a", false, false},
    {"'' a", false, false},
    {"a \"b", false, false},
    {"a 'b", false, false},
    {"a \"b\\\"", false, false},
    {"a \\q", false, false},
    {"a \\", false, false},
    {"a \\n\\t\\\\\\\"\\'\\s", true, true},
    {"a \\x41\\101\\u00e4\\U0001f600", true, true},
    {"a \\x4", false, false},
    {"a \\x00", false, false},
    {"a \\000", false, false},
    {"a \\10", false, false},
    {"a \\;b", false, false},
};

START_TEST(which_commands) {
    ck_assert_msg((command_mistake(commands[_i].command, false) == NULL) == commands[_i].program, "%s", commands[_i].command);
    ck_assert_msg((command_mistake(commands[_i].command, true) == NULL) == commands[_i].forked, "-z: %s", commands[_i].command);
}
END_TEST

/* ---- for whom ---- */

START_TEST(flavours) {
    unsetenv("SYSTEMD_SCOPE");
    ck_assert_int_eq(flavour_of("/usr/lib/systemd/user-generators/forksrv-generator"), FLAVOUR_USER);
    ck_assert_int_eq(flavour_of("/opt/lib/systemd/user-generators/x"), FLAVOUR_USER);
    ck_assert_int_eq(flavour_of(USER_GENERATORS "/x"), FLAVOUR_USER);
    ck_assert_int_eq(flavour_of("/usr/lib/systemd/system-generators/forksrv-generator"), FLAVOUR_SYSTEM);
    ck_assert_int_eq(flavour_of("/usr/lib/systemd/user-generators/below/x"), FLAVOUR_SYSTEM);
    ck_assert_int_eq(flavour_of("forksrv-generator"), FLAVOUR_SYSTEM);
    ck_assert_int_eq(flavour_of(NULL), FLAVOUR_SYSTEM);
    ck_assert_int_eq(setenv("SYSTEMD_SCOPE", "user", 1), 0);
    ck_assert_int_eq(flavour_of("forksrv-generator"), FLAVOUR_USER);
    ck_assert_int_eq(setenv("SYSTEMD_SCOPE", "system", 1), 0);
    ck_assert_int_eq(flavour_of("/usr/lib/systemd/user-generators/x"), FLAVOUR_SYSTEM);
}
END_TEST

START_TEST(folders) {
    static struct sources s;
    unsetenv("XDG_CONFIG_HOME");
    ck_assert_int_eq(setenv("HOME", "/home/x", 1), 0);
    flavour_folders(FLAVOUR_USER, &s);
    ck_assert_uint_eq(s.n_folders, 4);
    ck_assert_str_eq(s.folders[0], "/home/x/.config/forksrv/helpers");
    ck_assert_str_eq(s.folders[2], "/run/forksrv/helpers");
    ck_assert_int_eq(setenv("XDG_CONFIG_HOME", "/c", 1), 0);
    flavour_folders(FLAVOUR_USER, &s);
    ck_assert_str_eq(s.folders[0], "/c/forksrv/helpers");
    ck_assert_int_eq(setenv("XDG_CONFIG_HOME", "relative", 1), 0);
    ck_assert_int_eq(setenv("HOME", "", 1), 0);
    flavour_folders(FLAVOUR_USER, &s);
    ck_assert_uint_eq(s.n_folders, 3);
    flavour_folders(FLAVOUR_SYSTEM, &s);
    ck_assert_uint_eq(s.n_folders, 3);
    ck_assert_str_eq(s.suffix, ".instance");
}
END_TEST

/* ---- output ---- */

static char folder[64];

START_TEST(only_below_its_folder) {
    struct output o;
    char path[128];
    strcpy(folder, "/tmp/forksrv-test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/out", folder);
    ck_assert_int_eq(output_init(&o, path), -ENOENT);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    ck_assert_int_eq(output_init(&o, path), 0);
    ck_assert(chdir(folder) == 0 && symlink("..", "out/link.d") == 0 && symlink("../target", "out/linked") == 0);
    ck_assert_int_eq(output_file(&o, NULL, "../x", "a", 1), -EINVAL);
    ck_assert_int_eq(output_file(&o, "..", "x", "a", 1), -EINVAL);
    ck_assert_int_eq(output_file(&o, "a/b", "x", "a", 1), -EINVAL);
    ck_assert_int_eq(output_link(&o, ".", "x", "a"), -EINVAL);
    ck_assert_int_lt(output_file(&o, "link.d", "x", "a", 1), 0);
    ck_assert_int_eq(output_file(&o, NULL, "linked", "a", 1), -EEXIST);
    ck_assert_int_eq(output_file(&o, "a.d", "x", "a", 1), 0);
    ck_assert_int_eq(output_file(&o, "a.d", "x", "b", 1), -EEXIST);
    ck_assert_int_eq(output_link(&o, "a.d", "x", "b"), -EEXIST);
    ck_assert_int_eq(output_link(&o, "a.d", "y", "b"), 0);
    ck_assert(access("x", F_OK) != 0 && access("target", F_OK) != 0 && access("out/a.d/x", F_OK) == 0);
    output_done(&o);
    snprintf(path, sizeof path, "rm -r %s", folder);
    ck_assert(chdir("/") == 0 && system(path) == 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("plugin");
    TCase *tc = tcase_create("plugin");
    tcase_add_loop_test(tc, which_names, 0, sizeof names / sizeof names[0]);
    tcase_add_test(tc, long_names);
    tcase_add_loop_test(tc, escapes, 0, sizeof escaped / sizeof escaped[0]);
    tcase_add_test(tc, long_escapes);
    tcase_add_loop_test(tc, which_commands, 0, sizeof commands / sizeof commands[0]);
    tcase_add_test(tc, flavours);
    tcase_add_test(tc, folders);
    tcase_add_test(tc, only_below_its_folder);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
