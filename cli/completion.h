/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Completions of shells, written to standard output; see completion.c. */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

void completion_bash(void);
void completion_zsh(void);
void completion_fish(void);

#endif
