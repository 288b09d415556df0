/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may have been meant by a word that is none of those expected. */
#include "parse.h"

#include <string.h>

/* Letters inserted, left out, replaced or swapped; at most WORD_MAX letters are looked at. */
#define WORD_MAX 24

static int min3(int a, int b, int c)
{
	int least = a < b ? a : b;

	return least < c ? least : c;
}

static int distance(const char *a, const char *b)
{
	int rows[3][WORD_MAX + 1];
	int *before = rows[0], *above = rows[1], *row = rows[2];
	int a_len = (int)strnlen(a, WORD_MAX), b_len = (int)strnlen(b, WORD_MAX);

	for (int j = 0; j <= b_len; j++)
		above[j] = j;
	for (int i = 1; i <= a_len; i++) {
		row[0] = i;
		for (int j = 1; j <= b_len; j++) {
			row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] < row[j])
				row[j] = before[j - 2] + 1;
		}
		int *next = before;
		before = above;
		above = row;
		row = next;
	}
	return above[b_len];
}

const char *parse_nearest(const char *word, const char *(*next)(const void *ctx, int index), const void *ctx)
{
	int len = (int)strlen(word);
	int best = len < 3 ? 1 : len < 4 ? 2 : len < 6 ? 3 : 4; /* none, one, two or three mistakes */
	const char *nearest = NULL, *candidate;

	for (int i = 0; (candidate = next(ctx, i)); i++) {
		int d = distance(word, candidate);

		if (d < best && d < (int)strlen(candidate)) {
			best = d;
			nearest = candidate;
		}
	}
	return nearest;
}
