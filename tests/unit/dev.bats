#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# ./dev before it does anything: help, and what it does not know.

dev=$BATS_TEST_DIRNAME/../../dev

@test "help lists every verb, wherever it is asked for" {
	for verb in run build test check fuzz coverage bench; do
		grep -q "^./dev $verb" <("$dev" help)
	done
	for words in "" "--help" "-h" "build --help" "test -h" "check --help" "fuzz --help" "coverage --help"; do
		# shellcheck disable=SC2086 # words
		[[ $("$dev" $words) == "$("$dev" help)" ]] || { echo "$words" && return 1; }
	done
}

@test "what is not there is told by its name" {
	for words in "frobnicate" "build moon" "test moon" "fuzz moon" "check moon" "coverage moon" "test unit moon"; do
		# shellcheck disable=SC2086 # words
		run "$dev" $words
		[[ $status -eq 2 && ${lines[-1]} == "dev: there is no "*"'"*"${words##* }'"* ]] || { echo "$words: $output" && return 1; }
	done
}
