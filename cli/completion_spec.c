/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completions within a NIC ("veth,ip=...") and a relay's port ("tap:eth0,netns=..."): kinds, then the keys of the kind.
 * In each shell it is a function of two tables, which the library's parsers fill.  Values are left to the user.
 */
#include "completion.h"

#include <stdbool.h>
#include <stdio.h>

#include <vnic/vnic.h>

static void nic_kinds(void)
{
	for (unsigned i = 0; i < VNIC_NIC_KINDS; i++)
		printf("%s ", vnic_nic_kind_text((enum vnic_nic_kind)i));
	fputs("none", stdout);
}

/* What a VXLAN is called stands in a key. */
static void port_kinds(void)
{
	for (unsigned i = 0; i < VNIC_PORT_KINDS; i++)
		printf("%s%s:%s", i ? " " : "", vnic_port_kind_text((enum vnic_port_kind)i),
		       i == VNIC_PORT_VXLAN ? "id=" : "");
}

static void nic_keys(enum vnic_nic_kind kind)
{
	const char *key;

	for (unsigned i = 0; (key = vnic_nic_key_at(kind, i)); i++)
		printf("%s%s=", i ? " " : "", key);
}

static void port_keys(enum vnic_port_kind kind)
{
	bool takes_value;
	const char *key;

	for (unsigned i = 0; (key = vnic_port_key_at(kind, i, &takes_value)); i++)
		printf("%s%s%s", i ? " " : "", key, takes_value ? "=" : "");
}

/* A case of the shell's for each kind. */
static void each_kind(const char *before, const char *between, const char *after)
{
	for (unsigned i = 0; i < VNIC_NIC_KINDS; i++) {
		printf("%snic-%s%s", before, vnic_nic_kind_text((enum vnic_nic_kind)i), between);
		nic_keys((enum vnic_nic_kind)i);
		puts(after);
	}
	for (unsigned i = 0; i < VNIC_PORT_KINDS; i++) {
		printf("%sport-%s%s", before, vnic_port_kind_text((enum vnic_port_kind)i), between);
		port_keys((enum vnic_port_kind)i);
		puts(after);
	}
}

/* "nic-" and "port-": nothing but a kind, or its beginning, is there. */
static void all_kinds(const char *before, const char *between, const char *after)
{
	printf("%snic-%s", before, between);
	nic_kinds();
	printf("%s\n%sport-%s", after, before, between);
	port_kinds();
	puts(after);
	each_kind(before, between, after);
}

/* Readline may split at ':' and '=', and then replaces the last piece only: what stands before the key in it is kept.
 */
void completion_spec_bash(void)
{
	puts("# _vnic_spec nic|port: completes the NIC or port under the cursor\n"
	     "_vnic_spec()\n{\n"
	     "\tlocal word=${COMP_LINE:0:COMP_POINT} cur=${COMP_WORDS[COMP_CWORD]} kind= key words=\n"
	     "\tword=${word##*[[:space:]]}\n"
	     "\t[[ $word != --* ]] || word=${word#*=}\n"
	     "\t[[ $word != *,* ]] || kind=${word%%[:,]*}\n"
	     "\tkey=${word##*,}\n"
	     "\tcur=${cur##*[:=]}\n"
	     "\tcase $1-$kind in");
	all_kinds("\t'", "') words='", "' ;;");
	puts("\tesac\n"
	     "\t[[ $key != *[:=]* ]] || return\n"
	     "\tcompopt -o nospace 2>/dev/null\n"
	     "\tmapfile -t COMPREPLY < <(compgen -P \"${cur%\"$key\"}\" -W \"$words\" -- \"$key\")\n"
	     "}");
}

void completion_spec_zsh(void)
{
	puts("_vnic_spec()\n{\n"
	     "\tlocal kind=\n"
	     "\tlocal -a words\n"
	     "\t[[ $PREFIX != *,* ]] || kind=${PREFIX%%[:,]*}\n"
	     "\tcompset -P '*,'\n"
	     "\t[[ $PREFIX != *[:=]* ]] || return 1\n"
	     "\tcase $1-$kind in");
	all_kinds("\t('", "') words=(", ") ;;");
	puts("\tesac\n"
	     "\tcompadd -S '' -a words\n"
	     "}");
}

void completion_spec_fish(void)
{
	puts("function __vnic_spec\n"
	     "\tset -l word (string replace -r -- '^--[a-z]*=' '' (commandline -ct))\n"
	     "\tset -l head (string match -r -- '^.*,' $word)\n"
	     "\tstring match -qr -- '[:=][^,]*$' $word; and return\n"
	     "\tset -l kind (string replace -r -- '[:,].*' '' $head)\n"
	     "\tset -l words\n"
	     "\tswitch \"$argv[1]-$kind\"");
	all_kinds("\t\tcase '", "'\n\t\t\tset words ", "");
	puts("\tend\n"
	     "\tprintf '%s\\n' \"$head\"$words\n"
	     "end\n");
}
