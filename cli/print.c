/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the program gives back: output, errors with their remedies, exit statuses. */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void cli_make_plain(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++)
		if (iscntrl(*p) || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)) /* UTF-8 has 32 more */
			*p = '?';
}

const char *cli_remedy(const struct vnic_error *err, char *buf, size_t size)
{
	static const char placeholder[] = "USER";
	const char *remedy = vnic_error_remedy(err), *user = remedy ? strstr(remedy, placeholder) : NULL;
	const struct passwd *caller = user ? getpwuid(getuid()) : NULL;

	if (!caller)
		return remedy;
	snprintf(buf, size, "%.*s%s%s", (int)(user - remedy), remedy, caller->pw_name, user + strlen(placeholder));
	return buf;
}

void cli_print_error(const struct vnic_error *err)
{
	char text[512], room[CLI_REMEDY];
	const char *remedy = cli_remedy(err, room, sizeof(room));

	vnic_error_text(err, text, sizeof(text));
	cli_make_plain(text);
	fprintf(stderr, "vnic: %s\n", text);
	if (remedy)
		fprintf(stderr, "  try: %s\n", remedy);
}

void cli_warn(const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	cli_make_plain(text);
	fprintf(stderr, "vnic: warning: %s\n", text);
}

const char *cli_plain(const char *text, char *buf, size_t size)
{
	size_t len = 0;

	for (; text[len] && len + 1 < size; len++)
		buf[len] = text[len] >= ' ' && text[len] <= '~' ? text[len] : '?';
	buf[len] = '\0';
	return buf;
}

json_t *cli_json_text(const char *text)
{
	json_t *json = json_string(text);
	char plain[256];

	return json ? json : json_string(cli_plain(text, plain, sizeof(plain)));
}

static int print_json(json_t *json, size_t form, struct vnic_error *err)
{
	int r = json ? json_dumpf(json, stdout, form) : 0;

	json_decref(json);
	if (!json)
		return vnic_fail(err, VNIC_STEP_MEMORY, ENOMEM, NULL, NULL);
	if (r < 0 || putchar('\n') == EOF)
		return vnic_fail(err, VNIC_STEP_OUTPUT, errno ? errno : EIO, NULL, NULL);
	return 0;
}

int cli_print_json(json_t *json, struct vnic_error *err)
{
	return print_json(json, JSON_INDENT(2), err);
}

int cli_print_json_line(json_t *json, struct vnic_error *err)
{
	return print_json(json, JSON_COMPACT, err);
}

/*
 * SIGPIPE is left as the caller has it: by default `vnic list | true` ends by the signal without a word, as
 * other tools do; where it is ignored the closed pipe is an error like any other.
 */
int cli_flush(struct vnic_error *err)
{
	bool failed = ferror(stdout);

	errno = 0;
	if (fflush(stdout) || failed)
		return vnic_fail(err, VNIC_STEP_OUTPUT, errno ? errno : EIO, NULL, NULL);
	return 0;
}

static bool is_unsupported(const struct vnic_error *err)
{
	switch (err->code) {
	case EPERM:
	case EACCES:
	case ENOSYS:
	case EOPNOTSUPP:
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
		return true;
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return err->step == VNIC_STEP_TUN_OPEN || err->step == VNIC_STEP_REDIRECT;
	default:
		return false;
	}
}

int cli_status(const struct command *command, int result, const struct vnic_error *err)
{
	if (result >= 0)
		return result;
	/* Namespaces that cannot be combined are the user's mistake, those that are not to be had here are not. */
	if (err->step == VNIC_STEP_USAGE || (err->step == VNIC_STEP_NS_CHECK && err->code == EINVAL))
		return CLI_USAGE;
	if (command && command->own_status) {
		if (err->step != VNIC_STEP_EXEC)
			return CLI_OWN_FAILED;
		return err->code == ENOENT ? CLI_NOT_FOUND : CLI_NOT_EXECUTABLE;
	}
	return is_unsupported(err) ? CLI_UNSUPPORTED : CLI_FAILED;
}

int cli_each_operand(const struct cli_args *args, int (*fn)(const char *operand, void *ctx, struct vnic_error *err),
		     void *ctx, struct vnic_error *err)
{
	int status = CLI_OK, r = 0;

	for (int i = 0; i < args->operand_count; i++) {
		if (r < 0)
			cli_print_error(err);
		r = fn(args->operands[i], ctx, err);
		status = r < 0 ? cli_status(args->command, r, err) : status;
	}
	return r < 0 ? r : status;
}
