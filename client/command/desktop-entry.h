/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What a desktop entry says: the Desktop Entry Specification 1.5. */

enum { DESKTOP_ENTRY_MAX = 1024 * 1024 };

/* What is wrong with one, for people. */
struct desktop_trouble {
    unsigned line; /* 0: no certain one */
    char text[240];
};

/* Strings are owned, free of NUL, with their escapes undone; NULL where the key is not there. */
struct desktop_entry {
    char *type;
    char *name; /* localised */
    char *exec;
    char *try_exec;
    char *path;
    char *icon;
    char *actions; /* a;b; */
    bool hidden;
    bool terminal;
    bool dbus_activatable;
    bool has_action; /* the group of the action that was asked for is there */
    char *action_name;
    char *action_exec;
    char *action_icon;
};

/* action: the one whose group is read, too; NULL: none. locale: as in LC_MESSAGES, "de_AT.UTF-8@euro".
 * -EBADMSG: it is broken; -ENOMEM. */
int desktop_entry_parse(const char *text, size_t size, const char *locale, const char *action, struct desktop_entry *ret_entry,
                        struct desktop_trouble *ret_trouble);
void desktop_entry_done(struct desktop_entry *e);

/* Whether it can be started: -ENOENT: it is hidden, which means that it is not there; -EINVAL: it is no application, has no such
 * action, or nothing to execute. */
int desktop_entry_check(const struct desktop_entry *e, const char *action, struct desktop_trouble *ret_trouble);

void desktop_trouble_set(struct desktop_trouble *ret_trouble, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
