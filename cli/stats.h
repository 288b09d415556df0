/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_STATS_H
#define CLI_STATS_H

#include <vnic/sandbox.h>

/* To standard error; `json`: one line of it.  Where there are no figures it warns, for the command's status counts
 * more. */
void stats_print(struct vnic_sandbox *sandbox, bool json);

#endif
