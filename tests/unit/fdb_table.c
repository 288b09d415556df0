/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay's learning table: what it learns, forgets and refuses. */
#include "vt.h"

#include <stdlib.h>

#include "fdb.h"

#define AGE 300

static const uint8_t alice[6] = {2, 0, 0, 0, 0, 1}, bob[6] = {2, 0, 0, 0, 0, 2}, carol[6] = {2, 0, 0, 0, 0, 3};

static struct fdb table(uint32_t max)
{
	struct vnic_error err;
	struct fdb fdb;

	vt_ok(fdb_init(&fdb, max, AGE, &err), &err);
	return fdb;
}

static void a_learnt_mac_is_found_at_its_port(void **state)
{
	struct fdb fdb = table(8);

	(void)state;
	fdb_learn(&fdb, alice, 1, 0);
	fdb_learn(&fdb, bob, 2, 0);
	assert_int_equal(fdb_find(&fdb, alice, 0), 1);
	assert_int_equal(fdb_find(&fdb, bob, 0), 2);
	assert_int_equal(fdb_find(&fdb, carol, 0), FDB_NONE);
	assert_int_equal(fdb.used, 2);
	fdb_done(&fdb);
}

static void a_mac_seen_elsewhere_has_moved(void **state)
{
	struct fdb fdb = table(8);

	(void)state;
	fdb_learn(&fdb, alice, 1, 0);
	fdb_learn(&fdb, alice, 1, 1);
	assert_int_equal(fdb.moves, 0);
	fdb_learn(&fdb, alice, 2, 2);
	assert_int_equal(fdb_find(&fdb, alice, 2), 2);
	assert_int_equal(fdb.moves, 1);
	assert_int_equal(fdb.used, 1);
	fdb_done(&fdb);
}

static void an_unused_mac_is_forgotten_after_its_age(void **state)
{
	struct fdb fdb = table(1);

	(void)state;
	fdb_learn(&fdb, alice, 1, 10);
	assert_int_equal(fdb_find(&fdb, alice, 10 + AGE - 1), 1);
	assert_int_equal(fdb_find(&fdb, alice, 10 + AGE), FDB_NONE);
	fdb_sweep(&fdb, 10 + AGE);
	assert_int_equal(fdb.used, 0);
	fdb_learn(&fdb, bob, 2, 10 + AGE);
	assert_int_equal(fdb_find(&fdb, bob, 10 + AGE), 2);
	fdb_done(&fdb);
}

static void a_mac_in_use_does_not_age(void **state)
{
	struct fdb fdb = table(1);

	(void)state;
	for (uint32_t now = 0; now < 10 * AGE; now += AGE / 2) {
		fdb_learn(&fdb, alice, 1, now);
		fdb_sweep(&fdb, now);
	}
	assert_int_equal(fdb_find(&fdb, alice, 10 * AGE), 1);
	fdb_done(&fdb);
}

static void a_full_table_learns_nothing_new_and_keeps_what_it_has(void **state)
{
	struct fdb fdb = table(2);

	(void)state;
	fdb_learn(&fdb, alice, 1, 0);
	fdb_learn(&fdb, bob, 2, 0);
	fdb_learn(&fdb, carol, 3, 0);
	assert_int_equal(fdb_find(&fdb, carol, 0), FDB_NONE);
	assert_int_equal(fdb.full, 1);
	fdb_learn(&fdb, alice, 3, 0);
	assert_int_equal(fdb_find(&fdb, alice, 0), 3);
	assert_int_equal(fdb_find(&fdb, bob, 0), 2);
	fdb_done(&fdb);
}

static void a_closed_port_takes_its_macs_along(void **state)
{
	struct fdb fdb = table(8);

	(void)state;
	fdb_learn(&fdb, alice, 1, 0);
	fdb_learn(&fdb, bob, 2, 0);
	fdb_learn(&fdb, carol, 1, 0);
	fdb_forget_port(&fdb, 1);
	assert_int_equal(fdb_find(&fdb, alice, 0), FDB_NONE);
	assert_int_equal(fdb_find(&fdb, carol, 0), FDB_NONE);
	assert_int_equal(fdb_find(&fdb, bob, 0), 2);
	assert_int_equal(fdb.used, 1);
	fdb_done(&fdb);
}

#define STATIONS 256

/* A table without hash, chains or list of free entries, to compare with. */
struct model {
	uint32_t port[STATIONS], seen[STATIONS];
	bool known[STATIONS];
};

static unsigned sweep_model(struct model *model, uint32_t now)
{
	unsigned used = 0;

	for (unsigned i = 0; i < STATIONS; i++) {
		model->known[i] = model->known[i] && now - model->seen[i] < AGE;
		used += model->known[i];
	}
	return used;
}

static void a_long_random_life_agrees_with_a_simple_model(void **state)
{
	struct fdb fdb = table(STATIONS / 2);
	struct model model = {0};
	uint32_t now = 0;

	(void)state;
	srand(1);
	for (int step = 0; step < 50000; step++) {
		unsigned i = (unsigned)rand() % STATIONS, port = (unsigned)rand() % 8;
		const uint8_t mac[6] = {2, 0, 0, 0, 7, (uint8_t)i};
		uint64_t full = fdb.full;

		now += rand() % 100 == 0 ? 50 : 0;
		fdb_sweep(&fdb, now);
		if (rand() % 1000 == 0) {
			fdb_forget_port(&fdb, port);
			for (unsigned k = 0; k < STATIONS; k++)
				model.known[k] = model.known[k] && model.port[k] != port;
		}
		fdb_learn(&fdb, mac, port, now);
		if (fdb.full == full) {
			model.known[i] = true;
			model.port[i] = port;
			model.seen[i] = now;
		} else {
			assert_int_equal(fdb.used, STATIONS / 2);
		}
		assert_int_equal(fdb.used, sweep_model(&model, now));
		i = (unsigned)rand() % STATIONS;
		const uint8_t other[6] = {2, 0, 0, 0, 7, (uint8_t)i};
		assert_int_equal(fdb_find(&fdb, other, now), model.known[i] ? model.port[i] : FDB_NONE);
	}
	assert_true(fdb.full > 0);
	fdb_done(&fdb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		vt_test(a_learnt_mac_is_found_at_its_port),
		vt_test(a_mac_seen_elsewhere_has_moved),
		vt_test(an_unused_mac_is_forgotten_after_its_age),
		vt_test(a_mac_in_use_does_not_age),
		vt_test(a_full_table_learns_nothing_new_and_keeps_what_it_has),
		vt_test(a_closed_port_takes_its_macs_along),
		vt_test(a_long_random_life_agrees_with_a_simple_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
