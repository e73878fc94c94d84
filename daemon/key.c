/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one place where the key is. It reads the credential and guards its page; it never prints, copies or compares it. */
#include "daemon/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/log.h"
#include "protocol/limits.h"

static const char credential[] = "forksrv.authkey";

static int make_page(struct key *key) {
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return -errno;
    if (mlock(page, size) < 0 || madvise(page, size, MADV_DONTDUMP) < 0 || madvise(page, size, MADV_WIPEONFORK) < 0) {
        int r = -errno;
        munmap(page, size);
        return r;
    }
    key->page = page;
    return 0;
}

static int open_credential(char *ret_path, size_t size) {
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (dir == NULL) {
        log_line(LOG_ERR, LOG_KIND_KEY, NULL,
                 "no authkey: $CREDENTIALS_DIRECTORY is not set. The unit must have LoadCredential=%s:..., or OpenFile= with "
                 "that name",
                 credential);
        return -ENOKEY;
    }
    if ((size_t)snprintf(ret_path, size, "%s/%s", dir, credential) >= size)
        return -ENAMETOOLONG;
    int fd = open(ret_path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        int r = -errno;
        log_line(LOG_ERR, LOG_KIND_KEY, NULL,
                 "no authkey: cannot open %s: %s. `forksrv keygen` makes one; for a system instance, in /etc/credstore or "
                 "/run/credstore",
                 ret_path, strerror(-r));
        return r;
    }
    return fd;
}

/* Straight into the page: no copy of it is ever anywhere else. One byte more than wanted shows a file that is too long. */
static int fill(struct key *key, int fd, const char *path) {
    size_t have = 0;
    /* Whoever wrote a memfd left its offset at the end. */
    lseek(fd, 0, SEEK_SET);
    while (have <= LIMIT_AUTHKEY) {
        ssize_t n = read(fd, key->page + have, LIMIT_AUTHKEY + 1 - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int r = -errno;
            log_line(LOG_ERR, LOG_KIND_KEY, NULL, "no authkey: cannot read %s: %s", path, strerror(-r));
            return r;
        }
        if (n == 0)
            break;
        have += (size_t)n;
    }
    if (have == LIMIT_AUTHKEY)
        return 0;
    log_line(LOG_ERR, LOG_KIND_KEY, NULL,
             "no authkey: %s has %s%zu bytes, and must have exactly %d. Make a new one with `forksrv keygen`", path,
             have > LIMIT_AUTHKEY ? "more than " : "", have > LIMIT_AUTHKEY ? (size_t)LIMIT_AUTHKEY : have, LIMIT_AUTHKEY);
    return -EBADMSG;
}

int key_load(struct key *key, int given) {
    auto_fd fd = given;
    char path[4096] = "the file passed as forksrv.authkey";
    key->page = NULL;
    if (fd < 0)
        fd = open_credential(path, sizeof path);
    if (fd < 0)
        return fd;
    int r = make_page(key);
    if (r < 0) {
        log_line(
            LOG_ERR, LOG_KIND_KEY, NULL,
            "cannot guard a page for the authkey: %s (mlock needs LimitMEMLOCK= of 4K, and a seccomp filter that permits it)",
            strerror(-r));
        return r;
    }
    r = fill(key, fd, path);
    if (r < 0)
        key_done(key);
    return r;
}

const uint8_t *key_bytes(const struct key *key) {
    return key->page;
}

void key_done(struct key *key) {
    if (key->page == NULL)
        return;
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    explicit_bzero(key->page, size);
    munmap(key->page, size);
    key->page = NULL;
}
