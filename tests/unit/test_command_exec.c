/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exec= of desktop entries, clause by clause: quotes, codes, files and URIs. In the tables '|' ends an argument. */
#include "client/command/desktop-exec.h"

#include <errno.h>
#include <stdio.h>

#include "tests/unit/unit.h"

struct line {
    const char *exec;
    const char *targets; /* with blanks between them */
    const char *argv;    /* NULL: an error, of which `told` is a part */
    const char *told;
};

#define BROKEN(exec, told)                                                                                                       \
    { exec, "", NULL, told }

static const struct line lines[] = {
    /* words */
    {"x", "", "x|", NULL},
    {"/usr/bin/x -a --b=c", "", "/usr/bin/x|-a|--b=c|", NULL},
    {"  x \t a\n", "", "x|a|", NULL},
    /* quotes: in double ones \" \` \$ \\ are undone, and nothing else is */
    {"x \"a b\" \"\"", "", "x|a b||", NULL},
    {"\"/opt/my app/x\" a", "", "/opt/my app/x|a|", NULL},
    {"x \"\\\"\\`\\$\\\\\"", "", "x|\"`$\\|", NULL},
    {"x \"a\\nb\"", "", "x|a\\nb|", NULL},
    {"x \"$HOME ~ * ; & > # ( ' `\"", "", "x|$HOME ~ * ; & > # ( ' `|", NULL},
    BROKEN("x \"a b", "a quote is not closed"),
    BROKEN("x \"a\\\"", "a quote is not closed"),
    BROKEN("x 'a", "a quote is not closed"),
    BROKEN("x a\\", "a backslash stands at the end"),
    /* left open by the specification: as GLib has it, and never a shell */
    {"x 'a \"b\" $c \\'", "", "x|a \"b\" $c \\|", NULL},
    {"x a\\ b c\\\\d", "", "x|a b|c\\d|", NULL},
    {"x --a=\"b c\"d", "", "x|--a=b cd|", NULL},
    {"x $HOME ~ a;b >c `d` *", "", "x|$HOME|~|a;b|>c|`d`|*|", NULL},
    /* the program */
    BROKEN("", "it names no program"),
    BROKEN(" \t", "it names no program"),
    BROKEN("\"\" a", "it names no program"),
    BROKEN("%f", "it names no program"),
    {"%d x", "", "x|", NULL},
    BROKEN("A=b x", "has no '='"),
    {"env A=b x", "", "env|A=b|x|", NULL},
    /* %f %F %u %U */
    {"x %f", "", "x|", NULL},
    {"x %F y", "", "x|y|", NULL},
    {"x %u", "", "x|", NULL},
    {"x %U", "", "x|", NULL},
    {"x %f", "/a", "x|/a|", NULL},
    {"x %f y", "/a /b", "x|/a|y|", NULL},
    {"x %F y", "/a /b", "x|/a|/b|y|", NULL},
    {"x %u", "http://h/ /b", "x|http://h/|", NULL},
    {"x %U", "http://h/ mailto:a@b /b", "x|http://h/|mailto:a@b|file:///b|", NULL},
    {"x --file=%f", "/a", "x|--file=/a|", NULL},
    {"x --file=%f", "", "x|--file=|", NULL},
    {"x %f%u", "", NULL, "more than one of"},
    BROKEN("x %f %f", "more than one of"),
    BROKEN("x %F %U", "more than one of"),
    BROKEN("x --files=%F", "must be words of their own"),
    BROKEN("x %U,", "must be words of their own"),
    BROKEN("x a%i", "must be words of their own"),
    /* file: URIs to paths, and paths to URIs */
    {"x %f", "file:///a%20b", "x|/a b|", NULL},
    {"x %F", "file://localhost/a file:/b FILE:///c", "x|/a|/b|/c|", NULL},
    {"x %u", "file:///a%20b", "x|file:///a%20b|", NULL},
    {"x %u", "/a%b", "x|file:///a%25b|", NULL},
    {"x %U", "/\xc3\xa4\"<>?#", "x|file:///%C3%A4%22%3C%3E%3F%23|", NULL},
    {"x %f", "http://h/", NULL, "it opens local files only (%f), and this is none: http://h/"},
    {"x %F", "/a file://other/b", NULL, "file://other/b"},
    {"x %f", "file:///a%00b", NULL, "this URI names no file"},
    {"x %f", "file:///a%2", NULL, "this URI names no file"},
    {"x %f", "file:///a%zz", NULL, "this URI names no file"},
    {"x %f", "file:relative", NULL, "it opens local files only"},
    /* what is in a name is not read again */
    {"x %f", "/%f%%\"'$\\", "x|/%f%%\"'$\\|", NULL},
    {"x \"%f\" y", "file:///a%20b", "x|/a b|y|", NULL},
    /* %i %c %k %% */
    {"x %i y", "", "x|--icon|the-icon|y|", NULL},
    {"x %i %i", "", "x|--icon|the-icon|--icon|the-icon|", NULL},
    {"x %c", "", "x|The Name|", NULL},
    {"x --name=%c.", "", "x|--name=The Name.|", NULL},
    {"x %k", "", "x|/where/it/is.desktop|", NULL},
    {"x 100%% %%f", "", "x|100%|%f|", NULL},
    /* abolished ones vanish */
    {"x %d %D %n %N %v %m y", "/a", "x|y|", NULL},
    {"x a%vb", "", "x|ab|", NULL},
    /* and others are errors */
    BROKEN("x %x", "there is no such code: %x"),
    BROKEN("x %", "there is no such code"),
    BROKEN("x a%%%", "there is no such code"),
    BROKEN("x %\xc3\xa4", "there is no such code"),
    BROKEN("x \"% f\"", "there is no such code"),
};

static const struct desktop_context context = {"The Name", "the-icon", "/where/it/is.desktop"};

static int make_targets(const char *text, struct desktop_target *targets, size_t *ret_n, struct desktop_trouble *trouble) {
    char *copy = strdup(text), *rest = copy;
    int r = 0;
    for (const char *word; r >= 0 && (word = strsep(&rest, " ")) != NULL;)
        if (word[0] != '\0') {
            r = desktop_target_init(&targets[*ret_n], word, trouble);
            *ret_n += r >= 0;
        }
    free(copy);
    return r;
}

START_TEST(line) {
    const struct line *l = &lines[_i];
    struct desktop_trouble trouble = {0};
    struct desktop_target targets[8];
    struct desktop_exec x = {0};
    char **argv = NULL, all[256] = "";
    size_t n_targets = 0, n = 0;
    int r = make_targets(l->targets, targets, &n_targets, &trouble);
    if (r >= 0)
        r = desktop_exec_parse(l->exec, &x, &trouble);
    if (r >= 0)
        r = desktop_exec_expand(&x, &context, targets, n_targets, &argv, &trouble);
    if (l->argv == NULL) {
        ck_assert_msg(r == -EINVAL, "%s: %d", l->exec, r);
        ck_assert_msg(l->told == NULL || strstr(trouble.text, l->told) != NULL, "%s: %s", l->exec, trouble.text);
    } else {
        ck_assert_msg(r == 0, "%s: %s", l->exec, trouble.text);
        for (char **word = argv; *word != NULL; word++)
            n += (size_t)snprintf(all + n, sizeof all - n, "%s|", *word);
        ck_assert_str_eq(all, l->argv);
        desktop_argv_free(argv);
    }
    desktop_exec_done(&x);
    for (size_t i = 0; i < n_targets; i++)
        desktop_target_done(&targets[i]);
}
END_TEST

START_TEST(nothing_known) {
    static const struct desktop_context nothing = {NULL, NULL, NULL}, empty = {"", "", ""};
    const struct desktop_context *contexts[] = {&nothing, &empty};
    struct desktop_trouble trouble;
    struct desktop_exec x;
    char **argv;
    ck_assert_int_eq(desktop_exec_parse("x %i %c %k", &x, &trouble), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(desktop_exec_expand(&x, contexts[i], NULL, 0, &argv, &trouble), 0);
        ck_assert_str_eq(argv[0], "x");
        ck_assert_str_eq(argv[1], "");
        ck_assert_str_eq(argv[2], "");
        ck_assert_ptr_null(argv[3]);
        desktop_argv_free(argv);
    }
    desktop_exec_done(&x);
}
END_TEST

START_TEST(many_words) {
    struct desktop_trouble trouble;
    struct desktop_exec x;
    char text[2 * DESKTOP_EXEC_WORDS + 3];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 ? ' ' : 'x';
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(desktop_exec_parse(text, &x, &trouble), -EINVAL);
    text[2 * DESKTOP_EXEC_WORDS] = '\0';
    ck_assert_int_eq(desktop_exec_parse(text, &x, &trouble), 0);
    ck_assert_uint_eq(x.n_words, DESKTOP_EXEC_WORDS);
    desktop_exec_done(&x);
}
END_TEST

START_TEST(file_code) {
    static const struct {
        const char *exec;
        char code;
    } rows[] = {{"x", 0}, {"x %%f", 0}, {"x %f", 'f'}, {"x %F", 'F'}, {"x a%ub", 'u'}, {"x %U", 'U'}, {"x %i %d", 0}};
    struct desktop_trouble trouble;
    struct desktop_exec x;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_int_eq(desktop_exec_parse(rows[i].exec, &x, &trouble), 0);
        ck_assert_int_eq(x.file_code, rows[i].code);
        desktop_exec_done(&x);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("Exec= of desktop entries");
    TCase *c = tcase_create("lines");
    tcase_add_loop_test(c, line, 0, (int)(sizeof lines / sizeof lines[0]));
    tcase_add_test(c, nothing_known);
    tcase_add_test(c, many_words);
    tcase_add_test(c, file_code);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
