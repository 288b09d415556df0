#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What cmake --install leaves is whole: program, libraries, headers, manual pages, completions.

setup() {
	pc=$(find "$VNIC_PREFIX" -name vnic.pc)
	export PKG_CONFIG_PATH=${pc%/*}
	cat >"$BATS_TEST_TMPDIR/try.c" <<'END'
#include <stdio.h>
#include <vnic/vnic.h>
int main(void)
{
	struct vnic_addr addr;
	char text[VNIC_ADDR_TEXT];

	if (vnic_addr_parse("10.0.2.100/24", &addr, NULL) < 0)
		return 1;
	addr = vnic_addr_host(&addr, 2);
	puts(vnic_addr_text(&addr, false, text));
	struct vnic_relay *relay;
	if (vnic_relay_new(&(struct vnic_relay_config){0}, &relay, NULL) < 0)
		return 1;
	vnic_relay_free(relay);
	return 0;
}
END
	cd "$BATS_TEST_TMPDIR" || return
}

# A library that is sanitized or counted wants its run-time in the program too.
flags() {
	case $VNIC_PREFIX in
	*/asan/*) echo "-fsanitize=address,undefined" ;;
	*/tsan/*) echo "-fsanitize=thread" ;;
	*/coverage/*) echo "--coverage" ;;
	esac
}

@test "a program links to the shared library by pkg-config" {
	# shellcheck disable=SC2046 # words
	cc try.c -o try $(flags) $(pkg-config --cflags --libs vnic)
	libdir=$(pkg-config --variable=libdir vnic)
	[[ $(LD_LIBRARY_PATH=$libdir ./try) == 10.0.2.2 ]]
	LD_LIBRARY_PATH=$libdir ldd ./try | grep -q 'libvnic\.so\.0'
}

@test "a program links to the static library by pkg-config" {
	libdir=$(pkg-config --variable=libdir vnic)
	# shellcheck disable=SC2046 # words
	cc try.c -o try $(flags) $(pkg-config --cflags vnic) -L"$libdir" -l:libvnic.a \
		$(pkg-config --static --libs vnic | sed 's/-lvnic//')
	[[ $(./try) == 10.0.2.2 ]]
	run ldd ./try
	[[ $output != *libvnic* ]]
}

# What is shared between rooms (`loop_add`) would be in the way of a program's own names.
@test "the libraries show the functions of the public headers, and nothing else" {
	libdir=$(pkg-config --variable=libdir vnic)
	cat "$VNIC_PREFIX"/include/vnic/*.h | grep -oE '^VNIC_API [^(]*\(' | grep -oE 'vnic_[a-z0-9_]+\($' | tr -d '(' | sort -u >declared
	[[ -s declared ]]
	nm -D --defined-only "$libdir/libvnic.so" >shared
	nm -g --defined-only "$libdir/libvnic.a" >static
	for library in shared static; do
		awk 'NF == 3 { print $3 }' $library | grep -vE '^(__(asan|tsan|ubsan|odr)|_(init|fini|edata|end|_bss_start)$)' | sort -u >shown
		diff declared shown
	done
}

@test "every command has its manual page, and the two agree" {
	command -v mandoc >/dev/null || skip "mandoc is not there"
	"$VNIC_TOP/tests/lib/check-manual" "${VNIC_PREFIX%/stage}"
	for command in vnic vnic-run vnic-exec vnic-vm vnic-ns vnic-tap vnic-relay vnic-list vnic-doctor; do
		[[ -s $VNIC_PREFIX/share/man/man1/$command.1 ]]
	done
	[[ -s $VNIC_PREFIX/share/man/man3/libvnic.3 ]]
}

# documented PAGE: each member of the JSON on standard input is told of there.
documented() {
	local page member
	page=$(mandoc -Tascii "$VNIC_PREFIX/share/man/man1/$1.1" | col -b)
	for member in $(python3 -c '
import json, sys
def members(it):
    for inner in it.values() if isinstance(it, dict) else it if isinstance(it, list) else ():
        yield from members(inner)
    yield from it if isinstance(it, dict) else ()
print(*set(members(json.load(sys.stdin))))'); do
		grep -qwF -e "$member" <<<"$page" || { echo "$1 lacks $member" && return 1; }
	done
}

@test "every member of what is printed as JSON is in the manual" {
	command -v mandoc >/dev/null || skip "mandoc is not there"
	"$VNIC" run --stats --json -- true 2>&1 | documented vnic-run
	printf '\324\303\262\241\2\0\4\0\0\0\0\0\0\0\0\0\0\0\4\0\1\0\0\0' >empty # a capture without a frame
	"$VNIC" relay --json pcap:empty pcap:/dev/null,write | documented vnic-relay
	"$VNIC" doctor --json | documented vnic-doctor
	"$VNIC" ns show --json $$ | documented vnic-ns
}

# What a shell offers for the last word of a line, sorted, on one line: in_bash, in_zsh, in_fish LINE
in_bash() {
	bash -c '
		source "$0"
		COMP_WORDBREAKS=$'"' \\t\\n=:'"'
		COMP_LINE=$1 COMP_POINT=${#1} split=${1//=/ = }
		read -ra COMP_WORDS <<<"${split//:/ : }"
		[[ $1 != *[\ =:] ]] || COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_vnic
		printf "%s\n" "${COMPREPLY[@]}"' "$VNIC_PREFIX/share/bash-completion/completions/vnic" "$1" | one_line
}

in_zsh() {
	"$VNIC_TOP/tests/lib/complete.zsh" "$VNIC_PREFIX/share/zsh/site-functions" "$1" | one_line
}

in_fish() {
	HOME=$BATS_TEST_TMPDIR fish --no-config -c 'source $argv[1]; complete -C $argv[2]' \
		"$VNIC_PREFIX/share/fish/vendor_completions.d/vnic.fish" "$1" | cut -f1 | one_line
}

one_line() {
	sort -u | xargs
}

# offers SHELL LINE WORDS: exactly these
offers() {
	local got
	got=$("$1" "$2")
	[[ $got == "$3" ]] || { printf '%s, "%s": wanted %s\ngot %s\n' "$1" "$2" "$3" "$got" && return 1; }
}

# completes SHELL: what holds in each
completes() {
	mkdir here && cd here && touch some-file
	offers "$1" "vnic do" doctor
	offers "$1" "vnic ns " "add del list show"
	offers "$1" "vnic ns sh" show
	offers "$1" "vnic tap add --q" --queues
	offers "$1" "vnic list --" "--help --json"
	offers "$1" "vnic ns list --j" --json
	offers "$1" "vnic run --hostn" --hostname
	offers "$1" "vnic run --map a" auto
	offers "$1" "vnic run --map " "auto root self"
	offers "$1" "vnic run --nic tap --map s" self
	offers "$1" "vnic run --nic " "macvlan macvtap none tap tun veth"
	offers "$1" "vnic vm --nic " tap
	offers "$1" "vnic run --nic veth,name=" ""
	offers "$1" "vnic run --nic veth,ip=10.9.0.1/24,gw=none --hostn" --hostname
	offers "$1" "vnic run --allow " "any host internet lan"
	offers "$1" "vnic vm --deny l" lan
	offers "$1" "vnic run --allow lan --deny i" internet
	offers "$1" "vnic run --allow lan:" ""
	offers "$1" "vnic run --allow example.org:443 --hostn" --hostname
	offers "$1" "vnic run --dns " "allowed none"
	offers "$1" "vnic run --dns 192.0.2.1 --dns a" allowed
	offers "$1" "vnic relay --thr" --threads
	offers "$1" "vnic relay veth:a,ip=10.9.0.1/24 se" seqpacket:
	offers "$1" "vnic relay vx" vxlan:id=
	offers "$1" "vnic relay tap:et" ""
	# Lists of namespaces.
	offers "$1" "vnic run --unshare " "all cgroup ipc mnt net pid time user uts"
	offers "$1" "vnic vm --unshare n" net
	offers "$1" "vnic run --unshare net --share u" "user uts"
	offers "$1" "vnic run --share net --hostn" --hostname
	# What a relay is told, instead of ports.
	offers "$1" "vnic relay --at so" some-file
	offers "$1" "vnic relay --at some-file " "clear isolate link set stats"
	offers "$1" "vnic relay --at some-file li" link
	offers "$1" "vnic relay --at some-file link " ""
	offers "$1" "vnic relay --at some-file link 0 " "down up"
	offers "$1" "vnic relay --at some-file isolate 0 o" "off on"
	offers "$1" "vnic relay --at some-file clear 0 " ""
	offers "$1" "vnic relay --at some-file set 0 de" delay=
	offers "$1" "vnic relay --at some-file set 0 delay=" ""
	offers "$1" "vnic relay --at some-file link 0 up " ""
	# Nothing that is refused there.
	offers "$1" "vnic vm -n tap,n" ""
	offers "$1" "vnic run -n tun,ip=" ""
	offers "$1" "vnic run -n macvlan,ip=" ""
	# What is before the key is replaced with it where the shell counts it in.
	local list='' weather='' nic='' tap='' port='' file='' second='' side='' to='' tun='' guest='' gw='' ip='' speed='' netns=''
	case $1 in
	in_bash) list=net, weather=10ms, nic=veth, tap=tap, port=eth0, file=x, second=red, side=eth0,in. ;;
	in_fish)
		list=net, weather=delay=10ms, nic=veth, tap=tap, port=tap:eth0, file=pcap:x, second=tap:eth0,netns=red, side=tap:eth0,in.
		to=veth,to= tun=tun,to= guest=tap,to= gw=tap,ip=10.9.0.1/24,gw= ip=tap,ip= speed=pcap:x,speed= netns=tap:eth0,netns=
		;;
	esac
	offers "$1" "vnic run --share net,u" "${list}user ${list}uts"
	offers "$1" "vnic relay --at x set 0 delay=10ms,lo" "${weather}loss="
	offers "$1" "vnic run --nic veth,m" "${nic}mac= ${nic}mtu="
	offers "$1" "vnic run -n veth,na" "${nic}name="
	offers "$1" "vnic relay veth:a tap:eth0,q" "${port}queues="
	offers "$1" "vnic relay tap:eth0,netns=red,i" "${second}in. ${second}ip= ${second}isolated"
	offers "$1" "vnic relay tap:eth0,in.d" "${side}delay= ${side}duplicate="
	offers "$1" "vnic relay pcap:x,ov" "${file}overtake"
	offers "$1" "vnic vm -n tap,q" "${tap}queues="
	# Values, where they are words.
	offers "$1" "vnic run --nic veth,to=" "${to}bridge: ${to}gateway ${to}none"
	offers "$1" "vnic run -n tun,to=" "${tun}gateway ${tun}none"
	offers "$1" "vnic vm -n tap,to=" "${guest}bridge: ${guest}gateway"
	offers "$1" "vnic run -n tap,ip=10.9.0.1/24,gw=n" "${gw}none"
	offers "$1" "vnic vm -n tap,ip=d" "${ip}dhcp"
	offers "$1" "vnic relay pcap:x,speed=" "${speed}max ${speed}recorded"
	offers "$1" "vnic relay tap:eth0,in.delay=" ""
	offers "$1" "vnic run --capture so" some-file
	offers "$1" "vnic relay --contr" --control
	# The user's own command, which may be called like one of ours.
	[[ " $("$1" "vnic run tru") " == *" true "* && " $("$1" "vnic exec web tru") " == *" true "* ]]
	offers "$1" "vnic exec tru" ""
	# Names of what runs.
	export XDG_RUNTIME_DIR=$PWD/run && mkdir -p run/vnic && touch run/vnic/rosa run/vnic/rosalind "run/vnic/ros\$(touch owned)"
	offers "$1" "vnic exec rosa" "rosa rosalind"
	offers "$1" "vnic ns del rosal" rosalind
	offers "$1" "vnic ns show 1 rosa" "rosa rosalind"
	offers "$1" "vnic relay tap:eth0,netns=rosa" "${netns}rosa ${netns}rosalind"
	offers "$1" "vnic tap del ros" ""
	offers "$1" "vnic run list --js" ""
	offers "$1" "vnic run --nic ns cat so" some-file
	offers "$1" "vnic exec ns cat so" some-file
	[[ ! -e owned ]]
}

@test "bash completes commands, options and choices" {
	completes in_bash
	offers in_bash "vnic run --map=a" auto
	offers in_bash "vnic run --deny=a" any
}

@test "zsh completes commands, options and choices" {
	command -v zsh >/dev/null || skip "zsh is not there"
	completes in_zsh
	offers in_zsh "vnic run --map=a" auto
	offers in_zsh "vnic run --deny=a" any
}

@test "fish completes commands, options and choices" {
	command -v fish >/dev/null || skip "fish is not there"
	completes in_fish
	offers in_fish "vnic run --map=a" --map=auto
	offers in_fish "vnic run --deny=a" --deny=any
}
