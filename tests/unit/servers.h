/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "tests/unit/fake.h"

/* Scripts for fake_start. */

fake_script answer_hello;     /* every HELLO, until the client goes */
fake_script wait_for_the_end; /* the client goes without a word */

/* For fake_start_raw: none of them has the key. */
fake_script says_failure, says_http, says_md5, says_nothing, goes, says_too_much;
fake_script welcomes_blindly; /* as a server would that lets everybody in */
