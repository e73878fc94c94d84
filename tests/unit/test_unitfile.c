/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is read of files that others have written: the syntax of unit files, and which files are read at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/regular.h"
#include "common/unitfile.h"
#include "tests/unit/unit.h"

/* "LINE[SECTION]NAME=VALUE|" for each assignment, "LINE!" for each complaint. */
static char got[4096];

static void take(void *data, unsigned line, const char *section, const char *name, const char *value) {
    (void)data;
    size_t n = strlen(got);
    snprintf(got + n, sizeof got - n, "%u[%s]%s=%s|", line, section, name, value);
}

static void complain(void *data, unsigned line, const char *why) {
    (void)data;
    ck_assert_ptr_nonnull(why);
    size_t n = strlen(got);
    snprintf(got + n, sizeof got - n, "%u!", line);
}

static const char *parse(const char *text, size_t size) {
    const struct unitfile_handler h = {.take = take, .complain = complain};
    got[0] = 0;
    ck_assert_int_eq(unitfile_parse(text, size, &h), 0);
    return got;
}

static const struct {
    const char *text, *wanted;
} texts[] = {
    {"", ""},
    {"\n\n", ""},
    {"[A]", ""},
    {"[A]\nb=c", "2[A]b=c|"},
    {"\xef\xbb\xbf[A]\nb=c\n", "2[A]b=c|"},
    {"[A]\r\nb=c\r\n", "2[A]b=c|"},
    {"  [A]  \n\t b \t=  c d  \n", "2[A]b=c d|"},
    {"# x\n; y\n[A]\n  # b=1\nb=2\n", "5[A]b=2|"},
    /* What inih would cut off. */
    {"[A]\nb=sh -c \"x ; y\" # z\n", "2[A]b=sh -c \"x ; y\" # z|"},
    {"[A]\nb==c=d\n", "2[A]b==c=d|"},
    {"[A]\nb=\n", "2[A]b=|"},
    {"[A]\nb=1\nb=2\n[C]\nb=3\n", "2[A]b=1|3[A]b=2|5[C]b=3|"},
    /* What goes on. */
    {"[A]\nb=c\\\n  d\ne=f\n", "2[A]b=c d|4[A]e=f|"},
    {"[A]\nb=c\\\n# not this\n;nor this\nd\n", "2[A]b=c d|"},
    {"[A]\nb=c \\\n\ne=f\n", "2[A]b=c|4[A]e=f|"},
    {"[A]\nb=c\\\\\ne=f\n", "2[A]b=c\\\\|3[A]e=f|"},
    {"[A]\nb=c\\\\\\\nd\n", "2[A]b=c\\\\ d|"},
    {"[A]\nb=c\\", "2[A]b=c|"},
    {"[A]\nb=c\\ \ne=f\n", "2!3[A]e=f|"},
    /* What is wrong costs itself. */
    {"b=c\n[A]\nd=e\n", "1!3[A]d=e|"},
    {"[A]\nnonsense\nb=c\n", "2!3[A]b=c|"},
    {"[A]\n=c\n", "2!"},
    {"[A]\nb c=d\nb\"=d\n$b=d\n", "2!3!4!"},
    {"[A]\n[]\nb=c\n[B]\nd=e\n", "2!5[B]d=e|"},
    {"[A]\n[B\nb=c\n", "2!"},
    {"[A b]\nb=c\n", "1!"},
    {"[A]x\nb=c\n", "1!"},
    {"[../A]\nb=c\n", "1!"},
    {"[A]\nb=c\x01\nb=\x1b[m\nb=\x7f\nb=\tc\td\n", "2!3!4!5[A]b=c\td|"},
    {"[A]\nb=c\rd\n", "2!"},
    /* UTF-8: whole, shortest, no surrogates, no controls. */
    {"[A]\nb=\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n", "2[A]b=\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80|"},
    {"[A]\nb=\xc3\nb=\xe2\x82\nb=\x80\nb=\xff\n", "2!3!4!5!"},
    {"[A]\nb=\xc0\x80\nb=\xe0\x80\x80\nb=\xed\xa0\x80\nb=\xf4\x90\x80\x80\nb=\xc2\x85\n", "2!3!4!5!6!"},
};

START_TEST(syntax) {
    ck_assert_str_eq(parse(texts[_i].text, strlen(texts[_i].text)), texts[_i].wanted);
}
END_TEST

START_TEST(a_nul_byte) {
    static const char text[] = "[A]\nb=c\0d\n";
    ck_assert_str_eq(parse(text, sizeof text - 1), "0!");
}
END_TEST

/* Each of them goes on in the next one: this has to be linear. */
START_TEST(very_many_lines) {
    enum { SIZE = 4 * 1024 * 1024 };
    auto_free char *text = malloc(SIZE);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < SIZE; i++)
        text[i] = i % 2 == 0 ? '\\' : '\n';
    ck_assert_str_eq(parse(text, SIZE), "");
}
END_TEST

/* ---- files ---- */

static char folder[64];

static void set_up(void) {
    strcpy(folder, "/tmp/forksrv-test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static void tear_down(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(system(command), 0);
}

static void put(const char *path, const char *text, size_t size) {
    auto_file f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, size, f), size);
}

static int size_of(int root, const char *path) {
    auto_free char *text = NULL;
    size_t size;
    int r = regular_read(root, path, 8, &text, &size);
    ck_assert(r < 0 || text[size] == 0);
    return r < 0 ? r : (int)size;
}

START_TEST(which_files) {
    put("empty", "", 0);
    put("most", "12345678", 8);
    put("more", "123456789", 9);
    put("nul", "1\0002", 3);
    ck_assert(mkdir("folder", 0700) == 0 && mkfifo("fifo", 0600) == 0);
    ck_assert(symlink("/dev/null", "null") == 0 && symlink("most", "link") == 0 && symlink("loop", "loop") == 0);
    ck_assert_int_eq(size_of(-1, "empty"), 0);
    ck_assert_int_eq(size_of(-1, "most"), 8);
    ck_assert_int_eq(size_of(-1, "link"), 8);
    ck_assert_int_eq(size_of(-1, "nul"), 3);
    ck_assert_int_eq(size_of(-1, "more"), -EFBIG);
    ck_assert_int_eq(size_of(-1, "folder"), -EINVAL);
    ck_assert_int_eq(size_of(-1, "fifo"), -EINVAL);
    ck_assert_int_eq(size_of(-1, "null"), -ENODEV);
    ck_assert_int_eq(size_of(-1, "loop"), -ELOOP);
    ck_assert_int_eq(size_of(-1, "nope"), -ENOENT);
    ck_assert_int_eq(size_of(-1, "most/x"), -ENOENT);
    ck_assert_int_eq(size_of(-1, "/dev/zero"), -EINVAL);
}
END_TEST

START_TEST(another_root) {
    ck_assert(mkdir("root", 0700) == 0 && symlink("/file", "root/absolute") == 0 && symlink("../outside", "root/up") == 0);
    put("outside", "1", 1);
    put("root/file", "22", 2);
    auto_fd root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(size_of(root, "/file"), 2);
    ck_assert_int_eq(size_of(root, "/absolute"), 2);
    ck_assert_int_eq(size_of(root, "/up"), -ENOENT);
    ck_assert_int_eq(size_of(root, "/../outside"), -ENOENT);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("unitfile");
    TCase *syntaxes = tcase_create("syntax"), *files = tcase_create("files");
    tcase_add_loop_test(syntaxes, syntax, 0, sizeof texts / sizeof texts[0]);
    tcase_add_test(syntaxes, a_nul_byte);
    tcase_add_test(syntaxes, very_many_lines);
    suite_add_tcase(suite, syntaxes);
    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_add_test(files, which_files);
    tcase_add_test(files, another_root);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
