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

@test "the shared library shows vnic_ symbols only" {
	library=$(echo "$VNIC_PREFIX"/lib*/libvnic.so "$VNIC_PREFIX"/lib/*/libvnic.so | tr ' ' '\n' | grep -v '\*' | head -1)
	run bash -c 'nm -D --defined-only "$0" | awk "{print \$3}" | grep -vE "^(vnic_|__(asan|tsan|ubsan|odr)|_(init|fini|edata|end|_bss_start)$)"' "$library"
	[[ -z $output ]] || { echo "$output" && return 1; }
	nm -D --defined-only "$library" | grep -q ' vnic_relay_new$'
}

@test "every function of the public headers is in the library" {
	library=$(echo "$VNIC_PREFIX"/lib*/libvnic.so "$VNIC_PREFIX"/lib/*/libvnic.so | tr ' ' '\n' | grep -v '\*' | head -1)
	cat "$VNIC_PREFIX"/include/vnic/*.h | grep -oE '^VNIC_API [^(]*\(' | grep -oE 'vnic_[a-z0-9_]+\($' | tr -d '(' | sort -u >declared
	nm -D --defined-only "$library" | awk '{print $3}' | sort -u >defined
	[[ -s declared ]]
	run comm -23 declared defined
	echo "$output"
	[[ -z $output ]]
}

@test "every command has its manual page, and the two agree" {
	command -v mandoc >/dev/null || skip "mandoc is not there"
	"$VNIC_TOP/tests/lib/check-manual" "${VNIC_PREFIX%/stage}"
	for command in vnic vnic-run vnic-exec vnic-ns vnic-tap vnic-relay vnic-list vnic-doctor; do
		[[ -s $VNIC_PREFIX/share/man/man1/$command.1 ]]
	done
	[[ -s $VNIC_PREFIX/share/man/man3/libvnic.3 ]]
}

# complete WORD...: what bash offers for the last word.
complete_words() {
	bash -c '
		source "$0"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_vnic
		printf "%s\n" "${COMPREPLY[@]}"' "$VNIC_PREFIX/share/bash-completion/completions/vnic" "$@"
}

@test "bash completes commands, options and choices" {
	[[ $(complete_words vnic "do") == doctor ]]
	[[ $(complete_words vnic ns sh) == show ]]
	[[ $(complete_words vnic run --hostn) == --hostname ]]
	[[ $(complete_words vnic run --map a) == auto ]]
	complete_words vnic run tru | grep -qx true
}

@test "the completions of zsh and fish are there and well-formed" {
	[[ -s $VNIC_PREFIX/share/zsh/site-functions/_vnic && -s $VNIC_PREFIX/share/fish/vendor_completions.d/vnic.fish ]]
	! command -v zsh >/dev/null || zsh -n "$VNIC_PREFIX/share/zsh/site-functions/_vnic"
	! command -v fish >/dev/null || fish -n "$VNIC_PREFIX/share/fish/vendor_completions.d/vnic.fish"
	grep -q "^complete -c vnic -n '__fish_seen_subcommand_from ns; and __fish_seen_subcommand_from add' -l help" \
		"$VNIC_PREFIX/share/fish/vendor_completions.d/vnic.fish"
}
