/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

/* Prints what a report of a fault needs to say of this host and this process; no addresses and no names of theirs. */
void report_print(void);

#endif
