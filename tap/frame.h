/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TAP_FRAME_H
#define TAP_FRAME_H

/* What a device's errno means for a network device: see vnic_frame_read.  Negative. */
int frame_error(int error);

#endif
