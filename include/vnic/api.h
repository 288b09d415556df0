/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The marks that every public header uses. */
#ifndef VNIC_API_H
#define VNIC_API_H

/* Part of the shared library's contract; everything else is hidden. */
#ifdef __cplusplus
#define VNIC_API extern "C" __attribute__((visibility("default")))
#else
#define VNIC_API __attribute__((visibility("default")))
#endif

#define VNIC_PRINTF(text, first) __attribute__((format(printf, text, first)))

#endif
