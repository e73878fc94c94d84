/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* forksrv-generator: called by systemd with three folders, or by people to see what it would write. It talks to nobody, looks up
 * no user, and whatever stands in a file, it does not fail: a machine has to boot. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "plugin/flavour.h"
#include "plugin/helper.h"
#include "plugin/instance.h"
#include "plugin/output.h"
#include "plugin/sources.h"

enum { EXIT_MISUSE = 2 };

struct options {
    enum flavour flavour;
    bool dry_run;
    const char *root;
    const char *folder; /* the first of systemd's three: NULL: print */
};

static void list_folders(enum flavour flavour, const char *what) {
    struct sources *s = calloc(1, sizeof *s);
    if (s == NULL)
        return;
    flavour_folders(flavour, s);
    printf("%s:", what);
    for (unsigned i = 0; i < s->n_folders; i++)
        printf(" %s", s->folders[i]);
    putchar('\n');
    free(s);
}

static void usage(void) {
    puts("forksrv-generator --dryrun [OPTIONS]\n"
         "forksrv-generator [OPTIONS] NORMAL EARLY LATE\n\n"
         "Makes units of forksrv.instance(5) and forksrv.helper(5). systemd calls it with three folders, of which it\n"
         "writes into the first; see forksrv-generator(8).\n\n"
         "  --dryrun      print what would be written; exit code 1 if there is a mistake in a file\n"
         "  --system      instances, for the system's manager\n"
         "  --user        helpers, for the manager of the user who calls it\n"
         "  --root=DIR    DIR stands for the root folder wherever something is read\n"
         "  --version     print the version\n"
         "  --help        print this\n\n"
         "Example: forksrv-generator --dryrun --user\n\n"
         "Folders, the strongest first:");
    list_folders(FLAVOUR_SYSTEM, "instances");
    list_folders(FLAVOUR_USER, "helpers");
}

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct options *o) {
    static const struct option known[] = {
        {"dryrun", no_argument, NULL, 'd'},
        {"system", no_argument, NULL, 's'},
        {"user", no_argument, NULL, 'u'},
        {"root", required_argument, NULL, 'r'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", known, NULL)) >= 0) {
        if (c == 'd')
            o->dry_run = true;
        else if (c == 's' || c == 'u')
            o->flavour = c == 's' ? FLAVOUR_SYSTEM : FLAVOUR_USER;
        else if (c == 'r')
            o->root = optarg;
        else if (c == 'v' || c == 'h') {
            c == 'v' ? (void)puts("forksrv-generator " PACKAGE_VERSION) : usage();
            return 0;
        } else
            return EXIT_MISUSE;
    }
    int n = argc - optind;
    if (o->dry_run ? n == 0 : n == 1 || n == 3) {
        o->folder = n > 0 ? argv[optind] : NULL;
        return -1;
    }
    fprintf(stderr, "forksrv-generator: %s; see forksrv-generator --help\n",
            o->dry_run ? "with --dryrun no folder is needed" : "three folders are needed, or --dryrun");
    return EXIT_MISUSE;
}

/* 0 or -ENOMEM. */
static int make_all(const struct sources *s, enum flavour flavour, struct output *o) {
    struct found found;
    int r = sources_find(s, &found);
    if (r < 0)
        return r;
    for (size_t i = 0; i < found.count && r >= 0; i++) {
        struct declared d;
        r = sources_read(s, &found.files[i], &d);
        if (r <= 0)
            continue;
        flavour == FLAVOUR_USER ? helper_make(&d, o) : instance_make(&d, o);
        declared_done(&d);
    }
    found_done(&found);
    return r;
}

/* What the system's manager leaves us for stderr leads nowhere; that of a user's manager leads to the journal. */
static bool leads_nowhere(int fd) {
    struct stat st;
    return fstat(fd, &st) < 0 || S_ISCHR(st.st_mode);
}

static int run(const struct options *o) {
    struct report report = {.to = stderr, .to_journal = !o->dry_run && leads_nowhere(STDERR_FILENO)};
    struct output output;
    auto_fd root = -1;
    if (o->root != NULL) {
        root = open(o->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0) {
            report_mistake(&report, o->root, 0, "this folder cannot be opened: %s", strerror(errno));
            return EXIT_FAILURE;
        }
    }
    int r = output_init(&output, o->folder);
    if (r < 0) {
        report_mistake(&report, o->folder, 0, "this folder cannot be opened: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    struct sources *sources = calloc(1, sizeof *sources);
    r = -ENOMEM;
    if (sources != NULL) {
        sources->root = root;
        sources->report = &report;
        flavour_folders(o->flavour, sources);
        r = make_all(sources, o->flavour, &output);
    }
    if (r < 0)
        report_mistake(&report, "forksrv-generator", 0, "%s; not all units were made", strerror(-r));
    free(sources);
    output_done(&output);
    return report.wrong > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Otherwise a unit could be written through what is taken for stderr. */
static void open_standard(void) {
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    close_fd(fd);
}

int main(int argc, char **argv) {
    open_standard();
    struct options o = {.flavour = flavour_of(argv[0])};
    int r = parse(argc, argv, &o);
    if (r >= 0)
        return r;
    umask(022);
    /* Whoever reads what a manager's generator says may be gone: that costs no unit. */
    signal(SIGPIPE, o.dry_run ? SIG_DFL : SIG_IGN);
    r = run(&o);
    if (o.dry_run && (fflush(stdout) != 0 || ferror(stdout)))
        r = EXIT_FAILURE;
    /* For systemd a mistake in somebody's file is no failure of ours. */
    return o.dry_run ? r : EXIT_SUCCESS;
}
