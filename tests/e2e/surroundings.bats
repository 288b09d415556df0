#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What a caller has done, or lacks, before vnic starts; and what somebody does to vnic's processes while it runs.

bats_require_minimum_version 1.5.0

setup() {
	name=e2e-around-$$-$EUID-$BATS_TEST_NUMBER
}

teardown() {
	kill -CONT "${stopped-}" 2>/dev/null || true
	kill -TERM "${front-}" 2>/dev/null || true
	"$VNIC" ns del "$name" &>/dev/null || true
}

# one_line STATUS TEXT: the last `run` failed so, in one line with this in it.
one_line() {
	[[ $status -eq $1 && ${#lines[@]} -eq 1 && $output == "vnic: cannot "*"$2"* ]] || { echo "status $status: $output" && return 1; }
}

# own_state_dir: names are in a directory of the test's own from now on; root's are always in /run/vnic.
own_state_dir() {
	((EUID != 0)) || skip "root's is /run/vnic"
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR
}

# start ARGUMENTS...: a sandbox that waits, and has a NIC when this returns.
start() {
	exec 5< <(exec "$VNIC" run --ready-fd 3 "$@" -- sleep 60 3>&1)
	front=$!
	read -r -t 20 -u 5 _
}

# stop COMM: the front's child of this name.
stop() {
	for pid in $(<"/proc/$front/task/$front/children"); do
		[[ $(<"/proc/$pid/comm") != "$1" ]] || stopped=$pid
	done
	kill -STOP "$stopped"
}

# ends STATUS: the front does, within five seconds.
ends() {
	timeout 5 tail --pid="$front" -s 0.01 -f /dev/null
	local got=0
	wait "$front" || got=$?
	[[ $got -eq $1 ]] || { echo "status $got" && return 1; }
}

@test "with a umask that takes everything a name can be made, used and deleted" {
	((EUID == 0)) || own_state_dir
	(
		umask 0777
		"$VNIC" ns add "$name"
		"$VNIC" exec "$name" -- true
		[[ $("$VNIC" ns list) == *"$name"* ]]
		"$VNIC" ns del "$name"
		[[ $("$VNIC" ns list) != *"$name"* ]]
		"$VNIC" run --name "$name" -- true
	)
}

@test "names are not kept where a symbolic link leads" {
	own_state_dir
	mkdir "$BATS_TEST_TMPDIR/elsewhere"
	ln -s elsewhere "$BATS_TEST_TMPDIR/vnic"
	for command in "ns add $name" "ns list" "list" "run --name $name -- true"; do
		# shellcheck disable=SC2086 # words
		run "$VNIC" $command
		[[ $command != run* ]] || { one_line 125 "symbolic link" && continue; }
		one_line 1 "symbolic link"
	done
	[[ -z $(ls "$BATS_TEST_TMPDIR/elsewhere") ]]
}

@test "a name's file that cannot be read is told, and which" {
	own_state_dir
	mkdir -m 0700 "$BATS_TEST_TMPDIR/vnic"
	touch "$BATS_TEST_TMPDIR/vnic/$name"
	chmod 0 "$BATS_TEST_TMPDIR/vnic/$name"
	run "$VNIC" ns list --json
	one_line 3 "open $BATS_TEST_TMPDIR/vnic/$name: Permission denied"
	run "$VNIC" ns add "$name"
	one_line 3 "$BATS_TEST_TMPDIR/vnic/$name: Permission denied"
}

@test "with few descriptors a list is whole, or an error" {
	start --name "$name"
	for limit in {5..16}; do
		run bash -c 'ulimit -n "$1" && exec "$VNIC" list' _ "$limit" 3>&- 4>&- 5>&- 6>&-
		((status != 1)) || continue
		[[ $status -eq 0 && $output == *"$name"* ]] || { echo "$limit: $status: $output" && return 1; }
	done
	((status == 0))
}

@test "whoever prints on a full device fails" {
	start --name "$name"
	for command in --version --help "run --help" "ns add --help" list "list --json" "ns list" "ns list --json" "ns show $$" \
		"ns show --json $$" "tap list --json" doctor "doctor --json" "doctor --report" "ns del no$name"; do
		# shellcheck disable=SC2086 # words
		run bash -c 'exec "$VNIC" "$@" >/dev/full' _ $command
		[[ $status -ne 0 && $output == *"vnic: cannot write output: No space left on device"* ]] ||
			{ echo "$command: $status: $output" && return 1; }
	done
}

@test "ignored signals, SIGCHLD too, and a full signal mask are no hindrance" {
	python3 - "$VNIC" "$name" <<'END'
import signal, subprocess, sys

vnic, name = sys.argv[1:]
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGALRM}:
    signal.signal(number, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_DFL)

def ignoring():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())

for wanted, command in ((7, ["run", "--", "sh", "-c", "exit 7"]), (0, ["ns", "add", name]), (9, ["exec", name, "--", "sh", "-c", "exit 9"]),
                        (0, ["ns", "del", name]), (0, ["list"])):
    done = subprocess.run([vnic, *command], preexec_fn=ignoring, restore_signals=False, timeout=20)
    assert done.returncode == wanted, (command, done.returncode)
END
}

@test "in a directory that is gone everything works that needs none" {
	mkdir "$BATS_TEST_TMPDIR/gone"
	cd "$BATS_TEST_TMPDIR/gone"
	rmdir "$BATS_TEST_TMPDIR/gone"
	"$VNIC" run -- ip address show dev eth0
	"$VNIC" ns add "$name"
	"$VNIC" exec "$name" -- true
	"$VNIC" ns del "$name"
}

@test "hundreds of inherited descriptors reach the command, and no process of vnic keeps them" {
	python3 - "$VNIC" <<'END'
import os, subprocess, sys

null = os.open("/dev/null", os.O_RDONLY)
many = [os.dup(null) for _ in range(400)]
ready, told = os.pipe()
end, stay = os.pipe()
front = subprocess.Popen([sys.argv[1], "run", "--ready-fd", str(told), "--", "sh", "-c", "ls /proc/self/fd | wc -l; read x"],
                         stdin=end, stdout=subprocess.PIPE, pass_fds=[*many, told])
assert int(front.stdout.readline()) >= 400
pids = open(f"/proc/{front.pid}/task/{front.pid}/children").read().split()
assert len(pids) >= 3
for pid in pids:
    try:
        count = len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        continue  # not dumpable: the ring root looks
    assert count < 100, (open(f"/proc/{pid}/comm").read(), count)
os.close(stay)
assert front.wait(20) == 1  # the end of its input is read's 1
END
}

@test "a sandbox whose gateway is stopped ends with its command" {
	start
	stop vnic-gateway
	kill -TERM "$front"
	ends 143
}

@test "a helper that is stopped ends with a front that is killed" {
	for helper in vnic-gateway vnic-router; do
		start
		stop "$helper"
		kill -KILL "$front"
		timeout 5 tail --pid="$stopped" -s 0.01 -f /dev/null
	done
}

@test "SIGTERM ends a sandbox whose init is stopped" {
	start
	stop vnic-init
	kill -TERM "$front"
	ends 143
}

@test "a capture that is stopped goes on at the end, and its file is whole" {
	start --capture "$BATS_TEST_TMPDIR/c"
	stop vnic-capture
	kill -TERM "$front"
	ends 143
	[[ $(stat -c %s "$BATS_TEST_TMPDIR/c") -gt 100 ]]
}
