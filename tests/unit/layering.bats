#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The dependency law of docs/ARCHITECTURE.md, as far as the include paths of cmake/rooms.cmake do not enforce it.

rooms="base netlink netns tap bridge gateway network cli"

# Lines that match, comments left out, in all rooms but those given.
lines_outside() {
	local pattern=$1 room
	shift
	for room in $rooms; do
		[[ " $* " == *" $room "* ]] || grep -nHE "$pattern" "$VNIC_TOP/$room"/*.[ch]
	done | grep -vE '^[^:]*:[0-9]*:[[:space:]]*(/?\*|//)' || true
}

nowhere_but_in() {
	local found
	found=$(lines_outside "$@")
	if [[ $found ]]; then
		echo "$found"
		return 1
	fi
}

@test "only netns/ makes and joins namespaces" {
	nowhere_but_in '\b(clone3?|unshare|setns)[[:space:]]*\(|\b(SYS|__NR)_(clone3?|unshare|setns)\b' netns
}

@test "only netlink/ opens netlink sockets" {
	nowhere_but_in '\bAF_NETLINK\b|\bNETLINK_(ROUTE|NETFILTER|GENERIC)\b|\bmnl_socket_open|\bnl_connect\b' netlink
}

@test "only tap/ opens TUN devices" {
	nowhere_but_in '(open|openat|fopen)[[:space:]]*\([^)]*/dev/(net/tun|tap)|\bTUNSET(IFF|PERSIST|OFFLOAD)\b' tap
}

@test "only cli/ prints, exits, and reads the environment" {
	# What runs in a child of our own may end with _exit.
	nowhere_but_in '[^_a-z.>](printf|puts|putchar|perror|exit|getenv|secure_getenv|getopt_long)[[:space:]]*\(' cli
	nowhere_but_in '\bfprintf[[:space:]]*\([[:space:]]*std(out|err)' cli
}

# ROOM MAY-USE...: includes no header of another room, whatever the include paths say.
uses_only() {
	local room=$1 other header found
	for other in $rooms; do
		[[ " $* " != *" $other "* ]] || continue
		for header in "$VNIC_TOP/$other"/*.h; do
			found=$(grep -nHE "#include \"([a-z]+/)?${header##*/}\"" "$VNIC_TOP/$room"/*.[ch]) || continue
			echo "$found"
			return 1
		done
	done
}

@test "no room includes what stands beside or above it" {
	uses_only base
	uses_only netlink base
	uses_only netns base
	uses_only tap base
	uses_only bridge base tap
	uses_only gateway base
	uses_only cli base
}

@test "no two rooms have a header of the same name" {
	local twice
	twice=$(cd "$VNIC_TOP" && for room in $rooms; do (cd "$room" && printf "%s\n" *.h); done | grep -v "\*" | sort | uniq -d)
	echo "$twice"
	[[ -z $twice ]]
}

@test "public headers include public headers only" {
	run grep -nH '#include "' "$VNIC_TOP"/include/vnic/*.h
	[[ -z $output ]] || { echo "$output" && return 1; }
}

@test "every source says its licence" {
	cd "$VNIC_TOP"
	for room in $rooms; do
		run grep -L 'SPDX-License-Identifier: GPL-2.0-or-later' "$room"/*.[ch]
		echo "$output"
		[[ -z $output ]]
	done
	run grep -LR --include='*.[ch]' --include='*.bats' --include='*.sh' 'SPDX-License-Identifier: GPL-2.0-or-later' \
		include tests examples fuzz bench
	echo "$output"
	[[ -z $output ]]
}

@test "every public header compiles alone" {
	for header in "$VNIC_TOP"/include/vnic/*.h; do
		echo "#include <vnic/${header##*/}>" | ${CC:-cc} -std=c11 -Wall -Wextra -Werror -I"$VNIC_TOP/include" -fsyntax-only -x c -
	done
}

@test "C++ takes the public headers" {
	compiler=$(command -v c++ clang++ | head -1)
	[[ $compiler ]] || skip "there is no compiler for C++"
	echo '#include <vnic/vnic.h>
		int main() { return vnic_step_text(VNIC_STEP_NONE) == nullptr; }' >"$BATS_TEST_TMPDIR/a.cc"
	"$compiler" -std=c++11 -Wall -Wextra -Werror -I"$VNIC_TOP/include" -S -o "$BATS_TEST_TMPDIR/a.s" "$BATS_TEST_TMPDIR/a.cc"
	grep -q '\<vnic_step_text\>' "$BATS_TEST_TMPDIR/a.s" # the name as C has it
}

# Of a shell with -e, as bats is, `! A` and all but the last of `A && B` end nothing when they are false.
@test "no line of a test fails unseen, unless it is the last" {
	local found
	found=$(awk '
		before && !/^[[:space:]]*(}|END$)/ { print before }
		{ before = "" }
		/ \|\| |&& (return|continue|break|skip|exit)|\47$/ { next }
		/^[[:space:]]*(! |\[\[.*\]\] && |\(\(.*\)\) && )|&& (\[\[[^&]*\]\]|\(\([^&]*\)\)) && / {
			before = FILENAME ":" FNR ": " $0
		}' "$VNIC_TOP"/tests/*/*.bats)
	[[ ! $found ]] || { echo "$found" && return 1; }
}
