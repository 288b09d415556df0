# SPDX-License-Identifier: GPL-2.0-or-later
# For bats: what the functions of tests/lib/gateway_*.py show, each in a world of its own (tests/lib/gateway_world.py).

# shows_of SCRIPT NAME: the function of that name in tests/lib/SCRIPT.py, in a new world
shows_of() {
	local own=()
	((EUID == 0)) || own=(--user --map-current-user --keep-caps)
	# A sanitizer's search for leaks wants /proc, processes and memory: it is left to the tests that have them.
	ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 PYTHONDONTWRITEBYTECODE=1 \
		unshare --net "${own[@]}" python3 "$BATS_TEST_DIRNAME/../lib/$1.py" "$2"
}
