/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A frame of `forksrv top` as an object. forksrv(1) describes it. */
#include <time.h>

#include "json.h"
#include "top-process.h"
#include "top.h"

static json_t *known(int64_t figure) {
    return figure >= 0 ? json_count((uint64_t)figure) : json_null();
}

static json_t *one_decimal(double figure) {
    return figure >= 0 ? json_real((double)(uint64_t)(figure * 10 + 0.5) / 10) : json_null();
}

static json_t *zygotes(const struct top_sample *sample) {
    json_t *array = json_array();
    for (size_t i = 0; i < forksrv_zygotes_count(sample->zygotes); i++) {
        const struct forksrv_zygote_info *z = forksrv_zygotes_get(sample->zygotes, i);
        json_t *o = json_object();
        json_object_set_new(o, "name", json_text(z->name));
        json_object_set_new(o, "state", json_text(z->state));
        json_object_set_new(o, "pid", z->pid > 0 ? json_integer(z->pid) : json_null());
        json_object_set_new(o, "pss_kib", known(top_zygote_pss(sample, z)));
        json_object_set_new(o, "spares", json_count(z->spares));
        json_object_set_new(o, "workers", json_count(z->workers));
        json_object_set_new(o, "waiting", json_count(z->waiting));
        json_object_set_new(o, "forks", json_count(z->forks));
        json_array_append_new(array, o);
    }
    return array;
}

static json_t *workers(const struct top_sample *sample) {
    json_t *array = json_array();
    for (size_t i = 0; i < sample->n_rows; i++) {
        const struct top_row *row = sample->order[i];
        json_t *o = json_info(row->info);
        /* Of one that runs, this says nothing. */
        json_object_del(o, "end");
        json_object_set_new(o, "cpu_percent", one_decimal(row->cpu_percent));
        json_object_set_new(o, "cpu_usec", known(row->cpu));
        json_object_set_new(o, "pss_kib", known(row->pss));
        json_object_set_new(o, "process", row->state != 0 ? json_string(top_process_state_name(row->state)) : json_null());
        json_array_append_new(array, o);
    }
    return array;
}

json_t *top_json(const struct top_sample *sample, const char *address) {
    json_t *o = json_object();
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    json_object_set_new(o, "at_usec", json_count((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000));
    json_object_set_new(o, "address", json_text(address));
    json_object_set_new(o, "version", json_text(sample->version));
    json_object_set_new(o, "flavour", json_text(sample->flavour));
    json_object_set_new(o, "state", json_text(sample->state));
    json_object_set_new(o, "uptime_usec", json_count(sample->uptime));
    json_object_set_new(o, "sessions", json_count(sample->sessions));
    json_object_set_new(o, "live", json_count(sample->live));
    json_object_set_new(o, "live_max", json_count(sample->live_max));
    json_object_set_new(o, "started", json_count(sample->started));
    json_object_set_new(o, "started_per_second", one_decimal(sample->per_second));
    json_object_set_new(o, "failed", json_count(sample->failed));
    json_object_set_new(o, "idle_usec", known(top_idle(sample)));
    json_object_set_new(o, "zygotes", zygotes(sample));
    json_object_set_new(o, "workers", workers(sample));
    return o;
}
