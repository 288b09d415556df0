#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The long forms of tests/soak/*.py, as root and as an ordinary user.  Each prints what it measured.

# as_root PROGRAM ARGUMENTS..., as_user PROGRAM ARGUMENTS...
as_root() {
	((EUID == 0)) || skip "needs root"
	run /usr/bin/python3 -B "$VNIC_TOP/tests/soak/$1" "${@:2}"
	show
}

as_user() {
	run "$VNIC_TOP/tests/lib/as-user" --tun -- /usr/bin/python3 -B "$VNIC_TOP/tests/soak/$1" "${@:2}"
	show
}

# Its TAP as comments of ours.
show() {
	printf '# %s\n' "${lines[@]}" >&3
	[[ $status -eq 0 ]]
}

@test "a thousand sandboxes of each kind leave nothing, as root" { as_root cycles.py; }
@test "a thousand sandboxes of each kind leave nothing, as a user" { as_user cycles.py; }
@test "200 random kills of each command leave nothing, as root" { as_root kill.py --random 200; }
@test "200 random kills of each command leave nothing, as a user" { as_user kill.py --random 200; }
@test "a kill at each system call leaves nothing, as root" { as_root kill.py --every 1; }
@test "a kill at each system call leaves nothing, as a user" { as_user kill.py --every 1; }
@test "each system call that fails is told in one line, as root" { as_root inject.py; }
@test "each system call that fails is told in one line, as a user" { as_user inject.py; }
