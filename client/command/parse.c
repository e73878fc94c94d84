/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Texts of the command line turned into values: numbers, spans, sizes, limits, fd maps, signals. Pure: it asks nothing of the
 * system, prints nothing, and takes nothing that is only partly understood. */
#include "parse.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit span_units[] = {
    {"us", 1},
    {"usec", 1},
    {"ms", 1000},
    {"msec", 1000},
    {"", 1000000},
    {"s", 1000000},
    {"sec", 1000000},
    {"second", 1000000},
    {"seconds", 1000000},
    {"m", 60000000},
    {"min", 60000000},
    {"minute", 60000000},
    {"minutes", 60000000},
    {"h", 3600000000},
    {"hr", 3600000000},
    {"hour", 3600000000},
    {"hours", 3600000000},
    {"d", 86400000000},
    {"day", 86400000000},
    {"days", 86400000000},
    {"w", 604800000000},
    {"week", 604800000000},
    {"weeks", 604800000000},
    {NULL, 0},
};

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"K", 1ULL << 10},
    {"KB", 1ULL << 10},
    {"KiB", 1ULL << 10},
    {"M", 1ULL << 20},
    {"MB", 1ULL << 20},
    {"MiB", 1ULL << 20},
    {"G", 1ULL << 30},
    {"GB", 1ULL << 30},
    {"GiB", 1ULL << 30},
    {"T", 1ULL << 40},
    {"TB", 1ULL << 40},
    {"TiB", 1ULL << 40},
    {NULL, 0},
};

static const struct {
    const char *name;
    int resource;
} rlimits[] = {
    {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},       {"fsize", RLIMIT_FSIZE},       {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},       {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

const char parse_rlimit_names[] =
    "as, core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, rss, rtprio, rttime, sigpending, stack";

/* Digits at *p, which moves on. At least one is needed. */
static int take_digits(const char **p, uint64_t *ret) {
    uint64_t value = 0;
    if (!isdigit((unsigned char)**p))
        return -EINVAL;
    for (; isdigit((unsigned char)**p); (*p)++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(**p - '0'), &value))
            return -ERANGE;
    *ret = value;
    return 0;
}

/* ".25" at *p as parts of `factor`. Six digits count, which no product can carry past 64 bits; more make no difference here. */
static int take_fraction(const char **p, uint64_t factor, uint64_t *ret) {
    uint64_t part = 0, scale = 1;
    if (**p == '.') {
        (*p)++;
        if (!isdigit((unsigned char)**p))
            return -EINVAL;
        for (; isdigit((unsigned char)**p); (*p)++) {
            if (scale == 1000000)
                continue;
            part = part * 10 + (uint64_t)(**p - '0');
            scale *= 10;
        }
    }
    *ret = part * factor / scale;
    return 0;
}

static const struct unit *find_unit(const struct unit *units, const char *name, size_t length) {
    for (; units->name != NULL; units++)
        if (strlen(units->name) == length && strncasecmp(units->name, name, length) == 0)
            return units;
    return NULL;
}

/* One "1.5G" at *p, which moves on. */
static int take_quantity(const char **p, const struct unit *units, uint64_t *ret) {
    uint64_t whole, part;
    int r = take_digits(p, &whole);
    if (r < 0)
        return r;
    const char *fraction = *p;
    const char *end = fraction + strspn(fraction, ".0123456789");
    size_t length = strspn(end, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    const struct unit *unit = find_unit(units, end, length);
    if (unit == NULL)
        return -EINVAL;
    r = take_fraction(p, unit->factor, &part);
    if (r < 0)
        return r;
    if (*p != end)
        return -EINVAL;
    *p = end + length;
    if (__builtin_mul_overflow(whole, unit->factor, &whole) || __builtin_add_overflow(whole, part, ret))
        return -ERANGE;
    return 0;
}

int parse_number(const char *text, int64_t min, int64_t max, int64_t *ret_number) {
    bool negative = *text == '-';
    const char *p = text + (negative || *text == '+');
    uint64_t value;
    int r = take_digits(&p, &value);
    if (r < 0)
        return r;
    if (*p != '\0')
        return -EINVAL;
    if (value > INT64_MAX)
        return -ERANGE;
    int64_t number = negative ? -(int64_t)value : (int64_t)value;
    if (number < min || number > max)
        return -ERANGE;
    *ret_number = number;
    return 0;
}

int parse_span(const char *text, uint64_t *ret_usec) {
    uint64_t sum = 0;
    if (strcasecmp(text, "infinity") == 0) {
        *ret_usec = UINT64_MAX;
        return 0;
    }
    const char *p = text;
    do {
        uint64_t one;
        p += strspn(p, " ");
        int r = take_quantity(&p, span_units, &one);
        if (r < 0)
            return r;
        if (__builtin_add_overflow(sum, one, &sum))
            return -ERANGE;
        p += strspn(p, " ");
    } while (*p != '\0');
    if (sum == UINT64_MAX)
        return -ERANGE;
    *ret_usec = sum;
    return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes) {
    uint64_t bytes;
    if (strcasecmp(text, "infinity") == 0) {
        *ret_bytes = UINT64_MAX;
        return 0;
    }
    int r = take_quantity(&text, size_units, &bytes);
    if (r < 0)
        return r;
    if (*text != '\0')
        return -EINVAL;
    *ret_bytes = bytes;
    return 0;
}

static int find_rlimit(const char *name, size_t length, int *ret_resource) {
    if (length > 7 && strncasecmp(name, "RLIMIT_", 7) == 0) {
        name += 7;
        length -= 7;
    }
    for (size_t i = 0; i < sizeof rlimits / sizeof rlimits[0]; i++)
        if (strlen(rlimits[i].name) == length && strncasecmp(rlimits[i].name, name, length) == 0) {
            *ret_resource = rlimits[i].resource;
            return 0;
        }
    return -EINVAL;
}

int parse_rlimit(const char *text, int *ret_resource, uint64_t *ret_soft, uint64_t *ret_hard) {
    char soft_text[64];
    uint64_t soft, hard;
    int resource;
    const char *equals = strchr(text, '=');
    if (equals == NULL || find_rlimit(text, (size_t)(equals - text), &resource) < 0)
        return -EINVAL;
    const char *colon = strchr(equals, ':');
    size_t length = colon != NULL ? (size_t)(colon - equals - 1) : strlen(equals + 1);
    if (length >= sizeof soft_text)
        return -EINVAL;
    memcpy(soft_text, equals + 1, length);
    soft_text[length] = '\0';
    int r = parse_size(soft_text, &soft);
    if (r < 0)
        return r;
    hard = soft;
    if (colon != NULL) {
        r = parse_size(colon + 1, &hard);
        if (r < 0)
            return r;
    }
    if (soft > hard)
        return -ERANGE;
    *ret_resource = resource;
    *ret_soft = soft;
    *ret_hard = hard;
    return 0;
}

int parse_fd_map(const char *text, int *ret_target, int *ret_fd) {
    uint64_t target, fd;
    const char *p = text;
    int r = take_digits(&p, &target);
    if (r < 0)
        return r;
    fd = target;
    if (*p == '=') {
        p++;
        r = take_digits(&p, &fd);
        if (r < 0)
            return r;
    }
    if (*p != '\0')
        return -EINVAL;
    if (target > INT32_MAX || fd > INT32_MAX)
        return -ERANGE;
    *ret_target = (int)target;
    *ret_fd = (int)fd;
    return 0;
}

int parse_umask(const char *text, unsigned *ret_mask) {
    unsigned mask = 0;
    if (*text == '\0')
        return -EINVAL;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '7')
            return -EINVAL;
        mask = mask * 8 + (unsigned)(*text - '0');
        if (mask > 0777)
            return -ERANGE;
    }
    *ret_mask = mask;
    return 0;
}

static int parse_realtime(const char *name, int *ret_signo) {
    int64_t offset = 0;
    bool from_min = strncasecmp(name, "RTMIN", 5) == 0;
    if (!from_min && strncasecmp(name, "RTMAX", 5) != 0)
        return -EINVAL;
    if (name[5] != '\0' && (name[5] != (from_min ? '+' : '-') || parse_number(name + 6, 0, 63, &offset) < 0))
        return -EINVAL;
    int signo = from_min ? SIGRTMIN + (int)offset : SIGRTMAX - (int)offset;
    if (signo < SIGRTMIN || signo > SIGRTMAX)
        return -ERANGE;
    *ret_signo = signo;
    return 0;
}

int parse_signal(const char *text, int *ret_signo) {
    int64_t number;
    if (isdigit((unsigned char)*text)) {
        int r = parse_number(text, 1, SIGRTMAX, &number);
        if (r == 0)
            *ret_signo = (int)number;
        return r;
    }
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (int signo = 1; signo < SIGRTMIN; signo++) {
        const char *name = sigabbrev_np(signo);
        if (name != NULL && strcasecmp(name, text) == 0) {
            *ret_signo = signo;
            return 0;
        }
    }
    return parse_realtime(text, ret_signo);
}

bool parse_worker_id(const char *text, uint64_t *ret_id) {
    uint64_t id;
    const char *p = text;
    if (take_digits(&p, &id) < 0 || *p != '\0' || id == 0)
        return false;
    *ret_id = id;
    return true;
}
