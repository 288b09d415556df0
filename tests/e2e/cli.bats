#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The command line as a whole: help, mistakes, exit statuses, and output that cannot leave.

bats_require_minimum_version 1.5.0

# complains STATUS LINE: the last `run` failed so, and its first line is exactly this.
complains() {
	[[ $status -eq $1 ]] || { echo "status $status instead of $1: $output" && return 1; }
	[[ ${lines[0]} == "$2" ]] || { echo "${lines[0]}" && return 1; }
}

@test "help names every command, and each command has its own" {
	run "$VNIC" --help
	[[ $status -eq 0 ]]
	for command in run exec vm ns tap relay list doctor; do
		grep -qE "^  $command +[a-z]" <<<"$output"
		"$VNIC" "$command" --help | grep -q "^usage: vnic $command "
		[[ $("$VNIC" "$command" --help) == "$("$VNIC" help "$command")" ]]
	done
}

@test "subcommands have help too" {
	for words in "ns add" "ns del" "ns list" "ns show" "tap add" "tap del" "tap list"; do
		# shellcheck disable=SC2086 # two words
		"$VNIC" $words --help | grep -q "^usage: vnic $words "
	done
}

# help_on COLUMNS COMMAND...: what it prints on a terminal of that width
help_on() {
	script -qec "stty cols $1 && '$VNIC' ${*:2} --help" /dev/null </dev/null | tr -d '\r'
}

@test "help is as wide as the terminal, up to 100 columns, and 80 wide where there is none" {
	for command in "" run exec vm "ns show" tap relay list doctor; do
		for columns in 40 66 80 100; do
			[[ $(help_on $columns "$command" | grep -vE '^(usage:|  vnic |.vnic |tap:)' | wc -L) -le $columns ]]
		done
		[[ $(help_on 200 "$command") == "$(help_on 100 "$command")" ]]
		# shellcheck disable=SC2086 # two words, or none
		[[ $(help_on 80 "$command") == "$("$VNIC" $command --help)" ]]
	done
	help_on 40 run | grep -qx "      show this help"
}

@test "the version is the one that was built" {
	run "$VNIC" --version
	[[ $("$VNIC" version) == "$output" && $("$VNIC" -V) == "$output" ]]
	[[ $output =~ ^vnic\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "without a command it says so and ends with 2" {
	run "$VNIC"
	complains 2 "vnic: cannot understand vnic: it needs a command; see 'vnic --help'"
}

@test "an unknown command gets a suggestion" {
	run "$VNIC" rnu
	complains 2 "vnic: cannot understand rnu: vnic has no such command; did you mean run?"
	run "$VNIC" ns lst
	complains 2 "vnic: cannot understand lst: vnic ns has no such command; did you mean list?"
	run "$VNIC" frobnicate
	complains 2 "vnic: cannot understand frobnicate: vnic has no such command; see 'vnic --help'"
}

@test "an unknown option gets a suggestion" {
	run "$VNIC" run --nick veth -- true
	complains 2 "vnic: cannot understand --nick: there is no such option; did you mean --nic?"
	run "$VNIC" list --jsn
	complains 2 "vnic: cannot understand --jsn: there is no such option; did you mean --json?"
	run "$VNIC" run --network none -- true
	complains 2 "vnic: cannot understand --network: there is no such option; --help shows those there are"
}

@test "a command without what it needs says what that is" {
	run "$VNIC" run
	complains 2 "vnic: cannot understand run: it needs [--] COMMAND [ARGUMENT]..."
}

@test "mistakes in a NIC are told by key and are status 2" {
	for nic in "" veht veth,ipp=1 veth,ip=10.0.0.300/24 veth,ip=10.0.0.1 veth,ip=10.0.0.1/33 veth,mtu=big \
		veth,mac=ff:ff:ff:ff:ff:ff veth,name=much-too-long-a-name veth,,mtu=1500 veth,to=nowhere; do
		run "$VNIC" run --nic "$nic" -- true
		[[ $status -eq 2 ]] || { echo "'$nic': status $status: $output" && return 1; }
		[[ ${#lines[@]} -eq 1 && $output == "vnic: cannot understand "* ]] || { echo "'$nic': $output" && return 1; }
	done
}

@test "an option that another one must go with is told by its name" {
	for option in --snaplen --capture-files --capture-size; do
		run "$VNIC" run $option 100 -- true
		complains 2 "vnic: cannot understand $option: this option needs --capture"
	done
	run "$VNIC" relay --capture-both veth:a veth:b
	complains 2 "vnic: cannot understand --capture-both: this option needs --capture"
}

@test "an IPv6 rule with a port and no brackets is told where they stand" {
	run "$VNIC" run --allow fd00::/8:53 -- true
	complains 2 "vnic: cannot understand fd00::/8:53: where a port follows brackets stand around an IPv6 address, as in [fd00::/8]:53"
}

@test "where the cause is known the second line says what to do" {
	for words in "relay link:no-such pcap:/dev/null" "relay stream:127.0.0.1:1,connect stream:@$$" \
		"relay stream:@e2e-$$ stream:$BATS_TEST_TMPDIR"; do
		# shellcheck disable=SC2086 # words
		run "$VNIC" $words
		[[ $status -eq 1 && ${lines[1]} == "  try: "* ]] || { echo "$words: $status: $output" && return 1; }
	done
}

@test "a full disk is an error" {
	for command in --help --version "list --json" "run --help" "doctor" "doctor --json"; do
		# shellcheck disable=SC2086 # one word each
		run bash -c '"$VNIC" "$@" >/dev/full' _ $command
		complains 1 "vnic: cannot write output: No space left on device"
	done
}

@test "a closed pipe ends it without a word" {
	run bash -c 'exec 3> >(exec 3>&-; true); wait $!; "$VNIC" --help >&3; echo "status $?"'
	[[ $output == "status 141" ]] || { echo "$output" && return 1; }
}

@test "where SIGPIPE is ignored a closed pipe is an error" {
	run bash -c 'trap "" PIPE; exec 3> >(exec 3>&-; true); wait $!; "$VNIC" --help >&3; echo "status $?"'
	[[ ${lines[0]} == "vnic: cannot write output: Broken pipe" && ${lines[1]} == "status 1" ]] || { echo "$output" && return 1; }
}

@test "closed standard descriptors are not taken for files" {
	run bash -c '"$VNIC" --help >&-'
	complains 1 "vnic: cannot write output: Bad file descriptor"
	run bash -c '"$VNIC" frobnicate 2>&-'
	[[ $status -eq 2 && -z $output ]]
	run bash -c '"$VNIC" --version <&-'
	[[ $status -eq 0 ]]
}

@test "with too few descriptors it says so" {
	# The first of these limits are too low for the loader of shared libraries, the last high enough.
	local failed=0
	for limit in 6 7 8 9 10 11 12 14 16 20 24 32 64; do
		run bash -c 'ulimit -n "$0"; exec "$VNIC" run -- true' $limit
		[[ $status -eq 0 ]] && continue
		[[ $status -eq 125 ]] || { echo "$limit: $status: $output" && return 1; }
		[[ $output == *"Too many "* && $output == *"ulimit -n"* ]] || { echo "$limit: $output" && return 1; }
		failed=1
	done
	((failed)) && [[ $status -eq 0 ]]
}

@test "options and words that do not go together are told" {
	local words says
	while IFS='|' read -r words says; do
		# shellcheck disable=SC2086 # words
		run "$VNIC" $words
		[[ $status -eq 2 && $output == "vnic: cannot understand "*"$says"* ]] || { echo "$words: $status: $output" && return 1; }
	done <<-'END'
		relay --capture - --json veth:a veth:b|the counters go to the standard output too
		relay --top --json veth:a veth:b|the standard output has another use
		relay --threads 2 --control x tap:a tap:b|is not watched or changed while it runs
		relay --at x --stats stats|it goes with no other option
		relay --at x|it needs a command: set, clear, link, isolate or stats
		relay --interval 1 veth:a veth:b|it needs --json
		relay veth:a|it needs PORT PORT
		exec 1 --|there is no command after --
		run --json -- true|only --stats has something to print
	END
}

@test "a state directory that others can write to is refused" {
	((EUID != 0)) || skip "root's is /run/vnic"
	mkdir -p "$BATS_TEST_TMPDIR/run/vnic"
	chmod 0777 "$BATS_TEST_TMPDIR/run/vnic"
	XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/run run "$VNIC" list
	[[ $status -eq 3 && $output == *"writable by no other"* ]] || { echo "$status: $output" && return 1; }
	mkdir "$BATS_TEST_TMPDIR/other" && : >"$BATS_TEST_TMPDIR/other/vnic"
	XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/other run "$VNIC" list
	[[ $status -eq 1 && $output == *"/other/vnic: Not a directory"* ]] || { echo "$status: $output" && return 1; }
	XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR$(printf '/%.0s' {1..256}) run "$VNIC" list
	[[ $status -eq 1 && $output == *"XDG_RUNTIME_DIR: File name too long" ]] || { echo "$status: $output" && return 1; }
}

@test "a state directory of another user is refused" {
	((EUID == 0)) || skip "needs root, who can give a directory away"
	local list='mount -t tmpfs tmpfs /run && mkdir -m 0755 /run/vnic && chown "$1" /run/vnic && exec "$0" list'
	run unshare --mount sh -c "$list" "$VNIC" 65534
	[[ $status -eq 3 && $output == *"/run/vnic: Operation not permitted"*"must belong to this user"* ]]
	unshare --mount sh -c "$list" "$VNIC" 0
}

@test "a state directory in /tmp that somebody else made first hides names and nothing else" {
	((EUID != 0)) || skip "root's is /run/vnic"
	in_such_a_place() {
		# By its descriptor, for vnic itself may be below /tmp.
		env -u XDG_RUNTIME_DIR unshare --user --map-root-user --mount -- sh -c '
			mount -t tmpfs tmpfs /tmp && mkdir -m 0777 /tmp/vnic-0 && exec /proc/self/fd/9 "$@"' _ "$@" 9<"$VNIC"
	}
	run --separate-stderr in_such_a_place list
	[[ $status -eq 0 && $stderr == "vnic: warning: names are not known: /tmp/vnic-0 "* ]]
	run --separate-stderr in_such_a_place ns list
	[[ $status -eq 0 && $stderr == "vnic: warning: names are not known: /tmp/vnic-0 "* ]]
	run --separate-stderr in_such_a_place run --name red --nic none -- true
	[[ $status -eq 125 && $stderr == *"writable by no other"* ]]
}

@test "a list with nothing in it is a header, and in JSON an empty array" {
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR
	# As root of a user namespace nobody else's names and sandboxes are seen.
	alone=(unshare --user --map-root-user --net --mount -- sh -c 'mount -t tmpfs tmpfs /run; exec "$0" "$@"' "$VNIC")
	"${alone[@]}" --version >/dev/null || skip "user namespaces are not to be had"
	for command in "list" "ns list" "tap list"; do
		# shellcheck disable=SC2086 # words
		run --separate-stderr "${alone[@]}" $command
		[[ $status -eq 0 && $output == NAME* && ${#lines[@]} -eq 1 && -z $stderr ]] || { echo "$command: $output" && return 1; }
		# shellcheck disable=SC2086 # words
		[[ $("${alone[@]}" $command --json) == "[]" ]]
	done
}

@test "JSON is JSON" {
	"$VNIC" list --json | python3 -m json.tool >/dev/null
	"$VNIC" ns list --json | python3 -m json.tool >/dev/null
	"$VNIC" doctor --json | python3 -m json.tool >/dev/null
}

@test "the doctor's report has the host's settings and the checks, and no address" {
	run "$VNIC" doctor --report
	[[ $output == "vnic "*", Linux $(uname -r) "*" CPUs, uid $UID"* && $output == *"/proc/sys/user/max_user_namespaces: "* ]]
	[[ $output == *"Max open files"* && $output == *"kernel: "* ]]
	for address in $(hostname -I); do
		[[ $output != *"$address"* ]]
	done
	run "$VNIC" doctor --report --json
	[[ $status -eq 2 ]]
}

@test "the doctor says whether vnic run works, and is right" {
	run "$VNIC" doctor --json
	verdict=$status
	[[ $(python3 -c 'import json,sys; print(json.load(sys.stdin)["works"])' <<<"$output") == $( ((verdict)) && echo False || echo True) ]]
	run "$VNIC" run -- true
	[[ $(( status != 0 )) -eq $verdict ]]
}

@test "every finding of the doctor has a state and a text, and what is missing has a remedy" {
	"$VNIC" doctor --json | python3 -c '
import json, sys
for check in json.load(sys.stdin)["checks"]:
    assert check["state"] in ("ok", "limited", "missing", "unknown"), check
    assert check["text"], check
    assert check["state"] in ("ok", "unknown") or check["name"] == "kernel" or check.get("remedy"), check
'
}
