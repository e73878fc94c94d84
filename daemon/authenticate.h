/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

struct session;

/* Between accept and READY: nothing but the handshake is reachable here, and no fd is received. */

int authenticate_start(struct session *s);
void authenticate_read(struct session *s);
/* Tells the peer #FAILURE#. */
void authenticate_refuse(int fd);
/* The same, and ends it. */
void authenticate_drop(struct session *s);
