/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which instance a subcommand talks to. How an address and a key are found is the library's business; here are only the
 * options that overrule it. */
#include "target.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "cleanup.h"
#include "say.h"

/* systemd starts a server again within 0.1 s, and after many crashes within 10. */
enum { RETURN_USEC = 30 * 1000 * 1000 };

const struct option_spec target_options[] = {
    {KEY_ADDRESS, "address", "PATH",
     "its control socket (otherwise $FORKSRV_ADDRESS, the\nsession's instance, the system's instance)"},
    {KEY_USER, "user", "NAME", "the system instance of that user"},
    {KEY_AUTHKEY_FILE, "authkey-file", "FILE",
     "the key (otherwise $FORKSRV_AUTHKEY_FILE, the credential\nforksrv.authkey, the credential stores)"},
    {KEY_PRIVATE, "private", NULL, "an instance of this command's own, which ends with it"},
    {0},
};

int target_set(struct target *target, int key, const char *argument) {
    switch (key) {
    case KEY_ADDRESS:
        target->address = argument;
        return 0;
    case KEY_AUTHKEY_FILE:
        target->authkey_file = argument;
        return 0;
    case KEY_USER:
        target->user = argument;
        return 0;
    case KEY_PRIVATE:
        target->use_private = true;
        return 0;
    default:
        return -ENOENT;
    }
}

int target_new(const struct target *target, struct forksrv **ret_session) {
    owned_session session = NULL;
    if (target->use_private && (target->address != NULL || target->user != NULL || target->authkey_file != NULL)) {
        say("--private makes an instance and a key of its own: leave out --address, --user and --authkey-file");
        return -EINVAL;
    }
    int r = forksrv_new(&session);
    if (r < 0) {
        say("cannot make a session: %s", strerror(-r));
        return r;
    }
    r = forksrv_set_address(session, target->address);
    if (r == 0)
        r = forksrv_set_return_time(session, RETURN_USEC);
    if (r == 0)
        r = forksrv_set_user(session, target->user);
    if (r == 0)
        r = forksrv_set_authkey_file(session, target->authkey_file);
    if (r < 0) {
        say("%s", forksrv_error(session));
        return r;
    }
    *ret_session = session;
    session = NULL;
    return 0;
}

bool target_blames_user(const struct target *target, int error) {
    char clean[80];
    if (target->user == NULL || (error != -ENOENT && error != -ENOKEY) || getpwnam(target->user) != NULL)
        return false;
    say("--user: there is no user '%s'", say_clean(target->user, clean, sizeof clean));
    return true;
}

int target_open(const struct target *target, struct forksrv **ret_session) {
    owned_session session = NULL;
    int r = target_new(target, &session);
    if (r < 0)
        return r;
    r = target->use_private ? forksrv_open_private(session) : forksrv_open(session);
    if (r < 0) {
        if (!target_blames_user(target, r))
            say("%s", forksrv_error(session));
        return r;
    }
    *ret_session = session;
    session = NULL;
    return 0;
}
