/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

/* Prints what a bug report should say about this host and this process; no addresses and no names. */
void report_print(void);

#endif
