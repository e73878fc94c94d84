/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv keygen`: a new key, in a file or in the credential store of an instance. It prints where the key is and never the key.
 * What is there already stays, unless --force says otherwise; then the key is replaced where it is, since one in another store
 * might not be the one that systemd finds. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "command.h"
#include "keyfile.h"
#include "keystore.h"
#include "options.h"
#include "say.h"

enum { KEY_SYSTEM = OPTION_OWN, KEY_SESSION, KEY_USER_OPTION, KEY_OWNER, KEY_IF_MISSING, KEY_FORCE };

struct keygen_options {
    const char *user; /* the system flavour's */
    const char *owner;
    bool session;
    bool if_missing;
    bool force;
    const char *file;
};

static const struct option_spec own_options[] = {
    {KEY_SYSTEM, "system", "NAME", "for forksrv@NAME.service: in /run/credstore, for root only"},
    {KEY_USER_OPTION, "user", "NAME", "the same"},
    {KEY_SESSION, "session", NULL,
     "for forksrv.service of your session: in\n$XDG_RUNTIME_DIR/credstore (this without FILE, too)"},
    {KEY_OWNER, "owner", "NAME", "make FILE this user's, not the caller's"},
    {KEY_IF_MISSING, "if-missing", NULL, "be content with a key that is there in any credential store"},
    {KEY_FORCE, "force", NULL, "replace a key that is there"},
    {0},
};

static const struct usage usage = {
    .name = "keygen",
    .synopsis = "[OPTIONS] [FILE]",
    .summary = "Makes a key: 32 random bytes that only their owner may read. Prints where it is, never what it\n"
               "is. A key that is there is never overwritten without --force.",
    .groups = {{"Options", own_options}},
    .more = "Exit code: 0, 1 it failed or there is a key already, 2 wrong use.\n"
            "\n"
            "Examples:\n"
            "  forksrv keygen --system=alice\n"
            "  forksrv keygen --force --system=alice && systemctl restart forksrv@alice   # a new key: rotation\n"
            "  forksrv keygen /etc/forksrv/batch.key\n",
    .misuse = EXIT_MISUSE,
};

static int set(void *data, int key, const char *argument) {
    struct keygen_options *o = data;
    switch (key) {
    case KEY_SYSTEM:
    case KEY_USER_OPTION:
        o->user = argument;
        return 0;
    case KEY_SESSION:
        o->session = true;
        return 0;
    case KEY_OWNER:
        o->owner = argument;
        return 0;
    case KEY_IF_MISSING:
        o->if_missing = true;
        return 0;
    default:
        o->force = true;
        return 0;
    }
}

static int check(struct keygen_options *o, char **operands) {
    o->file = operands[0];
    if (o->file != NULL && operands[1] != NULL) {
        say("more than one FILE is named");
        return -EINVAL;
    }
    if ((o->file != NULL) + (o->user != NULL) + o->session > 1) {
        say("FILE, --system and --session exclude each other");
        return -EINVAL;
    }
    if (o->force && o->if_missing) {
        say("--force and --if-missing exclude each other");
        return -EINVAL;
    }
    if (o->owner != NULL && o->file == NULL) {
        say("--owner is for a FILE; keys in credential stores have the owner that systemd wants");
        return -EINVAL;
    }
    if (o->file != NULL && (*o->file == '\0' || strlen(o->file) >= PATH_MAX || strcmp(o->file, "-") == 0)) {
        say("'%s' is not a FILE for a key: keys go into files only", strlen(o->file) < 8 ? o->file : "...");
        return -EINVAL;
    }
    return 0;
}

static int find_owner(const char *name, uid_t *ret_uid, gid_t *ret_gid) {
    if (name == NULL)
        return 0;
    const struct passwd *p = getpwnam(name);
    if (p == NULL) {
        say("--owner: there is no user '%s'", name);
        return -ESRCH;
    }
    *ret_uid = p->pw_uid;
    *ret_gid = p->pw_gid;
    return 0;
}

/* Makes it and says so. `hint` follows the message. */
static int make(const struct keygen_options *o, const char *folder, const char *name, const char *hint) {
    uid_t uid = (uid_t)-1;
    gid_t gid = (gid_t)-1;
    int r = find_owner(o->owner, &uid, &gid);
    if (r < 0)
        return r;
    r = keyfile_make(folder, name, uid, gid, o->force);
    if (r == -EEXIST && o->if_missing)
        printf("there is a key in %s/%s\n", folder, name);
    else if (r == -EEXIST)
        say("%s/%s is there already; --force replaces it", folder, name);
    else if (r < 0)
        say("cannot make %s/%s: %s", folder, name, strerror(-r));
    else
        printf("new key in %s/%s%s\n", folder, name, hint);
    return r == -EEXIST && o->if_missing ? 0 : r;
}

static int make_file(const struct keygen_options *o) {
    char folder[PATH_MAX], name[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", o->file);
    snprintf(name, sizeof name, "%s", o->file);
    return make(o, dirname(folder), basename(name), "");
}

static int refuse_encrypted(const struct keystore *store, const char *folder) {
    say("the key in %s/%s is encrypted, so systemd-creds has to make the new one:\n"
        "  head -c %d /dev/urandom | systemd-creds encrypt --name=forksrv.authkey - %s/%s",
        folder, store->name, KEY_SIZE, folder, store->name);
    return -EEXIST;
}

static int make_in_store(const struct keygen_options *o, const struct keystore *store) {
    const char *hint = !o->force       ? ""
                       : store->system ? "; restart the instance with systemctl"
                                       : "; systemctl --user restart forksrv";
    int found = keystore_find(store);
    if (found < 0 && found != -ENOENT)
        return found;
    if (found >= 0 && !o->force) {
        const char *folder = store->folders[found];
        if (o->if_missing)
            printf("there is a key in %s/%s\n", folder, store->name);
        else
            say("%s/%s is there already; --force makes a new one", folder, store->name);
        return o->if_missing ? 0 : -EEXIST;
    }
    if (found >= 0 && keystore_is_encrypted(store, found))
        return refuse_encrypted(store, store->folders[found]);
    if (found >= 0 && found != (int)store->own && keystore_is_ours(store, found))
        return make(o, store->folders[found], store->name, hint);
    int r = keystore_make_folder(store);
    return r < 0 ? r : make(o, store->folders[store->own], store->name, hint);
}

int command_keygen(int argc, char **argv) {
    struct keygen_options o = {0};
    struct keystore store;
    int first;
    int r = options_parse(&usage, argc, argv, set, &o, &first);
    if (r != 0)
        return r < 0 ? EXIT_MISUSE : 0;
    if (check(&o, argv + first) < 0)
        return EXIT_MISUSE;
    if (o.file != NULL)
        return make_file(&o) < 0 ? EXIT_OWN_FAILURE : 0;
    r = o.user != NULL ? keystore_of_user(&store, o.user) : keystore_of_session(&store);
    if (r == 0)
        r = make_in_store(&o, &store);
    return r < 0 ? EXIT_OWN_FAILURE : 0;
}
