/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of declared zygotes: which there are, and as what they are declared. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/paths.h"
#include "daemon/settings.h"
#include "daemon/zygote.h"

/* ---- the table ---- */

/* A user's own declarations are for instances that nobody but her has a key of in a place that her programs can read. */
static bool takes_own_files(const struct daemon *d) {
    return d->session_flavour || d->private_instance;
}

static struct zygote *find(const struct daemon *d, const char *name) {
    struct zygote *z;
    TAILQ_FOREACH(z, &d->zygotes, link)
    if (strcmp(z->name, name) == 0)
        return z;
    return NULL;
}

static struct zygote *zygote_new(struct daemon *d, const char *name) {
    struct zygote *z = calloc(1, sizeof *z), *next;
    if (z == NULL)
        return NULL;
    z->d = d;
    if (zygote_timers(z) < 0) {
        sd_event_source_unref(z->idle);
        free(z);
        return NULL;
    }
    snprintf(z->name, sizeof z->name, "%s", name);
    declaration_init(&z->declaration);
    TAILQ_INIT(&z->waiting);
    TAILQ_INIT(&z->askers);
    TAILQ_FOREACH(next, &d->zygotes, link)
    if (strcmp(next->name, name) > 0)
        break;
    if (next != NULL)
        TAILQ_INSERT_BEFORE(next, z, link);
    else
        TAILQ_INSERT_TAIL(&d->zygotes, z, link);
    return z;
}

/* The next name in $FORKSRV_WARM: zygotes of this instance alone that are declared without Warm=. A private instance is its
 * client's, which can warm what it likes. */
static bool next_warm(const struct daemon *d, const char **at, char ret_name[LIMIT_ZYGOTE + 1]) {
    static const char blanks[] = " \t";
    if (*at == NULL)
        *at = getenv("FORKSRV_WARM");
    if (*at == NULL || d->private_instance)
        return false;
    *at += strspn(*at, blanks);
    size_t n = strcspn(*at, blanks);
    snprintf(ret_name, LIMIT_ZYGOTE + 1, "%.*s", (int)n, *at);
    *at += n;
    return n > 0;
}

static bool is_warm_here(const struct zygote *z) {
    char name[LIMIT_ZYGOTE + 1];
    const char *at = NULL;
    while (next_warm(z->d, &at, name))
        if (strcmp(name, z->name) == 0)
            return true;
    return false;
}

/* Returns the number of wrong lines. */
static unsigned read_declaration(struct zygote *z) {
    struct declaration fresh;
    unsigned before = settings_unread(), wrong = 0;
    bool found = declaration_read(z->name, takes_own_files(z->d), &fresh, &wrong);
    /* It is not gone, nor what could be read of it: it stays as it was. */
    if (settings_unread() != before) {
        if (found)
            declaration_done(&fresh);
        return wrong + 1;
    }
    z->declared = found;
    if (z->declared) {
        declaration_done(&z->declaration);
        z->declaration = fresh;
        z->declaration.warm |= is_warm_here(z);
    }
    return wrong;
}

static void take_name(void *data, const char *name) {
    struct daemon *d = data;
    if (find(d, name) == NULL)
        zygote_new(d, name);
}

void zygotes_init(struct daemon *d) {
    TAILQ_INIT(&d->zygotes);
    TAILQ_INIT(&d->incarnations);
}

static void zygote_free(struct zygote *z) {
    TAILQ_REMOVE(&z->d->zygotes, z, link);
    zygote_forget_askers(z);
    sd_event_source_disable_unref(z->idle);
    sd_event_source_disable_unref(z->again);
    declaration_done(&z->declaration);
    free(z->trouble);
    free(z);
}

void zygotes_done(struct daemon *d) {
    struct zygote *z;
    incarnation_free_all(d);
    while ((z = TAILQ_FIRST(&d->zygotes)) != NULL)
        zygote_free(z);
}

int zygote_find(struct daemon *d, const char *name, struct zygote **ret_zygote, char ret_what[ZYGOTE_WHAT]) {
    if (!declaration_name_is_fine(name)) {
        snprintf(ret_what, ZYGOTE_WHAT, "that is no name of a zygote: letters, digits, '-', '_' and '.', not at the start");
        return -EINVAL;
    }
    char own[LIMIT_PATH] = "";
    struct zygote *z = find(d, name);
    bool known = z != NULL;
    unsigned before = settings_unread();
    if (!known)
        z = zygote_new(d, name);
    if (z == NULL) {
        snprintf(ret_what, ZYGOTE_WHAT, "no memory for zygote %s", name);
        return -ENOMEM;
    }
    if (!z->declared)
        read_declaration(z);
    if (z->declared) {
        *ret_zygote = z;
        return 0;
    }
    if (!known)
        zygote_free(z);
    if (settings_unread() != before) {
        snprintf(ret_what, ZYGOTE_WHAT, "the declaration of zygote %s cannot be read: the log of the instance tells why", name);
        return -EIO;
    }
    if (takes_own_files(d))
        paths_user_config(own, sizeof own, "zygotes");
    snprintf(ret_what, ZYGOTE_WHAT,
             "there is no zygote \"%s\": no %s.conf in %.*s%s" PATH_SYSCONF "/zygotes or " PATH_DATA "/zygotes", name, name,
             ZYGOTE_WHAT / 2, own, own[0] != 0 ? ", " : "");
    return -ENOENT;
}

bool zygotes_know(const struct daemon *d, pid_t pid) {
    const struct incarnation *i;
    const struct worker *w;
    TAILQ_FOREACH(i, &d->incarnations, link)
    if (i->pid == pid && i->state != INCARNATION_GONE)
        return true;
    TAILQ_FOREACH(w, &d->live, link)
    if (w->pid == pid)
        return true;
    return false;
}

unsigned zygotes_running(const struct daemon *d) {
    const struct incarnation *i;
    unsigned n = 0;
    TAILQ_FOREACH(i, &d->incarnations, link)
    n += i->state != INCARNATION_GONE && i->derived == NULL;
    return n;
}

/* ---- again ---- */

unsigned zygote_read(struct zygote *z) {
    unsigned wrong = read_declaration(z);
    zygote_was_read(z);
    return wrong;
}

unsigned zygotes_read(struct daemon *d) {
    struct zygote *z;
    unsigned wrong = declaration_each(takes_own_files(d), take_name, d);
    TAILQ_FOREACH(z, &d->zygotes, link)
    wrong += zygote_read(z);
    char name[LIMIT_ZYGOTE + 1];
    const char *at = NULL;
    while (next_warm(d, &at, name))
        if ((z = find(d, name)) == NULL || !z->declared) {
            log_line(LOG_WARNING, LOG_KIND_CONFIG, NULL,
                     "$FORKSRV_WARM: there is no zygote \"%s\" to keep warm; declare it in " PATH_SYSCONF "/zygotes/%s.conf",
                     name, name);
            wrong++;
        }
    return wrong;
}
