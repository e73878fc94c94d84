/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The key: looked for in the places that libforksrv(3) lists, checked, and kept in one locked page of its own until the
 * handshake is over. A place that exists but cannot be used is an error, never a reason to look further. */
#include "client/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define KEYGEN "forksrv keygen makes one"

enum { LISTEN_FDS_START = 3 };

static const char *const stores[] = {"/etc/credstore", "/run/credstore", "/usr/local/lib/credstore", "/usr/lib/credstore"};

static size_t page_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

int key_reserve(struct forksrv *s) {
    if (s->key != NULL)
        return 0;
    void *p = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return session_fail(s, -ENOMEM, "out of memory for the authkey");
    /* As far as the system lets us: a program without RLIMIT_MEMLOCK can still use its key. */
    (void)mlock(p, page_size());
    (void)madvise(p, page_size(), MADV_DONTDUMP);
    (void)madvise(p, page_size(), MADV_WIPEONFORK);
    s->key = p;
    return 0;
}

void key_erase(struct forksrv *s) {
    s->key_given = false;
    if (s->key == NULL)
        return;
    explicit_bzero(s->key, page_size());
    munmap(s->key, page_size());
    s->key = NULL;
}

/* systemd gives a service's user access to its credentials by an ACL, whose mask shows as the group's bits. */
static bool readable_by_others(const struct stat *st, bool credential) {
    if (st->st_nlink == 0)
        return false; /* a memfd has no name that others could open */
    return st->st_mode & (credential && st->st_uid == 0 ? S_IRWXO : S_IRWXG | S_IRWXO);
}

static int check(struct forksrv *s, int fd, const char *path, bool credential) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return session_fail(s, -errno, "authkey file %s: %s", path, error_text(-errno));
    if (!S_ISREG(st.st_mode))
        return session_fail(s, -EINVAL, "authkey file %s is not a regular file", path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return session_fail(s, -EPERM, "authkey file %s belongs to uid %u, neither to root nor to this program's user", path,
                            (unsigned)st.st_uid);
    if (readable_by_others(&st, credential))
        return session_fail(s, -EPERM, "authkey file %s has mode %04o: others than its owner can use it. chmod 600 it", path,
                            (unsigned)st.st_mode & 07777);
    if (st.st_size != LIMIT_AUTHKEY)
        return session_fail(s, -EINVAL, "authkey file %s has %lld bytes, not %d: it is no key. " KEYGEN, path,
                            (long long)st.st_size, LIMIT_AUTHKEY);
    return 0;
}

/* The position of the fd stays as it is: other sessions of this program may read the same one. */
static int read_key(struct forksrv *s, int fd, const char *path, bool credential) {
    int r = check(s, fd, path, credential);
    if (r < 0)
        return r;
    r = key_reserve(s);
    if (r < 0)
        return r;
    ssize_t n = pread(fd, s->key, LIMIT_AUTHKEY, 0);
    if (n == LIMIT_AUTHKEY)
        return 0;
    r = n < 0 ? -errno : -EINVAL;
    key_erase(s);
    return session_fail(s, r, "authkey file %s: %s", path, n < 0 ? error_text(r) : "it became shorter while it was read");
}

/* 0: it is read. -ENOENT: no such file, no text. Otherwise an error. */
static int try_file(struct forksrv *s, const char *path, bool credential) {
    auto_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0)
        return read_key(s, fd, path, credential);
    if (errno == ENOENT || errno == ENOTDIR)
        return -ENOENT;
    int r = -errno;
    return session_fail(s, r, "authkey file %s: %s", path, error_text(r));
}

/* The places that were looked at in vain, for the error. */
struct search {
    struct forksrv *s;
    size_t size;
    char looked[ERROR_TEXT - 256];
};

static void looked(struct search *at, const char *place) {
    size_t room = sizeof at->looked - at->size;
    int n = snprintf(at->looked + at->size, room, "%s%s", at->size > 0 ? ", " : "", place);
    if (n > 0)
        at->size += (size_t)n < room ? (size_t)n : room - 1;
}

static int try_below(struct search *at, const char *folder, const char *name, bool credential) {
    char path[LIMIT_PATH];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return -ENOENT;
    int r = try_file(at->s, path, credential);
    if (r == -ENOENT)
        looked(at, path);
    return r;
}

/* A file below the folder that an environment variable names. */
static int try_variable(struct search *at, const char *variable, const char *name, bool credential) {
    const char *folder = secure_getenv(variable);
    if (folder != NULL && folder[0] == '/')
        return try_below(at, folder, name, credential);
    char place[64];
    snprintf(place, sizeof place, "$%s (not set)", variable);
    looked(at, place);
    return -ENOENT;
}

/* The n-th name of a colon-separated list. */
static bool nth_name_is(const char *list, int n, const char *name) {
    for (; n > 0 && list != NULL; n--) {
        list = strchr(list, ':');
        if (list != NULL)
            list++;
    }
    size_t size = strlen(name);
    return list != NULL && strncmp(list, name, size) == 0 && (list[size] == ':' || list[size] == 0);
}

/* systemd's OpenFile=: the environment is only looked at, it is the program's own. */
static int try_passed(struct search *at) {
    const char *pid = secure_getenv("LISTEN_PID"), *count = secure_getenv("LISTEN_FDS"), *names = secure_getenv("LISTEN_FDNAMES");
    if (pid != NULL && count != NULL && names != NULL && atol(pid) == (long)getpid())
        for (int i = 0; i < atoi(count) && i < 1024; i++)
            if (nth_name_is(names, i, "forksrv.authkey"))
                return read_key(at->s, LISTEN_FDS_START + i, "forksrv.authkey passed by OpenFile=", false);
    looked(at, "an fd passed by OpenFile=forksrv.authkey");
    return -ENOENT;
}

static int try_stores(struct search *at) {
    char name[128];
    snprintf(name, sizeof name, "forksrv.authkey.%s", at->s->user != NULL ? at->s->user : "root");
    int r = -ENOENT;
    for (size_t i = 0; i < sizeof stores / sizeof stores[0] && r == -ENOENT; i++)
        r = try_below(at, stores[i], name, false);
    return r;
}

static int search(struct search *at, bool system) {
    bool root = geteuid() == 0;
    int r = try_variable(at, "CREDENTIALS_DIRECTORY", "forksrv.authkey", true);
    if (r == -ENOENT)
        r = try_passed(at);
    /* The session instance's key would only be refused by the system's. */
    if (r == -ENOENT && !(root && system))
        r = try_variable(at, "XDG_RUNTIME_DIR", "credstore/forksrv.authkey", false);
    if (r == -ENOENT && root)
        r = try_stores(at);
    return r;
}

/* A file that somebody named must be there. */
static int named_file(struct forksrv *s, const char *path, const char *who) {
    int r = try_file(s, path, false);
    if (r == -ENOENT)
        return session_fail(s, -ENOKEY, "no authkey: %s, which %s names, does not exist. " KEYGEN, path, who);
    return r;
}

int key_load(struct forksrv *s, bool system) {
    if (s->key_given)
        return 0;
    if (s->authkey_file != NULL)
        return named_file(s, s->authkey_file, "the program");
    const char *path = secure_getenv("FORKSRV_AUTHKEY_FILE");
    if (path != NULL && path[0] != 0)
        return named_file(s, path, "$FORKSRV_AUTHKEY_FILE");
    struct search at = {.s = s};
    looked(&at, "$FORKSRV_AUTHKEY_FILE (not set)");
    int r = search(&at, system);
    if (r == -ENOENT)
        return session_fail(s, -ENOKEY, "no authkey was found. Looked at: %s. " KEYGEN, at.looked);
    return r;
}
