# SPDX-License-Identifier: GPL-2.0-or-later
"""One file a subject, each ending in its SUBJECT."""

# As the report has them: what is asked first comes first.
ORDER = ["tcp", "tcp_far", "streams", "mtu", "latency", "udp", "weather", "loss", "relay", "switch", "asked",
         "frames", "startup", "scale", "footprint"]
