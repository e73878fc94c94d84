/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands between the daemon's own objects and every function that can fail them (ld --wrap), counts who calls, and lets calls of
 * chosen places fail. The libraries' own calls do not come by here. A function is one line; which errors it can have is the
 * tests' business. */
#include "tests/faults/shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <grp.h>
#include <ini.h>
#include <poll.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

extern const char __executable_start[];

static struct shim *shim;

static __attribute__((constructor)) void attach(void) {
    const char *path = getenv("FORKSRV_FAULTS");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *p = mmap(NULL, sizeof *shim, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED)
        shim = p;
    close(fd);
}

/* Whether the call that would return there fails now. */
static bool fails(const void *place) {
    uint64_t at = (uint64_t)((uintptr_t)place - (uintptr_t)__executable_start);
    if (shim == NULL || at >= SHIM_TEXT)
        return false;
    shim->seen[at]++;
    bool armed = false;
    for (unsigned i = 0; i < SHIM_SITES; i++)
        armed |= shim->sites[i] == at;
    if (!armed || shim->times == 0)
        return false;
    if (shim->skip > 0) {
        shim->skip--;
        return false;
    }
    shim->times--;
    shim->hits++;
    errno = shim->error;
    return true;
}

/* The same for calls that wait, and that a signal can interrupt. */
static bool stops(const void *place) {
    if (fails(place))
        return true;
    if (shim == NULL || shim->storm == 0 || ++shim->interrupted % (shim->storm + 1) == 0)
        return false;
    errno = EINTR;
    return true;
}

#define HERE __builtin_return_address(0)
#define WRAP(type, name, params)                                                                                                 \
    type __real_##name params;                                                                                                   \
    type __wrap_##name params;                                                                                                   \
    type __wrap_##name params
#define FAULT(type, name, params, args, failure)                                                                                 \
    WRAP(type, name, params) {                                                                                                   \
        return fails(HERE) ? (failure) : __real_##name args;                                                                     \
    }
#define INTERRUPT(type, name, params, args)                                                                                      \
    WRAP(type, name, params) {                                                                                                   \
        return stops(HERE) ? -1 : __real_##name args;                                                                            \
    }
/* It tells errors as negative numbers. */
#define FAULT_SD(name, params, args) FAULT(int, name, params, args, -errno)

/* ---- memory ---- */

FAULT(void *, malloc, (size_t n), (n), NULL)
FAULT(void *, calloc, (size_t n, size_t size), (n, size), NULL)
FAULT(void *, realloc, (void *p, size_t n), (p, n), NULL)
FAULT(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size), NULL)
FAULT(char *, strdup, (const char *s), (s), NULL)
FAULT(void *, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t at), (p, n, prot, flags, fd, at), MAP_FAILED)
FAULT(int, munmap, (void *p, size_t n), (p, n), -1)
FAULT(int, mprotect, (void *p, size_t n, int prot), (p, n, prot), -1)
FAULT(int, mlock, (const void *p, size_t n), (p, n), -1)
FAULT(int, madvise, (void *p, size_t n, int advice), (p, n, advice), -1)

/* ---- files ---- */

WRAP(int, open, (const char *path, int flags, ...)) {
    return fails(HERE) ? -1 : __real_open(path, flags);
}
WRAP(int, openat, (int dir, const char *path, int flags, ...)) {
    return fails(HERE) ? -1 : __real_openat(dir, path, flags);
}
FAULT(FILE *, fopen, (const char *path, const char *mode), (path, mode), NULL)
/* Writing to a file that is read leaves the mark of an error on it. */
WRAP(char *, fgets, (char *s, int n, FILE *f)) {
    if (!fails(HERE))
        return __real_fgets(s, n, f);
    fputc(0, f);
    return NULL;
}
FAULT(DIR *, fdopendir, (int fd), (fd), NULL)
FAULT(struct dirent *, readdir, (DIR * d), (d), NULL)
FAULT(int, scandir,
      (const char *dir, struct dirent ***ret, int (*filter)(const struct dirent *),
       int (*order)(const struct dirent **, const struct dirent **)),
      (dir, ret, filter, order), -1)
FAULT(int, access, (const char *path, int mode), (path, mode), -1)
FAULT(int, faccessat, (int dir, const char *path, int mode, int flags), (dir, path, mode, flags), -1)
FAULT(int, fchownat, (int dir, const char *path, uid_t uid, gid_t gid, int flags), (dir, path, uid, gid, flags), -1)
FAULT(ssize_t, fgetxattr, (int fd, const char *name, void *p, size_t n), (fd, name, p, n), -1)
FAULT(int, fstat, (int fd, struct stat *ret), (fd, ret), -1)
FAULT(int, ftruncate, (int fd, off_t size), (fd, size), -1)
FAULT(FILE *, fdopen, (int fd, const char *mode), (fd, mode), NULL)
FAULT(int, fstatfs, (int fd, struct statfs *ret), (fd, ret), -1)
FAULT(int, statx, (int dir, const char *path, int flags, unsigned mask, struct statx *ret), (dir, path, flags, mask, ret), -1)
FAULT(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode), -1)
FAULT(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags), -1)
FAULT(int, chdir, (const char *path), (path), -1)
FAULT(off_t, lseek, (int fd, off_t at, int whence), (fd, at, whence), -1)
INTERRUPT(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))

/* Half of it, where it is told to fail without an error. */
WRAP(ssize_t, write, (int fd, const void *p, size_t n)) {
    if (stops(HERE))
        return errno != 0 ? -1 : __real_write(fd, p, n / 2);
    return __real_write(fd, p, n);
}

/* An fd is gone even if that fails. */
WRAP(int, close, (int fd)) {
    int r = __real_close(fd);
    return fails(HERE) ? -1 : r;
}
WRAP(int, fclose, (FILE * f)) {
    int r = __real_fclose(f);
    return fails(HERE) ? EOF : r;
}
WRAP(int, closedir, (DIR * d)) {
    int r = __real_closedir(d);
    return fails(HERE) ? -1 : r;
}

/* ---- fds and sockets ---- */

WRAP(int, fcntl, (int fd, int command, ...)) {
    va_list list;
    va_start(list, command);
    unsigned long arg = va_arg(list, unsigned long);
    va_end(list);
    return fails(HERE) ? -1 : __real_fcntl(fd, command, arg);
}
WRAP(int, ioctl, (int fd, unsigned long request, ...)) {
    va_list list;
    va_start(list, request);
    void *arg = va_arg(list, void *);
    va_end(list);
    return fails(HERE) ? -1 : __real_ioctl(fd, request, arg);
}
FAULT(int, pipe2, (int ends[2], int flags), (ends, flags), -1)
FAULT(int, socketpair, (int domain, int type, int protocol, int ends[2]), (domain, type, protocol, ends), -1)
FAULT(int, socket, (int domain, int type, int protocol), (domain, type, protocol), -1)
FAULT(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1)
FAULT(int, eventfd, (unsigned count, int flags), (count, flags), -1)
INTERRUPT(int, eventfd_read, (int fd, eventfd_t *ret), (fd, ret))
FAULT(int, epoll_create1, (int flags), (flags), -1)
FAULT(int, epoll_ctl, (int ep, int op, int fd, struct epoll_event *e), (ep, op, fd, e), -1)
INTERRUPT(int, epoll_wait, (int ep, struct epoll_event *e, int n, int timeout), (ep, e, n, timeout))
INTERRUPT(int, poll, (struct pollfd * p, nfds_t n, int timeout), (p, n, timeout))
INTERRUPT(int, accept4, (int fd, struct sockaddr *address, socklen_t *size, int flags), (fd, address, size, flags))
FAULT(int, getsockopt, (int fd, int level, int name, void *p, socklen_t *n), (fd, level, name, p, n), -1)
FAULT(int, setsockopt, (int fd, int level, int name, const void *p, socklen_t n), (fd, level, name, p, n), -1)
FAULT(int, shutdown, (int fd, int how), (fd, how), -1)
INTERRUPT(ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
INTERRUPT(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))

/* The journal is where the tests say. */
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags)) {
    const char *journal = getenv("FORKSRV_FAULTS_JOURNAL");
    if (stops(HERE))
        return -1;
    struct msghdr there = *m;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (m->msg_name != NULL && journal != NULL) {
        snprintf(address.sun_path, sizeof address.sun_path, "%s", journal);
        there.msg_name = &address;
        there.msg_namelen = sizeof address;
    }
    return __real_sendmsg(fd, &there, flags);
}

/* ---- processes ---- */

WRAP(int, clone, (int (*run)(void *), void *stack, int flags, void *data, ...)) {
    va_list list;
    va_start(list, data);
    void *pidfd = va_arg(list, void *), *tls = va_arg(list, void *), *tid = va_arg(list, void *);
    va_end(list);
    return fails(HERE) ? -1 : __real_clone(run, stack, flags, data, pidfd, tls, tid);
}
WRAP(long, syscall, (long n, ...)) {
    long a[5];
    va_list list;
    va_start(list, n);
    for (unsigned i = 0; i < 5; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    return fails(HERE) ? -1 : __real_syscall(n, a[0], a[1], a[2], a[3], a[4]);
}
FAULT(int, kill, (pid_t pid, int signo), (pid, signo), -1)
FAULT(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int options), (type, id, info, options), -1)
FAULT(int, getrlimit, (int resource, struct rlimit *ret), (resource, ret), -1)
FAULT(int, setrlimit, (int resource, const struct rlimit *limit), (resource, limit), -1)
FAULT(int, initgroups, (const char *user, gid_t gid), (user, gid), -1)
FAULT(int, setresgid, (gid_t r, gid_t e, gid_t s), (r, e, s), -1)
FAULT(int, setresuid, (uid_t r, uid_t e, uid_t s), (r, e, s), -1)
FAULT(struct passwd *, getpwnam, (const char *name), (name), NULL)

WRAP(int, prctl, (int option, ...)) {
    unsigned long a[4];
    va_list list;
    va_start(list, option);
    for (unsigned i = 0; i < 4; i++)
        a[i] = va_arg(list, unsigned long);
    va_end(list);
    if (fails(HERE))
        return -1;
    /* The tests count its fds, without being root. */
    return option == PR_SET_DUMPABLE ? 0 : __real_prctl(option, a[0], a[1], a[2], a[3]);
}
WRAP(int, getpwnam_r, (const char *name, struct passwd *pw, char *buf, size_t n, struct passwd **ret)) {
    *ret = NULL;
    return fails(HERE) ? errno : __real_getpwnam_r(name, pw, buf, n, ret);
}
WRAP(int, getpwuid_r, (uid_t uid, struct passwd *pw, char *buf, size_t n, struct passwd **ret)) {
    *ret = NULL;
    return fails(HERE) ? errno : __real_getpwuid_r(uid, pw, buf, n, ret);
}

FAULT(ssize_t, getrandom, (void *p, size_t n, unsigned flags), (p, n, flags), -1)

WRAP(int, clock_gettime, (clockid_t clock, struct timespec *ret)) {
    if (fails(HERE))
        return -1;
    int r = __real_clock_gettime(clock, ret);
    if (shim != NULL)
        ret->tv_sec += clock == CLOCK_REALTIME ? shim->jump : shim->age;
    return r;
}

/* ---- libraries ---- */

FAULT(int, gnutls_hmac_fast,
      (gnutls_mac_algorithm_t algorithm, const void *key, size_t key_size, const void *p, size_t n, void *ret),
      (algorithm, key, key_size, p, n, ret), GNUTLS_E_MEMORY_ERROR)
FAULT(int, ini_parse_stream, (ini_reader reader, void *stream, ini_handler handler, void *user), (reader, stream, handler, user),
      -2)
FAULT_SD(sd_event_new, (sd_event * *ret), (ret))
FAULT_SD(sd_event_loop, (sd_event * e), (e))
FAULT_SD(sd_event_set_watchdog, (sd_event * e, int on), (e, on))
FAULT_SD(sd_event_add_io,
         (sd_event * e, sd_event_source **ret, int fd, uint32_t events, sd_event_io_handler_t handler, void *data),
         (e, ret, fd, events, handler, data))
FAULT_SD(sd_event_add_time,
         (sd_event * e, sd_event_source **ret, clockid_t clock, uint64_t usec, uint64_t accuracy, sd_event_time_handler_t handler,
          void *data),
         (e, ret, clock, usec, accuracy, handler, data))
FAULT_SD(sd_event_add_signal, (sd_event * e, sd_event_source **ret, int signo, sd_event_signal_handler_t handler, void *data),
         (e, ret, signo, handler, data))
FAULT_SD(sd_event_add_defer, (sd_event * e, sd_event_source **ret, sd_event_handler_t handler, void *data),
         (e, ret, handler, data))
FAULT_SD(sd_event_source_set_enabled, (sd_event_source * s, int on), (s, on))
FAULT_SD(sd_event_source_set_time, (sd_event_source * s, uint64_t usec), (s, usec))
FAULT_SD(sd_event_source_set_io_events, (sd_event_source * s, uint32_t events), (s, events))
FAULT_SD(sd_is_socket_unix, (int fd, int type, int listening, const char *path, size_t n), (fd, type, listening, path, n))
FAULT_SD(sd_listen_fds_with_names, (int unset, char ***ret), (unset, ret))
FAULT_SD(sd_notify, (int unset, const char *state), (unset, state))
FAULT_SD(sd_pid_notify_with_fds, (pid_t pid, int unset, const char *state, const int *fds, unsigned n),
         (pid, unset, state, fds, n))
FAULT_SD(sd_bus_open_system, (sd_bus * *ret), (ret))
FAULT_SD(sd_bus_open_user, (sd_bus * *ret), (ret))
FAULT_SD(sd_bus_process, (sd_bus * bus, sd_bus_message **ret), (bus, ret))
FAULT_SD(sd_bus_wait, (sd_bus * bus, uint64_t usec), (bus, usec))
FAULT_SD(sd_bus_get_property,
         (sd_bus * bus, const char *to, const char *path, const char *interface, const char *member, sd_bus_error *error,
          sd_bus_message **ret, const char *type),
         (bus, to, path, interface, member, error, ret, type))
FAULT_SD(sd_bus_get_property_string,
         (sd_bus * bus, const char *to, const char *path, const char *interface, const char *member, sd_bus_error *error,
          char **ret),
         (bus, to, path, interface, member, error, ret))

WRAP(int, sd_bus_message_read, (sd_bus_message * m, const char *types, ...)) {
    va_list list;
    va_start(list, types);
    void *first = va_arg(list, void *), *second = va_arg(list, void *);
    va_end(list);
    return fails(HERE) ? -errno : __real_sd_bus_message_read(m, types, first, second);
}

int __wrap_sd_notifyf(int unset, const char *format, ...) __attribute__((format(printf, 2, 3)));
WRAP(int, sd_notifyf, (int unset, const char *format, ...)) {
    char text[8192];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return fails(HERE) ? -errno : __real_sd_notify(unset, text);
}
