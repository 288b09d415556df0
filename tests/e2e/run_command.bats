#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# vnic run is a door: what the caller has, the command has; what the command does, the caller learns.

bats_require_minimum_version 1.5.0

load ../lib/terms

@test "the command's exit status is passed on" {
	for wanted in 0 1 7 124 125 255; do
		run "$VNIC" run -- sh -c "exit $wanted"
		is "$wanted:" "$status:$output"
	done
}

@test "a signal's death is 128 and its number" {
	for signal in HUP INT TERM KILL SEGV USR1; do
		run "$VNIC" run -- sh -c 'ulimit -c 0; kill -s "$0" $$' "$signal"
		is "$((128 + $(kill -l "$signal"))):" "$status:$output"
	done
}

@test "a command that is not there is 127, one that cannot be executed 126" {
	cd "$BATS_TEST_TMPDIR"
	run -127 "$VNIC" run -- nosuch
	is "127:vnic: cannot execute nosuch: No such file or directory" "$status:$output"
	run -127 "$VNIC" run -- ./nosuch
	run "$VNIC" run -- /tmp
	is "126:vnic: cannot execute /tmp: Permission denied" "$status:$output"
	touch plain && run "$VNIC" run -- ./plain
	is 126 "$status"
	printf '#!/nosuch/interpreter\n' >script && chmod +x script
	run "$VNIC" run -- ./script
	is "126:vnic: cannot execute ./script: Permission denied (the interpreter that it names is not there)" "$status:$output"
}

@test "PATH is searched as a shell does it" {
	mkdir -p "$BATS_TEST_TMPDIR"/{closed,plain,good}
	touch "$BATS_TEST_TMPDIR/plain/tool" # is not executable, and passed over
	printf '#!/bin/sh\necho found\n' >"$BATS_TEST_TMPDIR/good/tool" && chmod +x "$BATS_TEST_TMPDIR/good/tool"
	chmod 0 "$BATS_TEST_TMPDIR/closed"
	export PATH=$BATS_TEST_TMPDIR/closed:$BATS_TEST_TMPDIR/plain:$BATS_TEST_TMPDIR/good:$PATH
	run "$VNIC" run -- tool
	is 0:found "$status:$output"
	run -127 "$VNIC" run -- nosuch
	chmod 0755 "$BATS_TEST_TMPDIR/closed"
	cd "$BATS_TEST_TMPDIR/good"
	PATH=:/usr/bin:/bin run "$VNIC" run -- tool
	is 0:found "$status:$output"
}

@test "a script without an interpreter line runs in sh, with any number of arguments" {
	cd "$BATS_TEST_TMPDIR"
	echo 'echo $#' >script && chmod +x script
	# shellcheck disable=SC2046
	run "$VNIC" run -- ./script $(seq 100000)
	is 0:100000 "$status:$output"
}

@test "standard input and output, standard error and descriptor 5 are the caller's" {
	echo in >"$BATS_TEST_TMPDIR/in"
	"$VNIC" run -- sh -c 'cat; echo err >&2; echo five >&5' <"$BATS_TEST_TMPDIR/in" \
		>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 5>"$BATS_TEST_TMPDIR/five"
	is "in err five" "$(cd "$BATS_TEST_TMPDIR" && echo "$(cat out)" "$(cat err)" "$(cat five)")"
}

@test "the command has the caller's descriptors and no other" {
	list=(python3 -c 'import os; print(*sorted(map(int, os.listdir("/proc/self/fd"))))')
	is "$("${list[@]}" 3>&- 4>&- 9</dev/null)" "$("$VNIC" run -- "${list[@]}" 3>&- 4>&- 9</dev/null)"
}

@test "environment, directory, umask, limits and arguments are the caller's" {
	cd "$BATS_TEST_TMPDIR"
	umask 027
	show='env -0 | sort -z | grep -zv -e ^_= -e ^SHLVL= | tr "\0" "\n"; pwd; umask; ulimit -a; printf "<%s>" "$@"'
	export ODD=$'two\nlines'
	is "$(bash -c "$show" _ a "b c" "" $'d\ne')" "$("$VNIC" run -- bash -c "$show" _ a "b c" "" $'d\ne')"
}

@test "signal mask and ignored signals are the caller's" {
	python3 - "$VNIC" <<'END'
import signal, subprocess, sys
show = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]
for blocked in [], [signal.SIGUSR1, signal.SIGTERM]:
    for ignored in [], [signal.SIGHUP, signal.SIGINT]:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for s in signal.SIGHUP, signal.SIGINT:
            signal.signal(s, signal.SIG_IGN if s in ignored else signal.SIG_DFL)
        plain = subprocess.Popen(show, stdout=subprocess.PIPE, restore_signals=False).stdout.read()
        vnic = subprocess.Popen([sys.argv[1], "run", "--"] + show, stdout=subprocess.PIPE, restore_signals=False)
        inside = vnic.stdout.read()
        assert inside == plain, (blocked, ignored, plain, inside)
END
}

@test "a SIGTERM to vnic reaches the command once" {
	hears_terms_once "$VNIC" run --
}

@test "without a terminal a signal to the whole group comes once too" {
	hears_terms_once --group setsid "$VNIC" run --
}

@test "without a terminal the command's kill 0 reaches nobody outside" {
	run setsid -w bash -c '"$VNIC" run -- sh -c "kill -KILL 0"; echo "still here: $?"'
	is "0:still here: 137" "$status:${lines[-1]}"
}

@test "SIGKILL of vnic takes everything with it" {
	exec {out}< <(exec "$VNIC" run -- sh -c 'setsid sleep 1000 & echo up; exec sleep 1000')
	read -r line <&"$out" && is up "$line"
	kill -KILL $!
	run ! read -r -t 30 line <&"$out" # the end of the file: nobody has it open any more
	((status == 1))
}

@test "what the command leaves behind ends with it" {
	is up "$(timeout 30 "$VNIC" run -- sh -c 'setsid sleep 1000 & echo up')"
}

@test "orphans are reaped" {
	"$VNIC" run -- sh -c '
		for i in 1 2 3 4 5; do (true & true) & done; wait
		i=0
		while grep -qs "^State:.Z" /proc/[0-9]*/status; do
			i=$((i + 1)); test $i -lt 10000 || exit 1
		done'
}

@test "a pipe's end ends the command without a word" {
	run bash -c '"$VNIC" run -- yes | head -1; echo "${PIPESTATUS[0]}"'
	is $'y\n141' "$output"
}

@test "ready-fd tells when the command runs" {
	exec {ready}< <(exec "$VNIC" run --ready-fd 5 -- sleep 1000 5>&1)
	read -r -t 30 line <&"$ready"
	[[ $line == 1 ]]
	kill $!
}

@test "ready-fd is not the command's" {
	run bash -c '"$VNIC" run --ready-fd 5 -- sh -c "true >&5 && echo open" 5>/dev/null 2>/dev/null'
	is "2:" "$status:$output"
}

@test "the sandbox ends when the other end of exit-fd is closed" {
	exec {life}> >(exec "$VNIC" run --exit-fd 0 -- sleep 1000)
	front=$!
	exec {life}>&-
	ended=0
	wait "$front" || ended=$?
	is 137 "$ended"
}

@test "the other end of exit-fd may write" {
	exec {life}> >(exec "$VNIC" run --exit-fd 5 -- sh -c 'exit 7' 5<&0 0</dev/null)
	front=$!
	echo hello >&"$life"
	ended=0
	wait "$front" || ended=$?
	is 7 "$ended"
	exec {life}>&-
}

@test "vnic itself fails with 125" {
	run "$VNIC" run --nic macvlan,parent=nosuch0 -- true
	is 125 "$status"
}
