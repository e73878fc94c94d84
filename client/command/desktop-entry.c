/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Desktop entries: from the bytes of a file to the keys that starting a program needs. It opens nothing, and takes no notice of
 * groups and keys that are for menus. It is as strict as GLib with the form of a file, since what is misread is run. */
#include "desktop-entry.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum group { GROUP_NONE, GROUP_ENTRY, GROUP_ACTION, GROUP_OTHER };
enum kind { KIND_STRING, KIND_LOCALE, KIND_BOOL };

static const struct key {
    enum group group;
    const char *name;
    enum kind kind;
    size_t offset;
} keys[] = {
    {GROUP_ENTRY, "Type", KIND_STRING, offsetof(struct desktop_entry, type)},
    {GROUP_ENTRY, "Name", KIND_LOCALE, offsetof(struct desktop_entry, name)},
    {GROUP_ENTRY, "Exec", KIND_STRING, offsetof(struct desktop_entry, exec)},
    {GROUP_ENTRY, "TryExec", KIND_STRING, offsetof(struct desktop_entry, try_exec)},
    {GROUP_ENTRY, "Path", KIND_STRING, offsetof(struct desktop_entry, path)},
    {GROUP_ENTRY, "Icon", KIND_LOCALE, offsetof(struct desktop_entry, icon)},
    {GROUP_ENTRY, "Actions", KIND_STRING, offsetof(struct desktop_entry, actions)},
    {GROUP_ENTRY, "Hidden", KIND_BOOL, offsetof(struct desktop_entry, hidden)},
    {GROUP_ENTRY, "Terminal", KIND_BOOL, offsetof(struct desktop_entry, terminal)},
    {GROUP_ENTRY, "DBusActivatable", KIND_BOOL, offsetof(struct desktop_entry, dbus_activatable)},
    {GROUP_ACTION, "Name", KIND_LOCALE, offsetof(struct desktop_entry, action_name)},
    {GROUP_ACTION, "Icon", KIND_LOCALE, offsetof(struct desktop_entry, action_icon)},
    {GROUP_ACTION, "Exec", KIND_STRING, offsetof(struct desktop_entry, action_exec)},
};

enum { N_KEYS = sizeof keys / sizeof keys[0] };

/* A piece of the text. */
struct slice {
    const char *at;
    size_t size;
};

struct parser {
    const char *locale;
    const char *action;
    struct desktop_entry entry;
    enum group group;
    bool seen_entry;
    unsigned line;
    unsigned rank[N_KEYS]; /* how well the value fits that we have; 0: there is none */
    bool plain[N_KEYS];    /* the one without a locale was there */
    struct desktop_trouble *trouble;
};

void desktop_trouble_set(struct desktop_trouble *ret_trouble, unsigned line, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    ret_trouble->line = line;
    vsnprintf(ret_trouble->text, sizeof ret_trouble->text, format, ap);
    va_end(ap);
    /* What comes from the file goes to a terminal. */
    for (char *c = ret_trouble->text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

static int broken(struct parser *p, const char *what, struct slice text) {
    desktop_trouble_set(p->trouble, p->line, "%s: %.*s", what, (int)(text.size < 80 ? text.size : 80), text.at);
    return -EBADMSG;
}

static struct slice trim(struct slice s) {
    while (s.size > 0 && strchr(" \t\r", s.at[0]) != NULL)
        s.at++, s.size--;
    while (s.size > 0 && strchr(" \t\r", s.at[s.size - 1]) != NULL)
        s.size--;
    return s;
}

static bool equals(struct slice s, const char *text) {
    return s.size == strlen(text) && memcmp(s.at, text, s.size) == 0;
}

/* ---- locales ---- */

struct locale {
    struct slice language, country, modifier;
};

/* Up to the first of the characters; what is left begins with it. */
static struct slice take_until(struct slice *rest, const char *ends) {
    struct slice taken = {rest->at, 0};
    while (taken.size < rest->size && strchr(ends, rest->at[taken.size]) == NULL)
        taken.size++;
    rest->at += taken.size;
    rest->size -= taken.size;
    return taken;
}

/* lang_COUNTRY.ENCODING@MODIFIER; the encoding has no part in it. */
static struct locale split_locale(struct slice s) {
    struct locale l = {.language = take_until(&s, "_.@")};
    struct slice *parts[] = {&l.country, NULL, &l.modifier};
    static const char *const starts = "_.@", *const ends[] = {".@", "@", ""};
    for (unsigned i = 0; i < 3; i++) {
        if (s.size == 0 || s.at[0] != starts[i])
            continue;
        s.at++, s.size--;
        struct slice part = take_until(&s, ends[i]);
        if (parts[i] != NULL)
            *parts[i] = part;
    }
    return l;
}

static bool same(struct slice a, struct slice b) {
    return a.size == b.size && memcmp(a.at, b.at, a.size) == 0;
}

/* 5: lang_COUNTRY@MODIFIER, 4: lang_COUNTRY, 3: lang@MODIFIER, 2: lang, 0: another one. */
static unsigned rank_of(struct slice key, const char *locale) {
    struct locale k = split_locale(key), l = split_locale((struct slice){locale, strlen(locale)});
    if (k.language.size == 0 || !same(k.language, l.language))
        return 0;
    if ((k.country.size > 0 && !same(k.country, l.country)) || (k.modifier.size > 0 && !same(k.modifier, l.modifier)))
        return 0;
    return 2 + (k.modifier.size > 0) + 2 * (k.country.size > 0);
}

/* ---- values ---- */

/* An escape that is none stays as it is: in an Exec= written by hand that is what was meant. */
static char *unescape(struct slice s) {
    static const char codes[] = "sntr\\", values[] = " \n\t\r\\";
    char *text = malloc(s.size + 1), *to = text;
    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < s.size; i++) {
        const char *code = s.at[i] == '\\' && i + 1 < s.size ? strchr(codes, s.at[i + 1]) : NULL;
        *to++ = code != NULL ? values[code - codes] : s.at[i];
        i += code != NULL;
    }
    *to = '\0';
    return text;
}

static int set_bool(struct parser *p, const struct key *key, struct slice value) {
    bool yes = equals(value, "true") || equals(value, "1");
    if (!yes && !equals(value, "false") && !equals(value, "0"))
        return broken(p, "neither true nor false", value);
    *(bool *)((char *)&p->entry + key->offset) = yes;
    return 0;
}

static int set_string(struct parser *p, const struct key *key, struct slice value) {
    char **place = (char **)(void *)((char *)&p->entry + key->offset);
    char *text = unescape(value);
    if (text == NULL)
        return -ENOMEM;
    free(*place);
    *place = text;
    return 0;
}

static int set_key(struct parser *p, unsigned i, const struct slice *locale, struct slice value) {
    unsigned rank = 1;
    if (locale == NULL) {
        if (p->plain[i])
            return broken(p, "this key stands there twice", (struct slice){keys[i].name, strlen(keys[i].name)});
        p->plain[i] = true;
    } else if (keys[i].kind == KIND_LOCALE) {
        rank = rank_of(*locale, p->locale);
    } else {
        rank = 0; /* such a key has no translations */
    }
    if (rank <= p->rank[i])
        return 0;
    p->rank[i] = rank;
    return keys[i].kind == KIND_BOOL ? set_bool(p, &keys[i], value) : set_string(p, &keys[i], value);
}

/* ---- lines ---- */

static bool is_key(struct slice s) {
    for (size_t i = 0; i < s.size; i++) {
        char c = s.at[i];
        if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return s.size > 0;
}

static int parse_pair(struct parser *p, struct slice line) {
    struct slice rest = line, name = take_until(&rest, "=");
    if (rest.size == 0)
        return broken(p, "neither a group, nor KEY=VALUE, nor a comment", line);
    if (p->group == GROUP_NONE)
        return broken(p, "this stands before [Desktop Entry]", line);
    struct slice value = trim((struct slice){rest.at + 1, rest.size - 1});
    name = trim(name);
    struct slice locale = name, key = take_until(&locale, "[");
    bool localised = locale.size > 0;
    if (!is_key(key) || (localised && (locale.size < 3 || locale.at[locale.size - 1] != ']'))) {
        /* Other groups are of others, who have keys of their own. */
        return p->group == GROUP_OTHER ? 0 : broken(p, "this is no key", name);
    }
    locale = localised ? (struct slice){locale.at + 1, locale.size - 2} : locale;
    for (unsigned i = 0; i < N_KEYS; i++)
        if (keys[i].group == p->group && equals(key, keys[i].name))
            return set_key(p, i, localised ? &locale : NULL, value);
    return 0;
}

static bool is_action_group(const struct parser *p, struct slice name) {
    static const char prefix[] = "Desktop Action ";
    size_t size = sizeof prefix - 1;
    if (p->action == NULL || name.size <= size || memcmp(name.at, prefix, size) != 0)
        return false;
    return equals((struct slice){name.at + size, name.size - size}, p->action);
}

static int parse_group(struct parser *p, struct slice line) {
    struct slice name = {line.at + 1, line.size - 2};
    if (line.size < 3 || line.at[line.size - 1] != ']')
        return broken(p, "a group's name ends with ']'", line);
    for (size_t i = 0; i < name.size; i++)
        if ((unsigned char)name.at[i] < 0x20 || (unsigned char)name.at[i] >= 0x7f || strchr("[]", name.at[i]) != NULL)
            return broken(p, "this cannot be the name of a group", name);
    if (equals(name, "Desktop Entry")) {
        if (p->seen_entry)
            return broken(p, "this group stands there twice", name);
        p->seen_entry = true;
        p->group = GROUP_ENTRY;
        return 0;
    }
    if (!p->seen_entry)
        return broken(p, "the first group is not [Desktop Entry] but", name);
    p->group = is_action_group(p, name) ? GROUP_ACTION : GROUP_OTHER;
    if (p->group != GROUP_ACTION)
        return 0;
    if (p->entry.has_action)
        return broken(p, "this group stands there twice", name);
    p->entry.has_action = true;
    return 0;
}

static int parse_line(struct parser *p, struct slice line) {
    p->line++;
    line = trim(line);
    if (line.size == 0 || line.at[0] == '#')
        return 0;
    return line.at[0] == '[' ? parse_group(p, line) : parse_pair(p, line);
}

static int parse_lines(struct parser *p, const char *text, size_t size) {
    /* Some editors mark UTF-8. */
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3, size -= 3;
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = end != NULL ? (size_t)(end - text) - at : size - at;
        int r = parse_line(p, (struct slice){text + at, length});
        if (r < 0)
            return r;
        at += length + 1;
    }
    if (p->seen_entry)
        return 0;
    desktop_trouble_set(p->trouble, 0, "there is no group [Desktop Entry]");
    return -EBADMSG;
}

int desktop_entry_parse(const char *text, size_t size, const char *locale, const char *action, struct desktop_entry *ret_entry,
                        struct desktop_trouble *ret_trouble) {
    struct parser p = {.locale = locale != NULL ? locale : "", .action = action, .trouble = ret_trouble};
    int r = -EBADMSG;
    if (size > DESKTOP_ENTRY_MAX)
        desktop_trouble_set(ret_trouble, 0, "it is larger than 1 MiB");
    else if (memchr(text, '\0', size) != NULL)
        desktop_trouble_set(ret_trouble, 0, "it is not text: it has a NUL");
    else
        r = parse_lines(&p, text, size);
    if (r < 0) {
        desktop_entry_done(&p.entry);
        return r;
    }
    *ret_entry = p.entry;
    return 0;
}

void desktop_entry_done(struct desktop_entry *e) {
    for (unsigned i = 0; i < N_KEYS; i++)
        if (keys[i].kind != KIND_BOOL)
            free(*(char **)(void *)((char *)e + keys[i].offset));
    *e = (struct desktop_entry){0};
}

/* ---- whether it can be started ---- */

static bool lists(const char *list, const char *word) {
    struct slice rest = {list, list != NULL ? strlen(list) : 0};
    while (rest.size > 0) {
        struct slice item = take_until(&rest, ";");
        if (equals(trim(item), word))
            return true;
        if (rest.size > 0)
            rest.at++, rest.size--;
    }
    return false;
}

int desktop_entry_check(const struct desktop_entry *e, const char *action, struct desktop_trouble *ret_trouble) {
    const char *exec = action != NULL ? e->action_exec : e->exec;
    if (e->hidden)
        return desktop_trouble_set(ret_trouble, 0, "it has Hidden=true, which means that it was deleted"), -ENOENT;
    if (e->type == NULL)
        return desktop_trouble_set(ret_trouble, 0, "it has no Type="), -EINVAL;
    if (strcmp(e->type, "Application") != 0)
        return desktop_trouble_set(ret_trouble, 0, "it is no application: it has Type=%.60s", e->type), -EINVAL;
    if (action != NULL && !lists(e->actions, action))
        return desktop_trouble_set(ret_trouble, 0, "it has no action '%.60s'; Actions=%.120s", action,
                                   e->actions ? e->actions : ""),
               -EINVAL;
    if (action != NULL && !e->has_action)
        return desktop_trouble_set(ret_trouble, 0, "it has no group [Desktop Action %.60s]", action), -EINVAL;
    if (exec == NULL || exec[0] == '\0')
        return desktop_trouble_set(ret_trouble, 0, "it has no Exec=%s",
                                   e->dbus_activatable ? " and can be started over D-Bus only, which is not done here" : ""),
               -EINVAL;
    return 0;
}
