/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Fixed bounds inside the daemon, each with its reason. What an administrator may choose is in config.h. */

enum {
    /* One read of a session: some hundred small requests, or a piece of a large one. */
    SESSION_READ = 64 * 1024,
    /* Requests of one session that are handled before others have their turn. */
    SESSION_BATCH = 16,
    /* Memory that a session keeps once its buffers are empty. */
    SESSION_KEEP = 16 * 1024,
    /* Answers waiting for a peer that does not read: from here on its requests are not read either, */
    SESSION_OUT_HIGH = 256 * 1024,
    /* ... until the queue is down to this. */
    SESSION_OUT_LOW = 64 * 1024,
    /* fds waiting for such a peer: as with SESSION_OUT_HIGH. */
    SESSION_OUT_FDS = 512,
    /* Events of WATCH are dropped (and counted) beyond this: a slow watcher is no reason to keep memory. */
    SESSION_OUT_WATCH = 128 * 1024,
    /* No queue ever grows beyond this: every worker of a full session ends while a full list waits. */
    SESSION_OUT_MAX = 16 * 1024 * 1024,
    /* Unanswered WAITs of one session: their answers, all at once, are far from SESSION_OUT_MAX. */
    SESSION_WAITS = 8192,
    /* A session that is over, and whose peer does not take its last answers. */
    SESSION_LINGER_SEC = 5,
    /* A sendmsg that carries fds has at most this much: the kernel takes it whole or not at all. */
    SESSION_FD_CHUNK = 16 * 1024,

    /* Connections taken from the listener before others have their turn. */
    ACCEPT_BATCH = 16,
    /* Handshakes that may fail at once, and for each second, before the listener has to wait: a flood costs the daemon a
     * tenth of a core at most, and those who wait behind it in a full backlog (4096) about a second. */
    FAILURE_BURST = 1000,
    FAILURE_RATE = 4000,
    FAILURE_PAUSE_USEC = 5000,

    /* Dispatches of events after which answers are sent even while more events wait. */
    FLUSH_AFTER = 64,

    /* Stack of a child between clone and exec. It only makes system calls. */
    START_STACK = 16 * 1024,
    /* Requests that waited for a slot and are started before others have their turn. */
    SLOT_BATCH = 16,
    /* If a look at so many others has started none of them, the next one is not for so long: what each end of a worker costs
     * must not grow with the queue. */
    SLOT_SCAN = 256,
    SLOT_SCAN_USEC = 10 * 1000,
    /* How soon one is tried again that waits for the next two: nobody tells when there is room. */
    SLOT_RETRY_USEC = 50 * 1000,
    /* Children between clone and exec at the same time. One can hang there for as long as a file system does. */
    START_SLOTS = 512,
    /* Of these, for workers that wait at a gate, which their clients may never open. */
    GATES = 256,
    GATES_OF_SESSION = 64,

    /* Log messages of one kind in LOG_INTERVAL_SEC; the rest is counted and told in one line. */
    LOG_BURST = 20,
    LOG_INTERVAL_SEC = 10,

    /* Workers that the table can hold which outlives the daemon; of what is never used nothing is kept in memory. Those beyond it
     * run as all others do, but no daemon after this one knows them. */
    TABLE_RECORDS = 128 * 1024,
    /* pidfds under way in the depot: the youngest workers', of which most are done soon, */
    DEPOT_KEEP = 192,
    /* ... and those started since they were last looked through. Together far from the 1024 that other programs of the same user
     * may have under way with usual limits. */
    DEPOT_SINGLES = 128,
    /* Room for them. */
    DEPOT_BUFFER = 512 * 1024,
    /* Older workers' pidfds go to the service manager's store, which takes its time for each: so many at a time, */
    STORE_AFTER_USEC = 1000 * 1000,
    STORE_BATCH = 64,
    STORE_EVERY_USEC = 250 * 1000,

    /* The event loop is entered again after it failed, so often and after such a pause. */
    LOOP_TRIES = 1000,
    LOOP_PAUSE_MSEC = 10,

    /* STATUS= for systemctl at most this often. */
    STATUS_INTERVAL_SEC = 1,
    /* At the stop: for peers to take their last answers. */
    STOP_FLUSH_SEC = 1,
    /* Removing a cgroup is tried again after this, while its last processes are being killed. */
    CGROUP_RETRY_USEC = 50 * 1000,
    /* ... this often at most: a minute. */
    CGROUP_TRIES = 1200,
    /* A zygote's, in which something may live on for as long as it likes: a second, and then only beside others. */
    CGROUP_ZYGOTE_TRIES = 20,

    /* Requests that one zygote has at the same time, sent and not forked yet. The others wait here, where they can be taken back.
     */
    ZYGOTE_IN_FLIGHT = 64,
    /* A zygote that has not forked a request by then hangs. A fork of many gigabytes takes a second. */
    ZYGOTE_FORK_SEC = 30,
    /* ... and after a child was killed that may have had it. */
    ZYGOTE_DOUBT_USEC = 1000 * 1000,

    /* Processes that were ended for a hand-over and whose ends their zygotes have yet to tell: as many as are under way at a
       time. */
    HANDOVER_MIDDLES = 16,
    /* For the end of one, which has nothing to do but that. */
    HANDOVER_USEC = 5 * 1000 * 1000,
    /* How often workers of zygotes are looked at, in case their end was not told. */
    ZYGOTE_AUDIT_SEC = 5,
    /* One that closed its socket, which it does when it ends, too. */
    ZYGOTE_MUTE_USEC = 200 * 1000,
    /* One that was told to leave, or whose process is gone while requests are under way to its children. */
    ZYGOTE_LEAVE_SEC = 2,
    /* After a crash: at once the first time, then this, doubled each time. One that never got ready waits from the first time on.
     */
    ZYGOTE_AGAIN_USEC = 500 * 1000,
    ZYGOTE_AGAIN_MAX_SEC = 30,
    /* One that was ready for so long begins anew with that. */
    ZYGOTE_HEALTHY_SEC = 10,
    /* What a zygote has printed last, for the error that its client sees. */
    ZYGOTE_OUTPUT_TAIL = 2048,
    /* One read of it, and the longest line in the log. */
    ZYGOTE_OUTPUT_LINE = 480,
};
