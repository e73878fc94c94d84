/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Standard input, output and error of the caller, any of which may be closed. A socket that became number 1 would be given to
 * workers as their output, and would be written to by stdio. */
#include "standard.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static bool missing[3];

void standard_files_init(void) {
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        missing[fd] = true;
        /* The lowest free number, which is fd: those below are open by now. */
        if (open("/dev/null", O_RDWR) != fd)
            abort();
    }
}

bool standard_file_given(int fd) {
    return fd >= 0 && fd < 3 && !missing[fd];
}
