/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a file NAME.helper leads to. It starts nothing, and does not know whether there is such a program or zygote. */
#include "plugin/helper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "plugin/command.h"
#include "plugin/keys.h"
#include "plugin/names.h"

#define SESSION "graphical-session.target"

struct helper {
    const char *exec, *zygote, *restart, *slice, *description;
    struct key_list wanted_by, required_by, upheld_by, alias, part_of;
};

static bool is_restart(const char *value) {
    static const char *const known[] = {"no", "always", "on-success", "on-failure", "on-abnormal", "on-abort", "on-watchdog"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], value) == 0)
            return true;
    return false;
}

static bool is_unit(const char *value) {
    return name_is_unit(value, NULL);
}

static bool is_service(const char *value) {
    return name_is_unit(value, ".service");
}

static const struct key table[] = {
#define KEY(section, name, type, field, kind, fine)                                                                              \
    { section, name, type, offsetof(struct helper, field), kind, fine }
    KEY("Helper", "Exec", KEY_TEXT, exec, "command", NULL),
    KEY("Helper", "Zygote", KEY_TEXT, zygote, "name of a zygote", name_is_zygote),
    KEY("Helper", "Description", KEY_TEXT, description, "text", NULL),
    KEY("Helper", "Restart", KEY_TEXT, restart,
        "way to restart (no, always, on-success, on-failure, on-abnormal, on-abort, on-watchdog)", is_restart),
    KEY("Helper", "WantedBy", KEY_LIST, wanted_by, "name of a unit (like default.target)", is_unit),
    KEY("Helper", "PartOf", KEY_LIST, part_of, "name of a unit (like default.target)", is_unit),
    KEY("Helper", "Slice", KEY_TEXT, slice, "name of a slice (like background.slice)", key_is_slice),
    KEY("Install", "WantedBy", KEY_LIST, wanted_by, "name of a unit (like default.target)", is_unit),
    KEY("Install", "RequiredBy", KEY_LIST, required_by, "name of a unit (like default.target)", is_unit),
    KEY("Install", "UpheldBy", KEY_LIST, upheld_by, "name of a unit (like default.target)", is_unit),
    KEY("Install", "Alias", KEY_LIST, alias, "name of a service (like panel.service)", is_service),
};
static const char *const passed[] = {"Unit", "Service", "Install", NULL};
static const struct keys keys = {table, sizeof table / sizeof table[0], passed};

static void write_list(FILE *out, const char *name, const struct words *w) {
    if (w->count == 0)
        return;
    fprintf(out, "%s=", name);
    WORDS_FOREACH(word, w) {
        fprintf(out, "%s%s", word == w->data ? "" : " ", word);
    }
    fputc('\n', out);
}

static void write_unit(FILE *out, const struct helper *h, const struct declared *d) {
    fputs("\n[Unit]\nDescription=", out);
    /* One of its own is a line of a unit, specifiers included; a name is only a name. */
    if (h->description != NULL)
        fputs(h->description, out);
    else
        fputs("Helper \"", out), keys_write_plain(out, d->name), fputc('"', out);
    fputc('\n', out);
    keys_write_source(out, d->path);
    fputs("Wants=forksrv.socket\nAfter=forksrv.socket forksrv-authkey.service\n", out);
    write_list(out, "PartOf", &h->part_of.words);
    write_list(out, "After", &h->part_of.words);
    keys_pass(out, d, "Unit", false);
}

static void write_service(FILE *out, const struct helper *h, const struct declared *d) {
    fputs("\n[Service]\nType=notify\nNotifyAccess=all\n", out);
    /* The whole path: user managers before systemd 260 have no credential store to search. */
    fputs("LoadCredential=forksrv.authkey:%t/credstore/forksrv.authkey\n", out);
    fputs("ExecStart=" COMMAND " run --as-main", out);
    if (h->zygote != NULL)
        fprintf(out, " -z %s", h->zygote);
    fprintf(out, " -- %s\n", h->exec);
    if (h->restart != NULL)
        fprintf(out, "Restart=%s\n", h->restart);
    if (h->slice != NULL)
        fprintf(out, "Slice=%s\n", h->slice);
    keys_pass(out, d, "Service", false);
}

static int write_links(const struct words *units, const char *kind, const char *name, struct output *o) {
    char folder[NAME_UNIT + 16], target[NAME_UNIT + 4];
    int r = 0;
    snprintf(target, sizeof target, "../%s", name);
    WORDS_FOREACH(unit, units) {
        snprintf(folder, sizeof folder, "%s.%s", unit, kind);
        if (r >= 0)
            r = output_link(o, folder, name, target);
    }
    return r;
}

static int make(const struct helper *h, const struct declared *d, const char *name, struct output *o) {
    auto_free char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return -ENOMEM;
    keys_write_head(out, d->path);
    write_unit(out, h, d);
    write_service(out, h, d);
    keys_pass(out, d, "Install", true);
    if (fclose(out) != 0)
        return -ENOMEM;
    int r = output_file(o, NULL, name, text, size);
    if (r >= 0)
        r = write_links(&h->wanted_by.words, "wants", name, o);
    if (r >= 0)
        r = write_links(&h->required_by.words, "requires", name, o);
    if (r >= 0)
        r = write_links(&h->upheld_by.words, "upholds", name, o);
    WORDS_FOREACH(alias, &h->alias.words) {
        if (r >= 0)
            r = output_link(o, NULL, alias, name);
    }
    return r;
}

/* The last line that says what is in `name`, for a mistake in what it says. */
static const struct line *last(const struct declared *d, const char *name) {
    const struct line *l = NULL;
    for (size_t i = 0; i < d->n_lines; i++)
        if (strcmp(d->lines[i].section, "Helper") == 0 && strcmp(d->lines[i].name, name) == 0)
            l = &d->lines[i];
    return l;
}

/* Before anything is written: half a helper would be none. */
static bool is_new(const struct helper *h, const char *name, const struct output *o) {
    WORDS_FOREACH(alias, &h->alias.words) {
        if (strcmp(alias, name) == 0 || output_has(o, alias))
            return false;
    }
    return !output_has(o, name);
}

static void judge(const struct helper *h, struct declared *d, const struct output *o, char ret_name[NAME_UNIT]) {
    const char *why;
    if (!name_escape("forksrv-helper-", d->name, ".service", ret_name))
        declared_complain(d, NULL, "its name is too long, has control characters or is not UTF-8; rename it");
    else if (!is_new(h, ret_name, o))
        declared_complain(d, NULL, "one of its units is there already, by another helper; see its name and Alias=");
    if (h->exec == NULL)
        declared_complain(d, last(d, "Exec"), "there is no command; say Exec= in [Helper]");
    else if ((why = command_mistake(h->exec, h->zygote != NULL)) != NULL)
        declared_complain(d, last(d, "Exec"), "Exec=%s", why);
}

void helper_make(struct declared *d, struct output *o) {
    struct helper h = {0};
    char name[NAME_UNIT];
    if (!words_add(&h.wanted_by.words, SESSION, strlen(SESSION)) || !words_add(&h.part_of.words, SESSION, strlen(SESSION)))
        d->wrong++;
    keys_read(&keys, d, &h);
    judge(&h, d, o, name);
    if (d->wrong == 0) {
        int r = make(&h, d, name, o);
        if (r < 0)
            declared_complain(d, NULL, "not all of its units can be written: %s", strerror(-r));
    }
    words_done(&h.wanted_by.words);
    words_done(&h.required_by.words);
    words_done(&h.upheld_by.words);
    words_done(&h.alias.words);
    words_done(&h.part_of.words);
}
