/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A zygote in thirty lines: it has a table ready that took a while to make, and each worker looks something up in it. */
#include <forksrv-zygote.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long table[94];

static void make_table(void) {
    table[1] = 1;
    for (int i = 2; i < 94; i++)
        table[i] = table[i - 1] + table[i - 2];
}

static int work(int argc, char **argv, void *data) {
    (void)data;
    int n = argc > 1 ? atoi(argv[1]) : 0;
    if (n < 0 || n > 93)
        return 1;
    printf("%lu\n", table[n]);
    return 0;
}

int main(void) {
    struct forksrv_zygote *zygote;
    if (forksrv_zygote_new(&zygote) < 0)
        return 1;
    make_table();
    if (forksrv_zygote_ready(zygote, "fibonacci 1.0") < 0)
        return 1;
    return forksrv_zygote_run(zygote, work, NULL) < 0;
}
