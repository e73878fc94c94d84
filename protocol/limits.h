/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Every fixed bound of the wire, each with its reason. What an administrator may choose is in
 * forksrvd.conf(5) instead; its defaults and ranges are in daemon/config.c. */

enum {
    /* The authkey: as long as the output of SHA-256. */
    LIMIT_AUTHKEY = 32,

    /* A frame before authentication: CPython's multiprocessing reads no more than this either. */
    LIMIT_HANDSHAKE_FRAME = 256,

    /* Random bytes of our challenge: CPython's MESSAGE_LENGTH. */
    LIMIT_NONCE = 40,

    /* Fewest random bytes of a challenge that we answer: CPython's legacy length. */
    LIMIT_NONCE_MIN = 20,

    /* A frame after authentication: argv and environment of execve, at most 6 MiB for the kernel,
     * 2 MiB with the usual 8 MiB stack. The first byte of a longer one would not be 0x00. */
    LIMIT_FRAME = 4 * 1024 * 1024,

    /* fds of one sendmsg: the kernel's SCM_MAX_FD. */
    LIMIT_FDS = 253,

    /* fds that one SPAWN can map: leaves room for what CPython's fork request needs beside them. */
    LIMIT_MAPPED_FDS = 250,

    /* A worker's fd number: what every process can have with the usual RLIMIT_NOFILE. */
    LIMIT_TARGET_FD = 1023,

    /* argv and environment of one SPAWN together: leaves 1 MiB of the frame for the rest. */
    LIMIT_ARGS = 3 * 1024 * 1024,

    /* Strings of argv and environment together. Each costs the daemon 8 bytes and the kernel a little. */
    LIMIT_STRINGS = 65536,

    /* A path: PATH_MAX, with its NUL. */
    LIMIT_PATH = 4096,

    /* A worker's name. */
    LIMIT_NAME = 64,

    /* What a client calls a start of its own, so that it can ask for it again: random enough never to meet another. */
    LIMIT_JOB = 16,

    /* A text for people in FAILED and ERROR: a traceback of some depth. */
    LIMIT_TEXT = 4096,

    /* A program's path as LISTED and EVENT show it: cut, so that a full list stays small. */
    LIMIT_SHOWN_PROGRAM = 256,

    /* A zygote's name: that of its file, without ".conf". */
    LIMIT_ZYGOTE = 64,

    /* A message to a zygote in one datagram. The kernel gives a socket some 200 KiB for all that waits in it, so what
     * is longer goes into a memfd. */
    LIMIT_DATAGRAM = 32 * 1024,

    /* Resource limits: RLIM_NLIMITS is 16. */
    LIMIT_RLIMITS = 16,

    /* Attributes of one message: the table has fewer, only RECORD may repeat. */
    LIMIT_ATTRIBUTES = 4096,
};
