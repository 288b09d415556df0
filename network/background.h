/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Closing that nobody waits for; see background.c. */
#ifndef NETWORK_BACKGROUND_H
#define NETWORK_BACKGROUND_H

#include <vnic/error.h>

/* When the process ends it does not wait for these, nor for the same descriptors of its children. */
int background_close_at_end(const int *fds, unsigned count, struct vnic_error *err);
/* Closes it now.  Where that cannot be done without waiting, it waits. */
void background_close(int *fd);

#endif
