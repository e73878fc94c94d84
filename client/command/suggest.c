/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Did you mean ...? Finds the nearest name by edit distance, where two letters that changed places count once. It gives no advice
 * rather than a far-fetched one. */
#include "suggest.h"

#include <limits.h>
#include <string.h>

enum { LONGEST = 32 };

static unsigned smaller(unsigned a, unsigned b) {
    return a < b ? a : b;
}

static unsigned distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    unsigned d[LONGEST + 1][LONGEST + 1];
    if (n > LONGEST || m > LONGEST)
        return UINT_MAX;
    for (unsigned i = 0; i <= n; i++)
        d[i][0] = i;
    for (unsigned j = 0; j <= m; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            unsigned change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = smaller(change, smaller(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = smaller(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[n][m];
}

const char *suggest(const char *typed, const char *const *names) {
    const char *best = NULL;
    unsigned nearest = UINT_MAX;
    size_t length = strlen(typed);
    for (; *names != NULL; names++) {
        /* What was typed only in part is near, however much is missing. */
        unsigned d = length >= 3 && strncmp(typed, *names, length) == 0 ? 1 : distance(typed, *names);
        if (d < nearest) {
            nearest = d;
            best = *names;
        }
    }
    return nearest <= length / 3 + (length < 6) ? best : NULL;
}
