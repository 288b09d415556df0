# SPDX-License-Identifier: GPL-2.0-or-later
# For bats: does a signal reach a command as often as it was sent?

# is WANTED GOT
is() {
	[[ $1 == "$2" ]] || { printf 'wanted: %s\ngot:    %s\n' "$1" "$2" && return 1; }
}

# hears_terms_once [--group] COMMAND...: it is started with a program that counts, and each SIGTERM to it (or its
# group) reaches that once
hears_terms_once() {
	local to='' front out line n
	[[ $1 != --group ]] || { to=- && shift; }
	exec {out}< <(exec "$@" python3 -c '
from signal import *
both = [SIGTERM, SIGUSR1]
pthread_sigmask(SIG_BLOCK, both)
print("up", flush=True)
n = 0
while sigwait(both) == SIGTERM:
    n += 1
    print(n, flush=True)
print("total", n)')
	front=$!
	read -r line <&"$out" && is up "$line"
	for n in 1 2 3; do
		kill -TERM -- "$to$front"
		read -r line <&"$out" && is "$n" "$line"
	done
	kill -USR1 -- "$to$front"
	read -r line <&"$out" && is "total 3" "$line"
}
