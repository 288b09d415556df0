/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_STALE_H
#define BASE_STALE_H

#include <sys/un.h>

/*
 * The file of a Unix socket outlives its owner where that was killed: removes it if nobody answers there any more.
 * Silent about all else, of which bind(2) will tell.  `type`: SOCK_STREAM, ...
 */
void remove_stale_socket(const struct sockaddr_un *addr, int type);

#endif
