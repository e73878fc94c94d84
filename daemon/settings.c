/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From lines of a file to a struct, by a table. It knows no setting; a wrong line costs itself only, and is told with file and
 * line. */
#include "daemon/settings.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "daemon/log.h"

#define SEC UINT64_C(1000000)

static void *field(void *target, const struct setting *s) {
    return (char *)target + s->offset;
}

/* ---- the struct as a whole ---- */

static void set_number(void *target, const struct setting *s, uint64_t v) {
    if (s->type == SETTING_BOOL)
        *(bool *)field(target, s) = v != 0;
    else if (s->type == SETTING_CHOICE)
        *(unsigned *)field(target, s) = (unsigned)v;
    else
        memcpy(field(target, s), &v, sizeof v);
}

void settings_defaults(const struct setting *table, size_t count, void *target) {
    for (size_t i = 0; i < count; i++) {
        const struct setting *s = &table[i];
        if (s->type == SETTING_STRING || s->type == SETTING_PATH)
            *(char **)field(target, s) = NULL;
        else if (s->type == SETTING_WORDS)
            *(struct words *)field(target, s) = (struct words){0};
        else if (s->type != SETTING_OWN)
            set_number(target, s, s->otherwise);
    }
}

void settings_done(const struct setting *table, size_t count, void *target) {
    for (size_t i = 0; i < count; i++) {
        const struct setting *s = &table[i];
        if (s->type == SETTING_STRING || s->type == SETTING_PATH) {
            char **string = field(target, s);
            free(*string);
            *string = NULL;
        } else if (s->type == SETTING_WORDS) {
            words_done(field(target, s));
        }
    }
}

/* ---- values ---- */

bool settings_parse_count(const char *text, uint64_t *ret) {
    char *end;
    errno = 0;
    if (text[0] < '0' || text[0] > '9')
        return false;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno != 0 || *end != 0)
        return false;
    *ret = v;
    return true;
}

/* "5", "5s", "1min 30s", "500ms". */
static bool parse_span(const char *text, uint64_t *ret) {
    static const struct {
        const char *name;
        uint64_t usec;
    } units[] = {{"ms", 1000}, {"us", 1},         {"min", 60 * SEC},  {"m", 60 * SEC}, {"sec", SEC},
                 {"s", SEC},   {"h", 3600 * SEC}, {"d", 86400 * SEC}, {"", SEC}};
    uint64_t sum = 0;
    do {
        char *end;
        errno = 0;
        if (text[0] < '0' || text[0] > '9')
            return false;
        unsigned long long v = strtoull(text, &end, 10);
        size_t unit = strspn(end, "abcdefghijklmnopqrstuvwxyz"), i = 0;
        while (i < sizeof units / sizeof units[0] && (strlen(units[i].name) != unit || strncmp(units[i].name, end, unit) != 0))
            i++;
        if (errno != 0 || i == sizeof units / sizeof units[0])
            return false;
        /* Too much for the number is out of every setting's range as well. */
        uint64_t part;
        if (__builtin_mul_overflow(v, units[i].usec, &part) || __builtin_add_overflow(sum, part, &sum))
            sum = UINT64_MAX;
        text = end + unit;
        text += strspn(text, " ");
    } while (*text != 0);
    *ret = sum;
    return true;
}

/* "512", "64M", "1G": in units of 1024. */
static bool parse_size(const char *text, uint64_t *ret) {
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    if (text[0] < '0' || text[0] > '9')
        return false;
    unsigned long long v = strtoull(text, &end, 10);
    const char *unit = *end != 0 ? strchr(units, *end) : NULL;
    if (errno != 0 || (*end != 0 && (unit == NULL || end[1] != 0)))
        return false;
    unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
    *ret = v << shift >> shift == v ? (uint64_t)v << shift : UINT64_MAX;
    return true;
}

static bool parse_bool(const char *text, uint64_t *ret) {
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], text) == 0) {
            *ret = i & 1;
            return true;
        }
    return false;
}

/* ---- what is not the file's fault ---- */

static unsigned unread;

unsigned settings_unread(void) {
    return unread;
}

unsigned settings_cannot_read(const char *path, int error) {
    unread += error != EACCES && error != EPERM && error != ELOOP && error != EISDIR && error != ENXIO;
    log_line(LOG_WARNING, LOG_KIND_CONFIG, NULL, "cannot read %s: %s; its settings are ignored", path, strerror(error));
    return 1;
}

void settings_no_memory(struct settings_reading *r, const char *name) {
    unread++;
    settings_complain(r, "value of", name, "finds no memory");
}

/* ---- one line ---- */

void settings_complain(struct settings_reading *r, const char *what, const char *value, const char *why) {
    r->wrong++;
    log_line(LOG_WARNING, LOG_KIND_CONFIG, NULL, "%s:%u: %s \"%s\" %s; this line is ignored", r->path, r->line, what, value, why);
}

static void no_such(struct settings_reading *r, const struct setting *s, const char *value, const char *kind) {
    char why[160];
    snprintf(why, sizeof why, "is no %s for %s=", kind, s->name);
    settings_complain(r, "value", value, why);
}

static void take_count(struct settings_reading *r, const struct setting *s, const char *value) {
    static const char *const kinds[] = {
        [SETTING_COUNT] = "number", [SETTING_SPAN] = "time span (like 30s, 5min, 500ms)", [SETTING_SIZE] = "size (like 512M)"};
    uint64_t v;
    if (s->type == SETTING_COUNT  ? !settings_parse_count(value, &v)
        : s->type == SETTING_SPAN ? !parse_span(value, &v)
                                  : !parse_size(value, &v)) {
        no_such(r, s, value, kinds[s->type]);
    } else if (v < s->least || v > s->most) {
        uint64_t unit = s->type == SETTING_SPAN ? 1000 : 1;
        char why[160];
        snprintf(why, sizeof why, "is out of range for %s= (%llu to %llu%s)", s->name, (unsigned long long)(s->least / unit),
                 (unsigned long long)(s->most / unit), s->type == SETTING_SPAN ? " ms" : "");
        settings_complain(r, "value", value, why);
    } else {
        set_number(r->target, s, v);
    }
}

static void take_bool(struct settings_reading *r, const struct setting *s, const char *value) {
    uint64_t v;
    if (parse_bool(value, &v))
        set_number(r->target, s, v);
    else
        no_such(r, s, value, "yes or no");
}

static void take_choice(struct settings_reading *r, const struct setting *s, const char *value) {
    char known[128] = "";
    for (unsigned i = 0; s->choices[i] != NULL; i++) {
        if (strcmp(s->choices[i], value) == 0) {
            set_number(r->target, s, i);
            return;
        }
        size_t n = strlen(known);
        snprintf(known + n, sizeof known - n, "%s%s", i > 0 ? ", " : "choice out of ", s->choices[i]);
    }
    no_such(r, s, value, known);
}

static void take_string(struct settings_reading *r, const struct setting *s, const char *value) {
    char **string = field(r->target, s), *copy = NULL;
    if (s->type == SETTING_PATH && value[0] != 0 && value[0] != '/') {
        no_such(r, s, value, "absolute path");
        return;
    }
    if (strlen(value) > s->most) {
        settings_complain(r, "value of", s->name, "is too long");
        return;
    }
    if (value[0] != 0 && (copy = strdup(value)) == NULL) {
        settings_no_memory(r, s->name);
        return;
    }
    free(*string);
    *string = copy;
}

static void take_words(struct settings_reading *r, const struct setting *s, const char *value) {
    struct words *list = field(r->target, s), more = {0};
    auto_free char *word = malloc(strlen(value) + 1);
    const char *rest = value;
    size_t size;
    int n;
    if (value[0] == 0)
        words_done(list);
    if (word == NULL) {
        settings_no_memory(r, s->name);
        return;
    }
    bool all = true;
    while ((n = words_next(&rest, word, &size)) > 0 && all)
        all = words_add(&more, word, size);
    if (n < 0)
        no_such(r, s, value, "list of words: a quote is not closed, and so it is none");
    else if (list->size + more.size > s->most)
        settings_complain(r, "value of", s->name, "makes the list too long");
    else
        for (const char *p = more.data; p != NULL && p < more.data + more.size; p += strlen(p) + 1)
            all &= words_add(list, p, strlen(p));
    if (!all)
        settings_no_memory(r, s->name);
    words_done(&more);
}

static void take_value(struct settings_reading *r, const struct setting *s, const char *value) {
    switch (s->type) {
    case SETTING_COUNT:
    case SETTING_SPAN:
    case SETTING_SIZE:
        take_count(r, s, value);
        return;
    case SETTING_BOOL:
        take_bool(r, s, value);
        return;
    case SETTING_CHOICE:
        take_choice(r, s, value);
        return;
    case SETTING_STRING:
    case SETTING_PATH:
        take_string(r, s, value);
        return;
    case SETTING_WORDS:
        take_words(r, s, value);
        return;
    case SETTING_OWN:
        s->own(r, r->target, value);
        return;
    }
}

static int take(void *user, const char *section, const char *name, const char *value) {
    struct settings_reading *r = user;
    bool section_known = false;
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->table[i].section, section) != 0)
            continue;
        section_known = true;
        if (strcmp(r->table[i].name, name) != 0)
            continue;
        take_value(r, &r->table[i], value);
        return 1;
    }
    if (section_known)
        settings_complain(r, "setting", name, "is not known in this section");
    else if (section[0] == 0)
        settings_complain(r, "setting", name, "stands before any [Section]");
    else
        settings_complain(r, "section", section, "is not known");
    return 1;
}

/* ---- one file ---- */

/* fgets that counts, since inih tells its handler no line numbers. inih would read a line that is too long for it as two. */
static char *next_line(char *buf, int size, void *stream) {
    struct settings_reading *r = stream;
    if (fgets(buf, size, r->file) == NULL)
        return NULL;
    r->line++;
    /* A shorter one without an end has a NUL inside, and is read up to there. */
    if (strlen(buf) == (size_t)size - 1 && buf[size - 2] != '\n' && !feof(r->file)) {
        int c;
        while ((c = getc(r->file)) != EOF && c != '\n') {
        }
        settings_complain(r, "line starting with", strtok(buf, " \t=") != NULL ? buf : "", "is too long");
        buf[0] = '\n';
        buf[1] = 0;
    }
    return buf;
}

unsigned settings_read(const struct setting *table, size_t count, void *target, const char *path, bool *ret_found) {
    auto_file file = fopen(path, "re");
    if (ret_found != NULL)
        *ret_found = file != NULL;
    if (file == NULL)
        return errno == ENOENT || errno == ENOTDIR ? 0 : settings_cannot_read(path, errno);
    struct settings_reading r = {.table = table, .count = count, .target = target, .path = path, .file = file};
    int bad = ini_parse_stream(next_line, &r, take, &r);
    if (bad < 0 || ferror(file))
        r.wrong += settings_cannot_read(path, bad < 0 ? ENOMEM : EIO);
    if (bad > 0) {
        r.line = (unsigned)bad;
        settings_complain(&r, "line", "", "is neither [Section] nor Setting=value");
    }
    return r.wrong;
}
