/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a file NAME.instance leads to. It does not know whether there is such a user: forksrvd says so, where it can be seen. */
#include "plugin/instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "plugin/keys.h"
#include "plugin/names.h"

#define DROP_IN "50-forksrv.conf"

struct instance {
    const char *user;
    bool enabled;
    struct key_list warm;
    const char *slice;
};

static const struct key table[] = {
#define KEY(name, type, field, kind, fine)                                                                                       \
    { "Instance", name, type, offsetof(struct instance, field), kind, fine }
#define LIMIT(name)                                                                                                              \
    { "Instance", name, KEY_PASS, 0, "number, size or time, as systemd has it", key_is_value }
    KEY("User", KEY_TEXT, user, "name of a user", name_is_user),
    KEY("Enabled", KEY_BOOL, enabled, "yes or no", NULL),
    KEY("Warm", KEY_LIST, warm, "name of a zygote", name_is_zygote),
    KEY("Slice", KEY_TEXT, slice, "name of a slice (like forks.slice)", key_is_slice),
    LIMIT("MemoryMax"),
    LIMIT("MemoryHigh"),
    LIMIT("MemoryLow"),
    LIMIT("MemorySwapMax"),
    LIMIT("TasksMax"),
    LIMIT("CPUWeight"),
    LIMIT("CPUQuota"),
    LIMIT("IOWeight"),
    LIMIT("LimitNOFILE"),
    LIMIT("LimitNPROC"),
    LIMIT("LimitMEMLOCK"),
    LIMIT("LimitCORE"),
    LIMIT("OOMScoreAdjust"),
    LIMIT("Nice"),
};
static const char *const passed[] = {"Unit", "Service", "Socket", NULL};
static const struct keys keys = {table, sizeof table / sizeof table[0], passed};

/* The names of the units of a user: "forksrv@USER.service.d". */
struct unit_name {
    char text[NAME_UNIT];
};

static struct unit_name unit(const struct instance *i, const char *type) {
    struct unit_name u;
    snprintf(u.text, sizeof u.text, "forksrv@%s%s", i->user, type);
    return u;
}

static int service(const struct instance *i, const struct declared *d, struct output *o) {
    auto_free char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return -ENOMEM;
    keys_write_head(out, d->path);
    fputs("\n[Unit]\n", out);
    keys_write_source(out, d->path);
    keys_pass(out, d, "Unit", false);
    fputs("\n[Service]\n", out);
    if (i->slice != NULL)
        fprintf(out, "Slice=%s\n", i->slice);
    if (i->warm.words.count > 0) {
        const char *blank = "";
        fputs("Environment=\"FORKSRV_WARM=", out);
        WORDS_FOREACH(name, &i->warm.words) {
            fprintf(out, "%s%s", blank, name);
            blank = " ";
        }
        fputs("\"\n", out);
    }
    keys_pass_own(out, &keys, d);
    keys_pass(out, d, "Service", false);
    if (fclose(out) != 0)
        return -ENOMEM;
    return output_file(o, unit(i, ".service.d").text, DROP_IN, text, size);
}

static int socket_(const struct instance *i, const struct declared *d, struct output *o) {
    auto_free char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return -ENOMEM;
    keys_write_head(out, d->path);
    unsigned n = keys_pass(out, d, "Socket", true);
    if (fclose(out) != 0)
        return -ENOMEM;
    return n > 0 ? output_file(o, unit(i, ".socket.d").text, DROP_IN, text, size) : 0;
}

static int make(const struct instance *i, const struct declared *d, struct output *o) {
    int r = service(i, d, o);
    if (r == -EEXIST)
        return r;
    if (r >= 0)
        r = socket_(i, d, o);
    if (r >= 0 && i->enabled)
        r = output_link(o, "sockets.target.wants", unit(i, ".socket").text, SYSTEM_UNITS "/forksrv@.socket");
    /* Warm from the boot on, and not from the first connection. */
    if (r >= 0 && i->enabled && i->warm.words.count > 0)
        r = output_link(o, "multi-user.target.wants", unit(i, ".service").text, SYSTEM_UNITS "/forksrv@.service");
    return r;
}

void instance_make(struct declared *d, struct output *o) {
    struct instance i = {.enabled = true};
    keys_read(&keys, d, &i);
    if (i.user == NULL)
        i.user = d->name;
    if (!name_is_user(i.user))
        declared_complain(d, NULL, "its name is no name of a user; rename it, or say User= in [Instance]");
    if (d->wrong == 0) {
        int r = make(&i, d, o);
        if (r == -EEXIST)
            declared_complain(d, NULL, "there is an instance of %s already, by a file before this one; delete one of them",
                              i.user);
        else if (r < 0)
            declared_complain(d, NULL, "the units of this instance cannot be written: %s", strerror(-r));
    }
    words_done(&i.warm.words);
}
