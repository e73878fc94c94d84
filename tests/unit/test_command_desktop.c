/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Desktop Entry Specification, clause by clause: the form of the file, localised keys, what can be started; and the names of
 * units. tests/unit/test_command_exec.c has Exec=. */
#include "client/command/desktop-entry.h"
#include "client/command/unit-name.h"

#include <errno.h>
#include <stdio.h>

#include "tests/unit/unit.h"

#define HEAD "[Desktop Entry]\nType=Application\nExec=x\n"

/* What one key is in an entry; told: what must be in the complaint. */
struct form {
    const char *text;
    int result;
    const char *name;
    const char *told;
    unsigned line;
};

static const struct form forms[] = {
    /* comments, blank lines, blanks */
    {HEAD "Name=a\n", 0, "a", NULL, 0},
    {"# before\n\n \t\n#\n" HEAD "Name=a", 0, "a", NULL, 0},
    {HEAD "#Name=b\nName=a\n # indented\n", 0, "a", NULL, 0},
    {HEAD "Name = a b \n", 0, "a b", NULL, 0},
    {HEAD "Name=a\r\n", 0, "a", NULL, 0},
    {"\xef\xbb\xbf" HEAD "Name=a\n", 0, "a", NULL, 0},
    {HEAD "Name=a=b#c\n", 0, "a=b#c", NULL, 0},
    {HEAD "Name=\n", 0, "", NULL, 0},
    {HEAD, 0, NULL, NULL, 0},
    /* case counts */
    {HEAD "name=a\n", 0, NULL, NULL, 0},
    {"[desktop entry]\nName=a\n", -EBADMSG, NULL, "the first group is not [Desktop Entry]", 1},
    /* escapes */
    {HEAD "Name=a\\sb\\nc\\td\\re\\\\f\n", 0, "a b\nc\td\re\\f", NULL, 0},
    {HEAD "Name=\\s\n", 0, " ", NULL, 0},
    {HEAD "Name=\\q\\\n", 0, "\\q\\", NULL, 0},
    {HEAD "Name=\\\\s\n", 0, "\\s", NULL, 0},
    /* groups */
    {"Name=a\n" HEAD, -EBADMSG, NULL, "stands before [Desktop Entry]", 1},
    {"[Other]\n" HEAD, -EBADMSG, NULL, "the first group is not", 1},
    {HEAD "[Desktop Entry]\n", -EBADMSG, NULL, "this group stands there twice", 4},
    {HEAD "[Other]\nName=b\n", 0, NULL, NULL, 0},
    {HEAD "Name=a\n[Other]\nName=b\nAny/key;=1\n", 0, "a", NULL, 0},
    {HEAD "[Other\n", -EBADMSG, NULL, "ends with ']'", 4},
    {HEAD "[]\n", -EBADMSG, NULL, "ends with ']'", 4},
    {HEAD "[a[b]\n", -EBADMSG, NULL, "cannot be the name of a group", 4},
    {HEAD "[a\tb]\n", -EBADMSG, NULL, "cannot be the name of a group", 4},
    {HEAD "[a\xc3\xa4]\n", -EBADMSG, NULL, "cannot be the name of a group", 4},
    {"", -EBADMSG, NULL, "there is no group", 0},
    {"# only\n", -EBADMSG, NULL, "there is no group", 0},
    /* keys */
    {HEAD "nonsense\n", -EBADMSG, NULL, "neither a group", 4},
    {HEAD "[Other]\nnonsense\n", -EBADMSG, NULL, "neither a group", 5},
    {HEAD "=a\n", -EBADMSG, NULL, "this is no key", 4},
    {HEAD "Na me=a\n", -EBADMSG, NULL, "this is no key", 4},
    {HEAD "Name[=a\n", -EBADMSG, NULL, "this is no key", 4},
    {HEAD "Name[]=a\n", -EBADMSG, NULL, "this is no key", 4},
    {HEAD "Name=a\nName=b\n", -EBADMSG, NULL, "this key stands there twice", 5},
    {HEAD "X-Mine=a\nX-Mine=b\nName=a\n", 0, "a", NULL, 0},
    /* booleans */
    {HEAD "Name=a\nHidden=false\nTerminal=true\n", 0, "a", NULL, 0},
    {HEAD "Hidden=0\nTerminal=1\nName=a\n", 0, "a", NULL, 0},
    {HEAD "Hidden=yes\n", -EBADMSG, NULL, "neither true nor false: yes", 4},
    {HEAD "Terminal=\n", -EBADMSG, NULL, "neither true nor false", 4},
    {HEAD "Hidden=\x1b[1m\n", -EBADMSG, NULL, "neither true nor false: ?[1m", 4},
    /* only what is localised has translations */
    {HEAD "Exec[de]=y\nName=a\n", 0, "a", NULL, 0},
};

START_TEST(form) {
    const struct form *f = &forms[_i];
    struct desktop_trouble trouble = {4711, ""};
    struct desktop_entry e;
    int r = desktop_entry_parse(f->text, strlen(f->text), "de", NULL, &e, &trouble);
    ck_assert_msg(r == f->result, "%s: %d %s", f->text, r, trouble.text);
    if (r < 0) {
        ck_assert_msg(strstr(trouble.text, f->told) != NULL, "%s: %s", f->text, trouble.text);
        ck_assert_uint_eq(trouble.line, f->line);
        return;
    }
    if (f->name == NULL)
        ck_assert_ptr_null(e.name);
    else
        ck_assert_str_eq(e.name, f->name);
    ck_assert_str_eq(e.exec, "x");
    desktop_entry_done(&e);
}
END_TEST

START_TEST(bytes) {
    struct desktop_trouble trouble;
    struct desktop_entry e;
    size_t size = DESKTOP_ENTRY_MAX + 1;
    char *large = malloc(size);
    memset(large, '\n', size);
    memcpy(large, HEAD, sizeof HEAD - 1);
    ck_assert_int_eq(desktop_entry_parse(large, size, "", NULL, &e, &trouble), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(trouble.text, "1 MiB"));
    ck_assert_int_eq(desktop_entry_parse(large, size - 1, "", NULL, &e, &trouble), 0);
    desktop_entry_done(&e);
    large[100] = '\0';
    ck_assert_int_eq(desktop_entry_parse(large, size - 1, "", NULL, &e, &trouble), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(trouble.text, "NUL"));
    free(large);
}
END_TEST

/* The order of the specification; which of the translations is taken. */
struct localised {
    const char *locale;
    const char *keys; /* what is in brackets, the value is the same */
    const char *taken;
};

static const struct localised localiseds[] = {
    {"de_AT@euro", "de,de@euro,de_AT,de_AT@euro", "de_AT@euro"},
    {"de_AT@euro", "de_AT,de@euro,de", "de_AT"},
    {"de_AT@euro", "de,de@euro", "de@euro"},
    {"de_AT@euro", "de", "de"},
    {"de_AT@euro", "fr,de_DE,de@latin,en", ""},
    {"de_AT.UTF-8@euro", "de,de_AT@euro", "de_AT@euro"},
    {"de_AT.UTF-8", "de,de_AT,de_AT@euro", "de_AT"},
    {"de@euro", "de,de_AT,de@euro", "de@euro"},
    {"de@euro", "de_AT,de_AT@euro", ""},
    {"de_AT", "de_AT.ISO-8859-1,de", "de_AT.ISO-8859-1"},
    {"de", "de_AT,DE,dE", ""},
    {"sr_YU@Latn", "sr,sr_YU,sr@Latn,sr_YU@Latn", "sr_YU@Latn"},
    {"C", "de,en", ""},
    {"POSIX", "de", ""},
    {"", "de,@x,_AT", ""},
    {"@euro", "@euro", ""},
};

START_TEST(localised) {
    const struct localised *l = &localiseds[_i];
    /* Before and after the plain one; the order in the file means nothing. */
    for (int before = 0; before < 2; before++) {
        char text[512], copy[128], *rest = copy;
        size_t n = (size_t)snprintf(text, sizeof text, "%s%s", HEAD, before ? "Name=\n" : "");
        snprintf(copy, sizeof copy, "%s", l->keys);
        for (const char *key; (key = strsep(&rest, ",")) != NULL;)
            n += (size_t)snprintf(text + n, sizeof text - n, "Name[%s]=%s\n", key, key);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s", before ? "" : "Name=\n");
        struct desktop_trouble trouble;
        struct desktop_entry e;
        ck_assert_int_eq(desktop_entry_parse(text, n, l->locale, NULL, &e, &trouble), 0);
        ck_assert_str_eq(e.name, l->taken);
        desktop_entry_done(&e);
    }
}
END_TEST

struct start {
    const char *text;
    const char *action;
    int result;
    const char *told; /* or, if it can be started, its Exec= */
};

#define ACTIONS "[Desktop Entry]\nType=Application\nExec=x\nActions=new;other;\n"

static const struct start starts[] = {
    {HEAD, NULL, 0, "x"},
    {"[Desktop Entry]\nExec=x\n", NULL, -EINVAL, "it has no Type="},
    {"[Desktop Entry]\nType=Link\nURL=http://x/\n", NULL, -EINVAL, "it is no application: it has Type=Link"},
    {"[Desktop Entry]\nType=Directory\n", NULL, -EINVAL, "Type=Directory"},
    {"[Desktop Entry]\nType=application\nExec=x\n", NULL, -EINVAL, "Type=application"},
    {HEAD "Hidden=true\n", NULL, -ENOENT, "Hidden=true"},
    {"[Desktop Entry]\nHidden=true\n", NULL, -ENOENT, "Hidden=true"},
    {HEAD "NoDisplay=true\nOnlyShowIn=None;\n", NULL, 0, "x"},
    {"[Desktop Entry]\nType=Application\n", NULL, -EINVAL, "it has no Exec="},
    {"[Desktop Entry]\nType=Application\nExec=\n", NULL, -EINVAL, "it has no Exec="},
    {"[Desktop Entry]\nType=Application\nDBusActivatable=true\n", NULL, -EINVAL, "over D-Bus only"},
    {HEAD "DBusActivatable=true\n", NULL, 0, "x"},
    {ACTIONS "[Desktop Action new]\nName=New\nExec=x --new\n", "new", 0, "x --new"},
    {ACTIONS "[Desktop Action new]\nExec=a\n[Desktop Action other]\nExec=b\n", "other", 0, "b"},
    {ACTIONS "[Desktop Action new]\nName=New\n", "new", -EINVAL, "it has no Exec="},
    {ACTIONS, "new", -EINVAL, "it has no group [Desktop Action new]"},
    {ACTIONS "[Desktop Action hidden]\nExec=a\n", "hidden", -EINVAL, "it has no action 'hidden'"},
    {HEAD "[Desktop Action new]\nExec=a\n", "new", -EINVAL, "it has no action 'new'"},
    {HEAD "Actions=a;new\n[Desktop Action new]\nExec=a\n", "new", 0, "a"},
    {ACTIONS "[Desktop Action new]\nExec=a\n", "ne", -EINVAL, "it has no action 'ne'"},
    {ACTIONS "[Desktop Action new]\nExec=a\n", "", -EINVAL, "it has no action ''"},
};

START_TEST(start) {
    const struct start *s = &starts[_i];
    struct desktop_trouble trouble = {0};
    struct desktop_entry e;
    ck_assert_int_eq(desktop_entry_parse(s->text, strlen(s->text), "", s->action, &e, &trouble), 0);
    int r = desktop_entry_check(&e, s->action, &trouble);
    ck_assert_msg(r == s->result, "%s: %d %s", s->text, r, trouble.text);
    if (r < 0)
        ck_assert_msg(strstr(trouble.text, s->told) != NULL, "%s: %s", s->text, trouble.text);
    else
        ck_assert_str_eq(s->action != NULL ? e.action_exec : e.exec, s->told);
    desktop_entry_done(&e);
}
END_TEST

START_TEST(action_twice) {
    static const char text[] = ACTIONS "[Desktop Action new]\nExec=a\n[Desktop Action new]\nExec=b\n";
    struct desktop_trouble trouble;
    struct desktop_entry e;
    ck_assert_int_eq(desktop_entry_parse(text, sizeof text - 1, "", "new", &e, &trouble), -EBADMSG);
    ck_assert_int_eq(desktop_entry_parse(text, sizeof text - 1, "", NULL, &e, &trouble), 0);
    desktop_entry_done(&e);
}
END_TEST

/* As systemd-escape writes them. */
static const char *const names[][2] = {
    {"firefox", "firefox"},
    {"org.gnome.Evince", "org.gnome.Evince"},
    {"my-app", "my\\x2dapp"},
    {"a/b", "a-b"},
    {".hidden", "\\x2ehidden"},
    {"a_b:c.d", "a_b:c.d"},
    {"a b@c\\", "a\\x20b\\x40c\\x5c"},
    {"\xc3\xa4", "\\xc3\\xa4"},
};

START_TEST(unit_name) {
    char name[UNIT_NAME_MAX + 1], wanted[UNIT_NAME_MAX + 1];
    unit_name_of_app(names[_i][0], "0123456789abcdef", name);
    snprintf(wanted, sizeof wanted, "app-forksrv-%s-0123456789abcdef.scope", names[_i][1]);
    ck_assert_str_eq(name, wanted);
    ck_assert(unit_name_is(name, ".scope"));
}
END_TEST

START_TEST(unit_name_long) {
    char id[400], name[UNIT_NAME_MAX + 1];
    for (size_t n = 40; n < sizeof id; n++) {
        memset(id, '-', n);
        id[n] = '\0';
        unit_name_of_app(id, "0123456789abcdef", name);
        ck_assert_uint_le(strlen(name), UNIT_NAME_MAX);
        ck_assert(unit_name_is(name, ".scope"));
        ck_assert_ptr_nonnull(strstr(name, "\\x2d-0123456789abcdef.scope"));
    }
}
END_TEST

START_TEST(unit_name_given) {
    char name[300];
    ck_assert(unit_name_is("a.scope", ".scope"));
    ck_assert(unit_name_is("a_b:c_d-e\\x2d.slice", ".slice"));
    ck_assert(!unit_name_is(".scope", ".scope"));
    ck_assert(!unit_name_is("a.service", ".scope"));
    ck_assert(!unit_name_is("a@b.scope", ".scope"));
    ck_assert(!unit_name_is("a b.scope", ".scope"));
    ck_assert(!unit_name_is("a/b.scope", ".scope"));
    ck_assert(!unit_name_is("\xc3\xa4.scope", ".scope"));
    memset(name, 'a', sizeof name);
    strcpy(name + 249, ".scope");
    ck_assert(unit_name_is(name, ".scope"));
    memset(name, 'a', sizeof name);
    strcpy(name + 250, ".scope");
    ck_assert(!unit_name_is(name, ".scope"));
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof(table)[0])

int main(void) {
    Suite *suite = suite_create("desktop entries");
    TCase *c = tcase_create("entries");
    tcase_add_loop_test(c, form, 0, ROWS(forms));
    tcase_add_test(c, bytes);
    tcase_add_loop_test(c, localised, 0, ROWS(localiseds));
    tcase_add_loop_test(c, start, 0, ROWS(starts));
    tcase_add_test(c, action_twice);
    tcase_add_loop_test(c, unit_name, 0, ROWS(names));
    tcase_add_test(c, unit_name_long);
    tcase_add_test(c, unit_name_given);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}
