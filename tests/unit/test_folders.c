/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where declarations of zygotes stand: which of the folders decides, drop-ins, names. declaration.c is built with folders below
 * the test's own. */
#include <stdio.h>

#include "daemon/declaration.h"
#include "tests/unit/files.h"
#include "tests/unit/unit.h"

/* ---- folders ---- */

START_TEST(the_strongest_folder_decides) {
    struct declaration d;
    unsigned wrong = 77;
    ck_assert(!read_named("z", true, &d, &wrong));
    ck_assert_uint_eq(wrong, 77);
    write_file("share/zygotes/z.conf", "[Zygote]\nSpares=1\nMaxWorkers=11\n");
    ck_assert(read_named("z", true, &d, &wrong));
    ck_assert(d.spares == 1 && d.max_workers == 11 && wrong == 0);
    declaration_done(&d);
    write_file("etc/zygotes/z.conf", "[Zygote]\nSpares=2\n");
    ck_assert(read_named("z", true, &d, &wrong));
    /* The others are not read. */
    ck_assert(d.spares == 2 && d.max_workers == 1024);
    declaration_done(&d);
    write_file("forksrv/zygotes/z.conf", "[Zygote]\nSpares=3\nx\n");
    ck_assert(read_named("z", true, &d, &wrong));
    ck_assert(d.spares == 3 && wrong == 1);
    declaration_done(&d);
    /* A system instance does not look there. */
    ck_assert(read_named("z", false, &d, &wrong));
    ck_assert(d.spares == 2 && wrong == 0);
    declaration_done(&d);
}
END_TEST

START_TEST(drop_ins_of_all_folders) {
    struct declaration d;
    unsigned wrong;
    write_file("forksrv/zygotes/z.conf.d/10.conf", "[Zygote]\nSpares=8\nPreload=own\n");
    ck_assert(!read_named("z", true, &d, &wrong));
    write_file("etc/zygotes/z.conf", "[Zygote]\nSpares=1\nPreload=main\n");
    write_file("share/zygotes/z.conf.d/90.conf", "[Zygote]\nSpares=3\nModule=share\nPreload=share\n");
    write_file("etc/zygotes/z.conf.d/20.conf", "[Zygote]\nSpares=4\nPreload=twenty\nx=1\n");
    write_file("etc/zygotes/z.conf.d/10.conf", "[Zygote]\nModule=ten\nPreload=ten\n");
    write_file("etc/zygotes/z.conf.d/no.txt", "[Zygote]\nSpares=100\n");
    write_file("etc/zygotes/z.conf.d/.hidden.conf", "[Zygote]\nSpares=100\n");
    ck_assert(read_named("z", true, &d, &wrong));
    ck_assert_uint_eq(d.spares, 8);
    ck_assert_str_eq(d.module, "ten");
    ck_assert_str_eq(flat(&d.preload), "main|share|ten|twenty|own|");
    ck_assert_uint_eq(wrong, 1);
    ck_assert_str_eq(
        said(), "forksrvd: etc/zygotes/z.conf.d/20.conf:4: setting \"x\" is not known in this section; this line is ignored\n");
    declaration_done(&d);
    ck_assert(read_named("z", false, &d, &wrong));
    ck_assert_str_eq(flat(&d.preload), "main|share|ten|twenty|");
    declaration_done(&d);
}
END_TEST

/* ---- names ---- */

START_TEST(names) {
    static const char *const fine[] = {"a", "Z9", "a.b", "-", "_x-1.2"};
    static const char *const wrong[] = {"", ".", "..", ".a", "a/b", "a b", "a\n", "\xc3\xa4", "a:b", "../x"};
    char longest[LIMIT_ZYGOTE + 2];
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
        ck_assert_msg(declaration_name_is_fine(fine[i]), "%s", fine[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(!declaration_name_is_fine(wrong[i]), "%s", wrong[i]);
    memset(longest, 'x', sizeof longest);
    longest[LIMIT_ZYGOTE + 1] = 0;
    ck_assert(!declaration_name_is_fine(longest));
    longest[LIMIT_ZYGOTE] = 0;
    ck_assert(declaration_name_is_fine(longest));
}
END_TEST

static void take(void *data, const char *name) {
    char *all = data;
    size_t n = strlen(all);
    snprintf(all + n, 256 - n, "%s ", name);
}

START_TEST(all_that_are_declared) {
    char all[256] = "", path[256];
    write_file("share/zygotes/python.conf", "");
    write_file("etc/zygotes/b.conf", "");
    write_file("etc/zygotes/a.conf", "");
    write_file("etc/zygotes/a.conf.d/x.conf", "");
    write_file("etc/zygotes/not fine.conf", "");
    write_file("etc/zygotes/readme", "");
    write_file("forksrv/zygotes/a.conf", "");
    write_file("forksrv/zygotes/own.conf", "");
    snprintf(path, sizeof path, "forksrv/zygotes/%065d.conf", 1);
    write_file(path, "");
    int before = begin_listening();
    unsigned wrong = declaration_each(true, take, all);
    end_listening(before);
    ck_assert_str_eq(all, "python a b a own ");
    ck_assert_uint_eq(wrong, 2);
    const char *text = said();
    ck_assert_ptr_nonnull(strstr(text, "etc/zygotes/not fine.conf: this is no name for a zygote (1 to 64 letters,"));
    ck_assert_ptr_nonnull(strstr(text, "00001.conf: this is no name for a zygote"));
    all[0] = 0;
    before = begin_listening();
    wrong = declaration_each(false, take, all);
    end_listening(before);
    ck_assert_str_eq(all, "python a b ");
    ck_assert_uint_eq(wrong, 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("folders");
    TCase *tc = tcase_create("folders");
    tcase_add_checked_fixture(tc, files_set_up, files_tear_down);
    tcase_add_test(tc, the_strongest_folder_decides);
    tcase_add_test(tc, drop_ins_of_all_folders);
    tcase_add_test(tc, names);
    tcase_add_test(tc, all_that_are_declared);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
