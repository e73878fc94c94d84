/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serials of requests. A serial is the place of its request in one table, so that an answer finds it at once however many are
 * under way. It is used again only after the last answer to it has come. */
#include "client/session.h"

#include <assert.h>
#include <errno.h>

static int grow(struct forksrv *s) {
    uint32_t n = s->n_slots == 0 ? 16 : s->n_slots * 2;
    if (n > 1u << 24)
        return session_fail(s, -EAGAIN, "too many requests are under way on this session");
    struct slot *slots = reallocarray(s->slots, n, sizeof *slots);
    if (slots == NULL)
        return session_fail(s, -ENOMEM, "out of memory");
    for (uint32_t i = s->n_slots; i < n; i++)
        slots[i] = (struct slot){.kind = SLOT_FREE, .next_free = i + 1 < n ? i + 2 : 0};
    s->free_slot = s->n_slots + 1;
    s->slots = slots;
    s->n_slots = n;
    return 0;
}

int slot_take(struct forksrv *s, enum slot_kind kind, uint32_t *ret_serial) {
    if (s->free_slot == 0) {
        int r = grow(s);
        if (r < 0)
            return r;
    }
    uint32_t serial = s->free_slot;
    struct slot *slot = &s->slots[serial - 1];
    s->free_slot = slot->next_free;
    *slot = (struct slot){.kind = kind};
    *ret_serial = serial;
    return 0;
}

struct slot *slot_get(struct forksrv *s, uint32_t serial) {
    if (serial == 0 || serial > s->n_slots || s->slots[serial - 1].kind == SLOT_FREE)
        return NULL;
    return &s->slots[serial - 1];
}

void slot_release(struct forksrv *s, uint32_t serial) {
    assert(slot_get(s, serial) != NULL);
    s->slots[serial - 1] = (struct slot){.kind = SLOT_FREE, .next_free = s->free_slot};
    s->free_slot = serial;
}
