#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The commands that docs/migration.md tells people of other tools to write work as they stand there.

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	sed -n 's/^|[^|]*| *\(.*\) |$/\1/p' "$VNIC_TOP/docs/migration.md" | grep -o '`[^`]*vnic [^`]*`' | tr -d '`' >commands
}

# inside SCRIPT: where ports and links are nobody else's: as root beside a link eth0 and a bridge br0, as a user in a sandbox
inside() {
	if ((EUID == 0)); then
		unshare --net bash -euc "ip link set lo up; ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip link add br0 type bridge; $1"
	else
		"$VNIC" run -- bash -euc "$1"
	fi
}

@test "the document has commands, and each is one of vnic" {
	(($(wc -l <commands) > 30))
	run ! grep -vE '^(sudo )?vnic (run|vm|exec|ns|relay|tap|list)\b' commands
}

# A relay runs until it is told to end; --exit-fd wants a descriptor that somebody holds.
@test "each command works as it stands there" {
	cat >all <<'END'
vnic() { "$VNIC" "$@"; }
sudo() { "$@"; }
USER=$(id -un)
exec 3>ready
mkfifo exit
exec 4<>exit
failed=0 ran=0
relayed() {
	mkfifo -m 600 "ready-$ran"
	"$VNIC" relay --ready-fd 9 "${@:3}" 9>"ready-$ran" &
	read -r _ <"ready-$ran"
	kill $!
	wait $!
}
while IFS= read -r command; do
	[[ $command != *"vnic vm "* || -w /dev/net/tun ]] || continue
	[[ $command != "sudo "* ]] || ip link show br0 &>/dev/null || continue
	[[ $command != *"exec web "* ]] || command="vnic exec $$ -- CMD"
	words=${command//CMD/true}
	[[ $words != "vnic relay "* ]] || words="relayed $words"
	eval "$words" >out 2>&1 || { echo "FAILED ($?): $command" && cat out && failed=1; }
	ran=$((ran + 1))
done <commands
echo "$ran ran"
((failed == 0 && ran > 25))
END
	inside "source ./all"
}
