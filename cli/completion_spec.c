/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completions within a NIC ("veth,ip=...") and a relay's port ("tap:eth0,netns=..."): kinds, then the keys of the kind,
 * then the words that a key's value may be; and the words that a rule may begin with.  In each shell it is a function
 * of the tables of the library's parsers.
 *
 * The first word of a case is what is completed: nic; guest, a NIC of a guest; port; rule.
 */
#include "completion.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <vnic/vnic.h>

/* How a shell writes a case. */
struct form {
	const char *before, *between, *after;
	const char *targets; /* instead of words: the names of what runs */
};

static void word(const char *text, const char *tail)
{
	printf("%s%s ", text, tail);
}

/* --- kinds ---------------------------------------------------------------------------- */

static void nic_kinds(const struct form *form)
{
	printf("%snic-%s", form->before, form->between);
	for (unsigned i = 0; i < VNIC_NIC_KINDS; i++)
		word(vnic_nic_kind_text((enum vnic_nic_kind)i), "");
	printf("none%s\n%sguest-%s%s%s\n", form->after, form->before, form->between, vnic_nic_kind_text(VNIC_NIC_TAP),
	       form->after);
}

/* What a VXLAN is called stands in a key. */
static void port_kinds(const struct form *form)
{
	printf("%sport-%s", form->before, form->between);
	for (unsigned i = 0; i < VNIC_PORT_KINDS; i++)
		word(vnic_port_kind_text((enum vnic_port_kind)i), i == VNIC_PORT_VXLAN ? ":id=" : ":");
	puts(form->after);
}

/* The classes that the parser takes. */
static void rule_words(const struct form *form)
{
	struct vnic_policy policy;

	vnic_policy_init(&policy);
	printf("%srule-%s", form->before, form->between);
	for (enum vnic_class class = VNIC_CLASS_INTERNET; class <= VNIC_CLASS_ANY; class ++)
		if (vnic_policy_add(&policy, true, vnic_class_text(class), NULL) == 0)
			word(vnic_class_text(class), "");
	puts(form->after);
}

/* --- keys ----------------------------------------------------------------------------- */

typedef const struct vnic_key *(*key_at_fn)(unsigned kind, unsigned index);

static const struct vnic_key *nic_key_at(unsigned kind, unsigned index)
{
	return vnic_nic_key_at((enum vnic_nic_kind)kind, index);
}

static const struct vnic_key *port_key_at(unsigned kind, unsigned index)
{
	return vnic_port_key_at((enum vnic_port_kind)kind, index);
}

static void key_word(const struct vnic_key *key)
{
	word(key->name, key->value ? "=" : "");
}

/* Of filters and weather. */
static void side_keys(void)
{
	const struct vnic_key *key;

	for (unsigned i = 0; (key = vnic_port_side_key_at(i)); i++)
		key_word(key);
}

static void keys_of(const struct form *form, const char *what, const char *kind_text, unsigned kind, key_at_fn key_at)
{
	const struct vnic_key *key;

	printf("%s%s-%s%s", form->before, what, kind_text, form->between);
	for (unsigned i = 0; (key = key_at(kind, i)); i++)
		key_word(key);
	puts(form->after);
}

/* --- values --------------------------------------------------------------------------- */

/* As completion_words; false: nothing stands for itself. */
static bool value_words(const char *value, bool print)
{
	bool any = false;

	while (*value) {
		size_t len = strcspn(value, "|"), own = 0;

		while (own < len && !isupper((unsigned char)value[own]))
			own++;
		any |= own > 0;
		if (print && own)
			printf("%.*s ", (int)own, value);
		value += len + (value[len] == '|');
	}
	return any;
}

void completion_words(const char *value)
{
	value_words(value, true);
}

static void values_of(const struct form *form, const char *what, const char *kind_text, unsigned kind, key_at_fn key_at)
{
	const struct vnic_key *key;

	for (unsigned i = 0; (key = key_at(kind, i)); i++) {
		bool target = key->value && !strcmp(key->value, "TARGET");

		if (!key->value || (!target && !value_words(key->value, false)))
			continue;
		printf("%s%s-%s-%s", form->before, what, kind_text, key->name);
		if (target) {
			puts(form->targets);
			continue;
		}
		fputs(form->between, stdout);
		value_words(key->value, true);
		puts(form->after);
	}
}

/* --- all of them ---------------------------------------------------------------------- */

static void each_kind(const struct form *form, void (*fn)(const struct form *form, const char *what,
							  const char *kind_text, unsigned kind, key_at_fn key_at))
{
	for (unsigned i = 0; i < VNIC_NIC_KINDS; i++)
		fn(form, "nic", vnic_nic_kind_text((enum vnic_nic_kind)i), i, nic_key_at);
	fn(form, "guest", vnic_nic_kind_text(VNIC_NIC_TAP), VNIC_NIC_KINDS, nic_key_at);
	for (unsigned i = 0; i < VNIC_PORT_KINDS; i++)
		fn(form, "port", vnic_port_kind_text((enum vnic_port_kind)i), i, port_key_at);
}

static void all_keys(const struct form *form)
{
	nic_kinds(form);
	port_kinds(form);
	rule_words(form);
	each_kind(form, keys_of);
}

/* --- the shells ----------------------------------------------------------------------- */

/* Readline may split at ':' and '=', and then replaces the last piece only: what stands before the word in it stays. */
void completion_spec_bash(void)
{
	static const struct form form = {"\t'", "') words='", "' ;;", NULL};
	static const struct form value = {"\t\t'", "') words='", "' ;;", "') words=$(_vnic_targets) ;;"};

	fputs("# _vnic_spec nic|guest|port|rule: completes what is under the cursor\n"
	      "_vnic_spec()\n{\n"
	      "\tlocal word=${COMP_LINE:0:COMP_POINT} cur=${COMP_WORDS[COMP_CWORD]} kind= key side= words=\n"
	      "\tlocal sides='",
	      stdout);
	side_keys();
	puts("'\n"
	     "\tword=${word##*[[:space:]]}\n"
	     "\t[[ $word != --* ]] || word=${word#*=}\n"
	     "\t[[ $word != *,* ]] || kind=${word%%[:,]*}\n"
	     "\tkey=${word##*,}\n"
	     "\tcur=${cur##*[:=]}\n"
	     "\t[[ $kind || $key != *[:=]* ]] || return\n"
	     "\tcase $1-$kind in");
	all_keys(&form);
	puts("\tesac\n"
	     "\t[[ $1 != port || ! $kind ]] || words+=\" $sides in. out.\"\n"
	     "\tif [[ $key == *=* ]]; then\n"
	     "\t\tcase $1-$kind-${key%%=*} in");
	each_kind(&value, values_of);
	puts("\t\t*) return ;;\n"
	     "\t\tesac\n"
	     "\t\tkey=${key#*=}\n"
	     "\telif [[ $1-$key == port-in.* || $1-$key == port-out.* ]]; then\n"
	     "\t\tside=${key%%.*}. key=${key#*.} words=$sides\n"
	     "\tfi\n"
	     "\tcompopt -o nospace 2>/dev/null\n"
	     "\tmapfile -t COMPREPLY < <(compgen -P \"${cur%\"$side$key\"}$side\" -W \"$words\" -- \"$key\")\n"
	     "}");
}

void completion_spec_zsh(void)
{
	static const struct form form = {"\t('", "') words=(", ") ;;", NULL};
	static const struct form value = {"\t\t('", "') words=(", ") ;;", "') _vnic_targets -S ''; return ;;"};

	fputs("_vnic_spec()\n{\n"
	      "\tlocal kind= key\n"
	      "\tlocal -a words sides\n"
	      "\tsides=(",
	      stdout);
	side_keys();
	puts(")\n"
	     "\t[[ $PREFIX != *,* ]] || kind=${PREFIX%%[:,]*}\n"
	     "\tcompset -P '*,'\n"
	     "\t[[ -n $kind || $PREFIX != *[:=]* ]] || return 1\n"
	     "\tcase $1-$kind in");
	all_keys(&form);
	puts("\tesac\n"
	     "\t[[ $1 != port || -z $kind ]] || words+=($sides in. out.)\n"
	     "\tif [[ $PREFIX == *=* ]]; then\n"
	     "\t\tkey=${PREFIX%%=*}\n"
	     "\t\tcompset -P \"$key=\"\n"
	     "\t\tcase $1-$kind-$key in");
	each_kind(&value, values_of);
	puts("\t\t(*) return 1 ;;\n"
	     "\t\tesac\n"
	     "\telif [[ $1-$PREFIX == port-(in|out).* ]]; then\n"
	     "\t\tcompset -P '*.'\n"
	     "\t\twords=($sides)\n"
	     "\tfi\n"
	     "\tcompadd -S '' -a words\n"
	     "}");
}

void completion_spec_fish(void)
{
	static const struct form form = {"\t\tcase '", "'\n\t\t\tset words ", "", NULL};
	static const struct form value = {"\t\t\tcase '", "'\n\t\t\t\tset words ", "",
					  "'\n\t\t\t\tset words (__vnic_targets)"};

	fputs("function __vnic_spec\n"
	      "\tset -l word (string replace -r -- '^--[a-z]*=' '' (commandline -ct))\n"
	      "\tset -l head (string match -r -- '^.*,' $word)\n"
	      "\tset -l kind (string replace -r -- '[:,].*' '' $head)\n"
	      "\tset -l key (string replace -r -- '^.*,' '' $word)\n"
	      "\tset -l words\n"
	      "\tset -l sides ",
	      stdout);
	side_keys();
	puts("\n"
	     "\ttest -z \"$kind\"; and string match -qr -- '[:=]' $key; and return\n"
	     "\tswitch \"$argv[1]-$kind\"");
	all_keys(&form);
	puts("\tend\n"
	     "\ttest $argv[1] = port; and test -n \"$kind\"; and set -a words $sides in. out.\n"
	     "\tset -l parts (string match -r -- '^([^=]*)=' $key)\n"
	     "\tif set -q parts[2]\n"
	     "\t\tset head \"$head$parts[1]\"\n"
	     "\t\tset words\n"
	     "\t\tswitch \"$argv[1]-$kind-$parts[2]\"");
	each_kind(&value, values_of);
	puts("\t\tend\n"
	     "\telse if test $argv[1] = port; and string match -qr -- '^(in|out)\\.' $key\n"
	     "\t\tset words (string replace -r -- '\\..*' '.' $key)$sides\n"
	     "\tend\n"
	     "\tprintf '%s\\n' \"$head\"$words\n"
	     "end\n");
}
