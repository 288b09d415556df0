#!/usr/bin/env -S zsh -f
# SPDX-License-Identifier: GPL-2.0-or-later
# complete.zsh FOLDER LINE: what zsh, with the completions in FOLDER, offers for the last word of LINE, a word a line.
#
# An interactive zsh on a terminal of its own gets the line and a tab; there compadd, by which every completion offers
# its words, writes them to a file.
zmodload zsh/zpty
folder=$1 line=$2
dir=$(mktemp -d) # no trap on EXIT removes it: the inner one would run it too
: >$dir/offered

cat >$dir/setup <<END
PS1= PS2= fpath=(${(q)folder} \$fpath)
autoload -Uz compinit && compinit -D -u
compadd() {
	local -a offered
	if [[ \${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
		builtin compadd -O offered "\$@"
		(( ! \$#offered )) || print -rl -- \$offered >>$dir/offered
	fi
	builtin compadd "\$@"
}
offer() {
	_main_complete
	compstate[insert]= compstate[list]=
	print -n DONE
}
zle -C offer complete-word offer
bindkey '^I' offer
print READY
END

zpty inner zsh -f -i
zpty -w inner "source $dir/setup"
zpty -r -m inner text '*READY*'
zpty -w -n inner "$line"$'\t'
zpty -r -m inner text '*DONE*'
zpty -d inner
cat $dir/offered
rm -rf $dir
