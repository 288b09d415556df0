/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completions within a NIC ("veth,ip=...") and a relay's port ("tap:eth0,netns=..."): kinds, then the keys of the kind,
 * then the words that a key's value may be; the words that a rule may begin with; lists of namespaces; and what a relay
 * is told with --at, which stands where ports do.  In each shell it is a function of the tables of the parsers.
 *
 * The first word of a case is what is completed: nic; guest, a NIC of a guest; port; rule; list; told.
 */
#include "completion.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <vnic/vnic.h>

#include "relay_control.h"

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

static void list_words(const struct form *form)
{
	printf("%slist-%s", form->before, form->between);
	for (unsigned i = 0; i < VNIC_NS_COUNT; i++)
		word(vnic_ns_index_text((enum vnic_ns_index)i), "");
	printf("all%s\n", form->after);
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

/* The commands of --at, and what may be the third word of each. */
static void told_words(const struct form *form)
{
	const char *text;

	printf("%stold-%s", form->before, form->between);
	for (unsigned i = 0; (text = relay_control_form(i)); i++)
		printf("%.*s ", (int)strcspn(text, " "), text);
	puts(form->after);
	for (unsigned i = 0; (text = relay_control_form(i)); i++) {
		const char *last = strrchr(text, ' ');

		if (!last)
			continue;
		printf("%stold-%.*s%s", form->before, (int)strcspn(text, " "), text, form->between);
		completion_words(last + 1);
		if (strchr(last, '='))
			side_keys();
		printf("%s%s\n", strchr(last, '=') ? "in. out." : "", form->after);
	}
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
	list_words(form);
	told_words(form);
	each_kind(form, keys_of);
}

/* --- the shells ----------------------------------------------------------------------- */

/* Readline may split at ':' and '=', and then replaces the last piece only: what stands before the word in it stays. */
void completion_spec_bash(void)
{
	static const struct form form = {"\t'", "') words='", "' ;;", NULL};
	static const struct form value = {"\t\t'", "') words='", "' ;;", "') words=$(_vnic_targets) ;;"};

	fputs("# _vnic_spec nic|guest|port|rule|list: completes what is under the cursor\n"
	      "_vnic_spec()\n{\n"
	      "\tlocal what=$1 line=${COMP_LINE:0:COMP_POINT} cur=${COMP_WORDS[COMP_CWORD]} word kind= key side= "
	      "words=\n"
	      "\tlocal told sides='",
	      stdout);
	side_keys();
	puts("'\n"
	     "\tword=${line##*[[:space:]]}\n"
	     "\t[[ $word != --* ]] || word=${word#*=}\n"
	     "\t[[ $word != *,* || $what == list ]] || kind=${word%%[:,]*}\n"
	     "\tkey=${word##*,}\n"
	     "\tcur=${cur##*[:=]}\n"
	     "\tif [[ $what == port && $line == *[[:space:]]--at[[:space:]=]* ]]; then\n"
	     "\t\tread -ra told <<<\"${line#*[[:space:]]--at[[:space:]=]}.\"\n"
	     "\t\tcase ${#told[@]} in\n"
	     "\t\t2) what=told kind= ;;\n"
	     "\t\t4) what=told kind=${told[1]} ;;\n"
	     "\t\t*) return ;;\n"
	     "\t\tesac\n"
	     "\tfi\n"
	     "\t[[ $kind || $key != *[:=]* ]] || return\n"
	     "\tcase $what-$kind in");
	all_keys(&form);
	puts("\tesac\n"
	     "\t[[ $what != port || ! $kind ]] || words+=\" $sides in. out.\"\n"
	     "\tif [[ $key == *=* ]]; then\n"
	     "\t\tcase $what-$kind-${key%%=*} in");
	each_kind(&value, values_of);
	puts("\t\t*) return ;;\n"
	     "\t\tesac\n"
	     "\t\tkey=${key#*=}\n"
	     "\telif [[ $what-$key =~ ^(port|told)-(in|out)\\. ]]; then\n"
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
	      "\tlocal what=$1 kind= key\n"
	      "\tlocal -i at=${words[(I)--at(=*|)]}\n"
	      "\tif [[ $what == port ]] && (( at )); then\n"
	      "\t\t[[ $words[at] != --at ]] || (( at++ ))\n"
	      "\t\tcase $(( CURRENT - at )) in\n"
	      "\t\t(1) what=told ;;\n"
	      "\t\t(3) what=told kind=$words[at+1] ;;\n"
	      "\t\t(*) return 1 ;;\n"
	      "\t\tesac\n"
	      "\tfi\n"
	      "\tlocal -a words sides\n"
	      "\tsides=(",
	      stdout);
	side_keys();
	puts(")\n"
	     "\t[[ $PREFIX != *,* || $what == (list|told) ]] || kind=${PREFIX%%[:,]*}\n"
	     "\tcompset -P '*,'\n"
	     "\t[[ -n $kind || $PREFIX != *[:=]* ]] || return 1\n"
	     "\tcase $what-$kind in");
	all_keys(&form);
	puts("\tesac\n"
	     "\t[[ $what != port || -z $kind ]] || words+=($sides in. out.)\n"
	     "\tif [[ $PREFIX == *=* ]]; then\n"
	     "\t\tkey=${PREFIX%%=*}\n"
	     "\t\tcompset -P \"$key=\"\n"
	     "\t\tcase $what-$kind-$key in");
	each_kind(&value, values_of);
	puts("\t\t(*) return 1 ;;\n"
	     "\t\tesac\n"
	     "\telif [[ $what-$PREFIX == (port|told)-(in|out).* ]]; then\n"
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
	      "\tset -l what $argv[1]\n"
	      "\tset -l word (string replace -r -- '^--[a-z]*=' '' (commandline -ct))\n"
	      "\tset -l head (string match -r -- '^.*,' $word)\n"
	      "\tset -l kind (string replace -r -- '[:,].*' '' $head)\n"
	      "\tset -l key (string replace -r -- '^.*,' '' $word)\n"
	      "\tset -l words\n"
	      "\ttest $what = list; and set kind\n"
	      "\tset -l told (commandline -opc)\n"
	      "\tset -l at 0\n"
	      "\tfor i in (seq (count $told))\n"
	      "\t\tswitch $told[$i]\n"
	      "\t\t\tcase --at\n"
	      "\t\t\t\tset at (math $i + 1)\n"
	      "\t\t\tcase '--at=*'\n"
	      "\t\t\t\tset at $i\n"
	      "\t\tend\n"
	      "\tend\n"
	      "\tif test $what = port; and test $at != 0\n"
	      "\t\tswitch (math (count $told) - $at)\n"
	      "\t\t\tcase 0\n"
	      "\t\t\t\tset what told\n"
	      "\t\t\tcase 2\n"
	      "\t\t\t\tset what told\n"
	      "\t\t\t\tset kind $told[(math $at + 1)]\n"
	      "\t\t\tcase '*'\n"
	      "\t\t\t\treturn\n"
	      "\t\tend\n"
	      "\tend\n"
	      "\tset -l sides ",
	      stdout);
	side_keys();
	puts("\n"
	     "\ttest -z \"$kind\"; and string match -qr -- '[:=]' $key; and return\n"
	     "\tswitch \"$what-$kind\"");
	all_keys(&form);
	puts("\tend\n"
	     "\ttest $what = port; and test -n \"$kind\"; and set -a words $sides in. out.\n"
	     "\tset -l parts (string match -r -- '^([^=]*)=' $key)\n"
	     "\tif set -q parts[2]\n"
	     "\t\tset head \"$head$parts[1]\"\n"
	     "\t\tset words\n"
	     "\t\tswitch \"$what-$kind-$parts[2]\"");
	each_kind(&value, values_of);
	puts("\t\tend\n"
	     "\telse if contains $what port told; and string match -qr -- '^(in|out)\\.' $key\n"
	     "\t\tset words (string replace -r -- '\\..*' '.' $key)$sides\n"
	     "\tend\n"
	     "\tprintf '%s\\n' \"$head\"$words\n"
	     "end\n");
}
