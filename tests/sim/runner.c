/* runner.c - the command line of both simulations:  NAME [-v] [--break=KIND] SEED [COUNT]  or  NAME --self-test.
 *
 * Plays COUNT worlds from SEED on; TAP, one line for each hundred.  A world that ends badly prints what went wrong and the command that
 * plays it again.  --self-test breaks worlds on purpose, one kind after another, and fails when that goes unseen.
 * Below: sim.h.  Above: sim.c, gate.c.
 */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RUNNER_GROUP = 100, /* worlds for each TAP line */
	RUNNER_TRIES = 40,  /* worlds in which a break must show */
};

static const char *const runner_breaks[SIM_BREAKS] = {
	[SIM_SOUND] = "nothing",
	[SIM_LOSES_BYTE] = "lost-byte",
	[SIM_SWAPS_BYTES] = "swapped-bytes",
	[SIM_FALSE_FIN] = "false-fin",
	[SIM_LEAKS_FLOW] = "leaked-flow",
	[SIM_ALTERS_DATAGRAM] = "altered-datagram",
	[SIM_MISLEADS_DATAGRAM] = "misled-datagram",
	[SIM_ALTERS_LEASE] = "altered-lease",
};

static int runner_self_test(sim_world_fn world, enum sim_break most)
{
	int bad = 0;

	for (enum sim_break b = SIM_SOUND; b <= most; b++) {
		int failed = 0;

		for (uint64_t seed = 1; seed <= RUNNER_TRIES; seed++) {
			g_autofree char *fail = world(seed, false, b);

			if (fail && !failed++ && b != SIM_SOUND)
				printf("# %s, seed %" G_GUINT64_FORMAT ": %s\n", runner_breaks[b], seed, fail);
		}
		bad += (failed != 0) != (b != SIM_SOUND);
		printf("%s %d - %s: %d of %d worlds fail\n", (failed != 0) == (b != SIM_SOUND) ? "ok" : "not ok", b + 1, runner_breaks[b],
		       failed, RUNNER_TRIES);
	}
	printf("1..%d\n", most + 1);
	return bad != 0;
}

static int runner_play(const char *name, sim_world_fn world, bool verbose, enum sim_break broken, uint64_t seed, uint64_t count)
{
	uint64_t bad = 0, bad_here = 0, group = 0;

	for (uint64_t i = 0; i < count; i++) {
		g_autofree char *fail = world(seed + i, verbose, broken);

		if (fail) {
			bad_here++;
			printf("# seed %" G_GUINT64_FORMAT " %s\n#   again: %s -v%s%s %" G_GUINT64_FORMAT "\n", seed + i, fail, name,
			       broken ? " --break=" : "", broken ? runner_breaks[broken] : "", seed + i);
		}
		if (i + 1 == count || (i + 1) % RUNNER_GROUP == 0) {
			printf("%s %" G_GUINT64_FORMAT " - worlds up to seed %" G_GUINT64_FORMAT "\n", bad_here ? "not ok" : "ok", ++group,
			       seed + i);
			bad += bad_here;
			bad_here = 0;
		}
	}
	printf("1..%" G_GUINT64_FORMAT "\n", group);
	return bad != 0;
}

int runner_main(int argc, char **argv, sim_world_fn world, enum sim_break most)
{
	enum sim_break broken = SIM_SOUND;
	bool verbose = false;
	int i = 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--self-test"))
			return runner_self_test(world, most);
		verbose |= !strcmp(argv[i], "-v");
		for (enum sim_break b = SIM_SOUND; b <= most && g_str_has_prefix(argv[i], "--break="); b++)
			broken = strcmp(argv[i] + strlen("--break="), runner_breaks[b]) ? broken : b;
	}
	return runner_play(argv[0], world, verbose, broken, i < argc ? strtoull(argv[i], NULL, 0) : 1,
			   i + 1 < argc ? strtoull(argv[i + 1], NULL, 0) : 1);
}
