/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The few statistics of a benchmark. */
#include "statistics.h"

#include <stdlib.h>

double statistics_mean(const double *figures, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += figures[i];
    return sum / (double)n;
}

/* Newton's method: not worth a dependency on libm for every start of the command. */
static double square_root(double x) {
    double root = x > 1 ? x : 1;
    if (x <= 0)
        return 0;
    for (;;) {
        double next = (root + x / root) / 2;
        if (next >= root)
            return root;
        root = next;
    }
}

double statistics_deviation(const double *figures, size_t n) {
    double mean = statistics_mean(figures, n), sum = 0;
    if (n < 2)
        return 0;
    for (size_t i = 0; i < n; i++)
        sum += (figures[i] - mean) * (figures[i] - mean);
    return square_root(sum / (double)(n - 1));
}

static int compare(const void *a, const void *b) {
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

double statistics_median(double *figures, size_t n) {
    qsort(figures, n, sizeof *figures, compare);
    return n % 2 == 1 ? figures[n / 2] : (figures[n / 2 - 1] + figures[n / 2]) / 2;
}
