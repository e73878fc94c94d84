/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Of n > 0 figures. */
double statistics_mean(const double *figures, size_t n);
/* Of a sample: divided by n - 1. 0 for a single figure. */
double statistics_deviation(const double *figures, size_t n);
/* Sorts the figures. */
double statistics_median(double *figures, size_t n);
