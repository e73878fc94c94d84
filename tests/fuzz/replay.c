/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzz target over its corpus without libFuzzer, so that every build replays what was ever found: TAP, a line for each
 * file. A program fuzz_NAME takes $top_srcdir/tests/fuzz/corpus/NAME, or the folder that it is given. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/fuzz/fuzz.h"

static int run_file(const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    auto_file f = fopen(path, "re");
    if (f == NULL)
        return -1;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    fseek(f, 0, SEEK_SET);
    if (size < 0)
        return -1;
    auto_free uint8_t *data = malloc((size_t)size + 1);
    if (data == NULL || fread(data, 1, (size_t)size, f) != (size_t)size)
        return -1;
    return LLVMFuzzerTestOneInput(data, (size_t)size);
}

static int no_dots(const struct dirent *e) {
    return e->d_name[0] != '.';
}

int main(int argc, char *argv[]) {
    char folder[3072];
    const char *name = strrchr(argv[0], '_'), *source = getenv("top_srcdir");
    snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", source != NULL ? source : ".", name != NULL ? name + 1 : "");
    const char *where = argc > 1 ? argv[1] : folder;
    struct dirent **files;
    int n = scandir(where, &files, no_dots, alphasort), failed = 0;
    if (n <= 0) {
        printf("Bail out! no corpus in %s\n", where);
        return 1;
    }
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        int r = run_file(where, files[i]->d_name);
        printf("%s %d - %s\n", r == 0 ? "ok" : "not ok", i + 1, files[i]->d_name);
        /* A target that aborts must leave the name of its last file behind. */
        fflush(stdout);
        failed += r != 0;
        free(files[i]);
    }
    free(files);
    return failed != 0;
}
