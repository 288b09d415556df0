/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Feeds the files of the directories given to a fuzzer's function, once each: the corpus as a plain test. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed(int dir, const char *name)
{
	static uint8_t space[1 << 20];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, space, sizeof(space));

	if (fd >= 0)
		close(fd);
	if (n < 0) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		exit(1);
	}
	uint8_t *exact = malloc(n ? (size_t)n : 1); /* so that a sanitizer sees a read beyond the end */
	if (!exact)
		exit(1);
	memcpy(exact, space, (size_t)n);
	LLVMFuzzerTestOneInput(exact, (size_t)n);
	free(exact);
}

int main(int argc, char **argv)
{
	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		int files = 0;

		if (!dir) {
			printf("not ok %d - %s: %s\n", i, argv[i], strerror(errno));
			return 1;
		}
		for (struct dirent *entry; (entry = readdir(dir));)
			if (entry->d_name[0] != '.') {
				feed(dirfd(dir), entry->d_name);
				files++;
			}
		closedir(dir);
		printf("%s %d - %d inputs of %s\n", files ? "ok" : "not ok", i, files, argv[i]);
		if (!files)
			return 1;
	}
	return 0;
}
