/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* forksrv-zygote-dso: the zygote of Runtime=dso. It loads the libraries of Preload= and the shared object of Module= once; a
 * worker calls forksrv_main() of that object, or of the one that its first argument names. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forksrv-zygote.h"

enum { EXIT_CANNOT_LOAD = 126, EXIT_NO_ENTRY = 127, TEXT = 1024 };

typedef int entry(int argc, char **argv);

static const char entry_name[] = "forksrv_main";

static const char *describe(const char *what, char ret_text[TEXT]) {
    snprintf(ret_text, TEXT, "%s: %s", what, dlerror());
    return ret_text;
}

static int preload(struct forksrv_zygote *z) {
    const char *name;
    char text[TEXT];
    int r = 0;
    for (size_t i = 0; r == 0 && (name = forksrv_zygote_preload(z, i)) != NULL; i++)
        /* cppcheck-suppress leakReturnValNotUsed ; it stays for good */
        if (dlopen(name, RTLD_NOW | RTLD_GLOBAL) == NULL)
            r = forksrv_zygote_trouble(z, describe("Preload=", text));
    return r;
}

/* dlsym's result is a function; C has no conversion for that. */
static entry *find_entry(void *object) {
    union {
        void *pointer;
        entry *function;
    } symbol = {.pointer = dlsym(object, entry_name)};
    return symbol.function;
}

static int load_module(struct forksrv_zygote *z, entry **ret_entry) {
    const char *module = forksrv_zygote_module(z);
    char text[TEXT];
    *ret_entry = NULL;
    if (module[0] == 0)
        return 0;
    void *object = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    *ret_entry = object != NULL ? find_entry(object) : NULL;
    return *ret_entry != NULL ? 0 : forksrv_zygote_fail(z, describe("Module=", text));
}

static int run_named(int argc, char **argv) {
    void *object = dlopen(argv[0], RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
        fprintf(stderr, "forksrv-zygote-dso: %s\n", dlerror());
        return EXIT_CANNOT_LOAD;
    }
    entry *function = find_entry(object);
    if (function != NULL)
        return function(argc, argv);
    fprintf(stderr, "forksrv-zygote-dso: %s has no function int %s(int argc, char **argv)\n", argv[0], entry_name);
    return EXIT_NO_ENTRY;
}

static int work(int argc, char **argv, void *data) {
    entry *const *function = data;
    return *function != NULL ? (*function)(argc, argv) : run_named(argc, argv);
}

int main(void) {
    struct forksrv_zygote *z;
    entry *function;
    int r = forksrv_zygote_new(&z);
    if (r < 0) {
        fprintf(stderr, "forksrv-zygote-dso: %s: forksrvd starts this program, as forksrv.zygote(5) declares it\n", strerror(-r));
        return 1;
    }
    r = preload(z);
    if (r == 0)
        r = load_module(z, &function);
    if (r == 0)
        r = forksrv_zygote_ready(z, "forksrv-zygote-dso");
    if (r < 0) {
        forksrv_zygote_free(z);
        return 1;
    }
    return forksrv_zygote_run(z, work, &function) < 0;
}
