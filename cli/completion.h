/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Completions of shells, written to standard output; see completion.c. */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

void completion_bash(void);
void completion_zsh(void);
void completion_fish(void);

/* Of "gateway|bridge:NAME|none" what stands for itself: "gateway bridge: none ". */
void completion_words(const char *value);

/* The function in each that completes a NIC, a port or a rule; see completion_spec.c. */
void completion_spec_bash(void);
void completion_spec_zsh(void);
void completion_spec_fish(void);

#endif
