/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vnic vm: a virtual machine monitor (VMM) whose NICs are taps in the router.
 *
 * Theory of operation.  A VMM that takes an open tap (QEMU's fd=, fds=) is given its number on the command line, which
 * is written before the tap exists.  So a place is reserved here for each queue: a descriptor number, occupied by an
 * eventfd that has no other use.  The numbers go into the text; the process that becomes the VMM later puts the taps at
 * these places (network/sandbox_side.c), where they stay open across execve(2).
 *
 * Rejected: writing the command line once the taps exist.  The VMM's process would have to wait for the router, and
 * text would be processed in the middle of building a sandbox.
 */
#include "sandbox.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fd.h"

#define FIRST_PLACE 3 /* after the standard streams */

static const struct cli_option options[] = {
	{"nic", 'n', "TAP", true, NULL,
	 "give the guest a NIC: tap[,key=value]...; without this option it has one tap on the gateway"},
	SANDBOX_FLOW_OPTIONS,
	{"unshare", 0, "LIST", false, NULL,
	 "put the VMM into new namespaces: user, mnt, pid, net, ipc, uts, cgroup, time, or all; without this option it "
	 "stays in the caller's"},
	SANDBOX_FRONT_OPTIONS,
	{0},
};

struct vm {
	unsigned nic_count;
	unsigned queues[VNIC_NICS];
	int *places[VNIC_NICS]; /* `queues` of them */
	bool named[VNIC_NICS];  /* the command line has its {fd} */
	struct vnic_mac macs[VNIC_NICS];
	char **argv; /* owned, as its strings */
};

static void vm_close(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nic_count; i++) {
		for (unsigned q = 0; vm->places[i] && q < vm->queues[i]; q++)
			close_fd(&vm->places[i][q]);
		free(vm->places[i]);
	}
	for (char **arg = vm->argv; arg && *arg; arg++)
		free(*arg);
	free(vm->argv);
}

/* --- places ------------------------------------------------------------------------- */

static int keep_places(struct vm *vm, struct vnic_nic *nic, struct vnic_error *err)
{
	CLEANUP_FD int any = eventfd(0, EFD_CLOEXEC);
	unsigned at = vm->nic_count, queues = nic->queues ? nic->queues : 1;
	int *places = malloc(queues * sizeof(*places));

	if (!places)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	for (unsigned q = 0; q < queues; q++)
		places[q] = -1;
	vm->queues[at] = queues;
	vm->places[at] = places;
	vm->nic_count++;
	for (unsigned q = 0; q < queues; q++)
		if ((places[q] = fcntl(any, F_DUPFD_CLOEXEC, FIRST_PLACE)) < 0)
			return vnic_fail(err, VNIC_STEP_OPEN, errno, "an eventfd", NULL);
	nic->places = places;
	return 0;
}

/* --- the command line --------------------------------------------------------------- */

enum word { WORD_NONE, WORD_FD, WORD_FDS, WORD_MAC };

/* "{fd}", "{fds}", "{mac}", or one of them with the NIC's number, as in "{fd1}".  Returns its length. */
static size_t read_word(const char *text, enum word *ret_word, unsigned *ret_nic)
{
	static const struct {
		const char *text;
		enum word word;
	} words[] = {{"{fds", WORD_FDS}, {"{fd", WORD_FD}, {"{mac", WORD_MAC}};

	*ret_word = WORD_NONE;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t length = strlen(words[i].text), digits = 0;
		unsigned nic = 0;

		if (strncmp(text, words[i].text, length) != 0)
			continue;
		for (; digits < 2 && isdigit((unsigned char)text[length]); digits++)
			nic = nic * 10 + (unsigned)(text[length++] - '0');
		if (text[length] != '}')
			continue;
		*ret_word = words[i].word;
		*ret_nic = nic;
		return length + 1;
	}
	return 0;
}

static int check_word(const struct vm *vm, const char *text, int length, enum word word, unsigned nic,
		      struct vnic_error *err)
{
	char name[16];

	snprintf(name, sizeof(name), "%.*s", length, text);
	if (nic >= vm->nic_count)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, name,
				 "there is no NIC of this number: --nic is given for %u", vm->nic_count);
	if (word == WORD_FD && vm->queues[nic] > 1)
		return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, name,
				 "this NIC has %u queues, and frames come by all of them: use {fds}", vm->queues[nic]);
	return 0;
}

static void write_word(FILE *out, const struct vm *vm, enum word word, unsigned nic)
{
	char text[VNIC_ADDR_TEXT];

	if (word == WORD_MAC)
		fputs(vnic_mac_text(&vm->macs[nic], text), out);
	else
		for (unsigned q = 0; q < vm->queues[nic]; q++)
			fprintf(out, q ? ":%d" : "%d", vm->places[nic][q]);
}

static int write_argument(FILE *out, struct vm *vm, const char *text, struct vnic_error *err)
{
	while (*text) {
		enum word word;
		unsigned nic;
		size_t length = read_word(text, &word, &nic);

		if (word == WORD_NONE) {
			fputc(*text++, out);
			continue;
		}
		int r = check_word(vm, text, (int)length, word, nic, err);
		if (r < 0)
			return r;
		write_word(out, vm, word, nic);
		vm->named[nic] |= word != WORD_MAC;
		text += length;
	}
	return 0;
}

static int fill_argument(struct vm *vm, const char *text, char **ret_argument, struct vnic_error *err)
{
	size_t size;
	FILE *out = open_memstream(ret_argument, &size);

	if (!out)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	int r = write_argument(out, vm, text, err);
	if (fclose(out) != 0 && r == 0)
		r = vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	return r;
}

static int fail_unnamed(unsigned nic, const char *vmm, struct vnic_error *err)
{
	char number[12] = "";

	if (nic)
		snprintf(number, sizeof(number), "%u", nic);
	return vnic_fail(err, VNIC_STEP_USAGE, EINVAL, vmm,
			 "nothing in its command line takes NIC %u: QEMU wants -netdev tap,id=n%s,fd={fd%s}", nic,
			 number, number);
}

static int fill_command(struct vm *vm, char **operands, int count, struct vnic_error *err)
{
	int r = 0;

	vm->argv = calloc((size_t)count + 1, sizeof(*vm->argv));
	if (!vm->argv)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	for (int i = 0; i < count && r == 0; i++)
		r = fill_argument(vm, operands[i], &vm->argv[i], err);
	for (unsigned i = 0; i < vm->nic_count && r == 0; i++)
		if (!vm->named[i])
			r = fail_unnamed(i, operands[0], err);
	return r;
}

/* --- the command -------------------------------------------------------------------- */

/* Without root they come with a user namespace, in which the VMM stays who it is: files and /dev/kvm are as before. */
static int read_namespaces(const struct cli_args *args, struct vnic_sandbox_config *config, struct vnic_error *err)
{
	const char *list = cli_value(args, "unshare");

	config->spawn.namespaces = 0;
	config->spawn.idmap = VNIC_IDMAP_SELF;
	if (!list)
		return 0;
	int r = vnic_ns_parse(list, &config->spawn.namespaces, err);
	if (r == 0 && config->rootless)
		config->spawn.namespaces |= CLONE_NEWUSER;
	return r;
}

/* The same each time: on a link of its own a guest then knows its NIC again.  A bridge has other guests. */
static int choose_mac(unsigned position, struct vnic_nic *nic, struct vnic_error *err)
{
	if (nic->to == VNIC_TO_BRIDGE)
		return vnic_mac_random(&nic->mac, err);
	nic->mac = (struct vnic_mac){{0x02, 'v', 'n', 'i', 'c', (uint8_t)(0x10 + position)}, true};
	return 0;
}

static int read_nics(struct vm *vm, struct vnic_sandbox_config *config, struct vnic_error *err)
{
	for (unsigned i = 0; i < config->nic_count; i++) {
		struct vnic_nic *nic = &config->nics[i];
		int r = nic->mac.set ? 0 : choose_mac(i, nic, err);

		if (r == 0)
			r = keep_places(vm, nic, err);
		if (r < 0)
			return r;
		vm->macs[i] = nic->mac;
		nic->dhcp = nic->to == VNIC_TO_GATEWAY && !nic->no_gw;
	}
	return 0;
}

static int run(const struct cli_args *args, struct vnic_error *err)
{
	CLEANUP(vm_close) struct vm vm = {0};
	struct vnic_sandbox_config config;
	int r;

	vnic_sandbox_defaults(!vnic_privileged(), &config);
	config.nics[0].kind = VNIC_NIC_TAP;
	config.spawn.sweep = true;
	config.spawn.privileged = true; /* the VMM is the caller's own, in the caller's place */
	r = sandbox_read(args, &config, err);
	if (r == 0)
		r = read_namespaces(args, &config, err);
	if (r == 0)
		r = read_nics(&vm, &config, err);
	if (r == 0)
		r = fill_command(&vm, args->operands, args->operand_count, err);
	config.spawn.argv = vm.argv;
	return r < 0 ? r : sandbox_run(args, &config, err);
}

const struct command cmd_vm = {
	.name = "vm",
	.operands = "[--] VMM [ARGUMENT]...",
	.summary = "run a virtual machine monitor with NICs for its guest",
	.details =
		"In the VMM's arguments {fd} becomes the descriptor of the guest's NIC, {fds} those of all its queues\n"
		"(--nic tap,queues=N) separated by colons, and {mac} its MAC address, which is the same each time.\n"
		"For further NICs they are {fd1}, {fds1}, {mac1}, and so on.\n"
		"\n"
		"  vnic vm -- qemu-system-x86_64 -netdev tap,id=n,fd={fd} -device virtio-net-pci,netdev=n,mac={mac} "
		"...\n"
		"\n"
		"The guest configures itself by DHCP and router advertisements, or is given 10.0.2.100/24, the\n"
		"gateway 10.0.2.2 and the resolver 10.0.2.3.  The VMM itself stays in the caller's namespaces.\n"
		"\n"
		"A NIC is written tap[,key=value]...: keys are ip=ADDRESS/PREFIX (of the guest, repeatable),\n"
		"gw=ADDRESS or gw=none, mac=, mtu=, queues=, and to=gateway|bridge:NAME.",
	.options = options,
	.min_operands = 1,
	.max_operands = -1,
	.own_status = true,
	.run = run,
};
