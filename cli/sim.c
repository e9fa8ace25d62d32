/* karakp2p sim: the simulator on the real engine. The only part of the command that links the core.
 */
#include "cli.h"
#include "out.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define SIM_FAULT_TEXT 256 /* holds the names of all faults */

static void sim_help(void)
{
	puts("karakp2p sim [OPTIONS]: a network of real nodes under a virtual clock\n"
	     "\n"
	     "  --list         names the scenarios\n"
	     "  --scenario NAME  runs one of them, twice, and judges it; the options\n"
	     "                 below change it; an attack is run with and without scoring\n"
	     "  --nodes N      nodes, all joining through the first (20)\n"
	     "  --seconds S    virtual seconds; the first quarter is for joining (60)\n"
	     "  --seed X       everything is drawn from it; same seed, same run (1)\n"
	     "  --rate R       messages a second, all nodes together (10)\n"
	     "  --size B       bytes of a message (1024)\n"
	     "  --faults LIST  comma list, none by default:");
#define SIM_HELP_FAULT(name, bit, text) printf("      %-10s %s\n", #name, text);
	KP_SIM_FAULTS(SIM_HELP_FAULT)
#undef SIM_HELP_FAULT
	puts("  --fail-every N  the N of nomem (50)\n"
	     "  --full-verify  check every signature again at every node\n"
	     "  --json         one JSON object; of an attack, one for each way of scoring\n"
	     "\n"
	     "Exit status 1 when an invariant was violated; the last line replays the run.");
}

static void sim_list(void)
{
	const kp_sim_scenario *s;
	for (size_t i = 0; (s = kp_sim_scenario_at(i)) != NULL; i++)
		printf("%-11s %s\n", kp_sim_scenario_name(s), kp_sim_scenario_text(s));
}

static bool sim_number(const char *text, double *out)
{
	char *end;
	errno = 0;
	*out = strtod(text, &end);
	return errno == 0 && end != text && *end == '\0' && *out >= 0;
}

static int sim_option(kp_sim_options *o, const char *flag, const char *value)
{
	double v = 0;
	char *end;
	kp_slice bad;
	if (strcmp(flag, "--faults") == 0) {
		if (kp_sim_parse_faults(kp_slice_str(value), &o->faults, &bad) == KP_OK)
			return 0;
		return cli_misused("sim", "unknown fault \"%.*s\"", (int)bad.n,
		                   (const char *)bad.p);
	}
	if (strcmp(flag, "--seed") == 0) {
		errno = 0;
		o->seed = strtoull(value, &end, 0);
		return errno == 0 && end != value && *end == '\0'
		               ? 0
		               : cli_misused("sim", "--seed takes a number, not \"%s\"", value);
	}
	if (!sim_number(value, &v))
		return cli_misused("sim", "%s takes a number, not \"%s\"", flag, value);
	if (strcmp(flag, "--nodes") == 0)
		o->nodes = v < 1e9 ? (unsigned)v : 1000000000u;
	else if (strcmp(flag, "--seconds") == 0)
		o->duration = v < 1e9 ? (kp_time)(v * 1e9) : KP_SEC(1000000000);
	else if (strcmp(flag, "--rate") == 0)
		o->rate = v;
	else if (strcmp(flag, "--fail-every") == 0)
		o->fail_every = v < 1e9 ? (unsigned)v : 1000000000u;
	else
		o->size = v < 1e9 ? (size_t)v : (size_t)1000000000;
	return 0;
}

/* The scenario and the seed come first, wherever they stand: what they draw may be changed by the
 * other options. -1 = go on, else the exit status. */
static int sim_choose(int argc, char **argv, kp_sim_options *o, const kp_sim_scenario **chosen)
{
	const char *name = NULL;
	for (int i = 0; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--scenario") == 0)
			name = argv[i + 1];
		if (strcmp(argv[i], "--seed") == 0 && sim_option(o, argv[i], argv[i + 1]) != 0)
			return EXIT_MISUSED;
	}
	*chosen = name != NULL ? kp_sim_scenario_find(kp_slice_str(name)) : NULL;
	if (name != NULL && *chosen == NULL)
		return cli_misused("sim", "no scenario \"%s\"; --list names them", name);
	if (*chosen != NULL)
		*o = kp_sim_scenario_options(*chosen, o->seed);
	return -1;
}

/* One argument, and its value if it takes one: *used of them. -1 = go on, else the exit status. */
static int sim_argument(int argc, char **argv, kp_sim_options *o, bool *json, int *used)
{
	static const char *const valued[] = {"--nodes", "--seconds", "--seed",     "--rate",
	                                     "--size",  "--faults",  "--scenario", "--fail-every"};
	bool takes_value = false;
	*used = 1;
	if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
		sim_help();
		return EXIT_OK;
	}
	if (strcmp(argv[0], "--list") == 0) {
		sim_list();
		return EXIT_OK;
	}
	if (strcmp(argv[0], "--json") == 0 || strcmp(argv[0], "--full-verify") == 0) {
		*json |= argv[0][2] == 'j';
		o->memo_verify &= argv[0][2] == 'j';
		return -1;
	}
	for (size_t k = 0; k < sizeof valued / sizeof valued[0]; k++)
		takes_value |= strcmp(argv[0], valued[k]) == 0;
	if (!takes_value)
		return cli_misused("sim", "unknown option \"%s\"", argv[0]);
	if (argc == 1)
		return cli_misused("sim", "%s needs a value", argv[0]);
	*used = 2;
	if (strcmp(argv[0], "--scenario") == 0)
		return -1;
	int r = sim_option(o, argv[0], argv[1]);
	return r != 0 ? r : -1;
}

/* -1 = go on, else the exit status. */
static int sim_arguments(int argc, char **argv, kp_sim_options *o, const kp_sim_scenario **chosen)
{
	bool json = false;
	int used, status = sim_choose(argc, argv, o, chosen);
	for (int i = 0; i < argc && status < 0; i += used)
		status = sim_argument(argc - i, argv + i, o, &json, &used);
	out_init(json);
	return status;
}

/* In the order in which they are shown: from nothing to everything. */
static const kp_sim_score sim_ways[] = {KP_SIM_SCORE_off, KP_SIM_SCORE_abuse, KP_SIM_SCORE_full};

/* What only an attack has to tell. */
static void sim_print_json_attack(const kp_sim_report *r, kp_sim_score score)
{
	out_str("scoring", kp_sim_score_name(score));
	printf(",\"late_delivery_ratio\":%.6f", r->late.delivery_ratio);
	out_real("late_latency_ms_p50", r->late.latency_ms_p50);
	out_real("late_latency_ms_p99", r->late.latency_ms_p99);
	out_real("attackers_meshed", r->attackers_meshed);
	out_int("served", (int64_t)r->served);
	out_real("worst_honest", r->worst_honest);
}

static void sim_print_json(const kp_sim_report *r, const kp_sim_score *score)
{
	char hash[24];
	snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->trace_hash);
	out_begin("sim");
	if (score != NULL)
		sim_print_json_attack(r, *score);
	out_int("published", (int64_t)r->published);
	out_int("expected", (int64_t)r->all.expected);
	out_int("delivered", (int64_t)r->all.delivered);
	printf(",\"delivery_ratio\":%.6f", r->all.delivery_ratio);
	out_real("latency_ms_p50", r->all.latency_ms_p50);
	out_real("latency_ms_p90", r->all.latency_ms_p90);
	out_real("latency_ms_p99", r->all.latency_ms_p99);
	out_real("latency_ms_max", r->all.latency_ms_max);
	out_real("duplicates_per_message", r->duplicates_per_message);
	out_int("bytes", (int64_t)r->bytes);
	out_real("connections_mean", r->conns_mean);
	out_int("mesh_min", r->mesh_min);
	out_real("mesh_mean", r->mesh_mean);
	out_int("mesh_max", r->mesh_max);
	out_int("memory_peak", (int64_t)r->memory_peak);
	out_int("events", (int64_t)r->events);
	out_str("trace_hash", hash);
	out_str("violation", r->violation);
	out_end();
}

/* As --faults takes them. */
static void sim_fault_names(unsigned faults, char *out, size_t cap)
{
	size_t n = 0;
	out[0] = '\0';
#define SIM_FAULT_NAME(name, bit, text)                                                            \
	if (faults & (bit))                                                                        \
		n += (size_t)snprintf(out + n, cap - n, "%s" #name, n ? "," : "");
	KP_SIM_FAULTS(SIM_FAULT_NAME)
#undef SIM_FAULT_NAME
}

static void sim_print_options(const kp_sim_options *o)
{
	char faults[SIM_FAULT_TEXT];
	out_line(OUT_NAME, "%u nodes, %.0f s, seed %llu, %g messages a second of %zu bytes",
	         o->nodes, (double)o->duration / 1e9, (unsigned long long)o->seed, o->rate,
	         o->size);
	sim_fault_names(o->faults, faults, sizeof faults);
	if (o->faults != 0)
		out_line(OUT_PLAIN, "faults       %s", faults);
}

static double sim_worth(const kp_sim_report *r, unsigned row)
{
	const double of[] = {
	        100 * r->all.delivery_ratio,  r->all.latency_ms_p50,  r->all.latency_ms_p99,
	        100 * r->late.delivery_ratio, r->late.latency_ms_p50, r->late.latency_ms_p99,
	        r->attackers_meshed,          (double)r->served,      r->worst_honest};
	return of[row];
}

/* The ways of scoring side by side. */
static void sim_print_attack(const kp_sim_options *o, const kp_sim_report *r)
{
	static const char *const rows[] = {
	        "delivery, %",       "latency p50, ms",  "latency p99, ms",
	        "late delivery",     "late latency p50", "late latency p99",
	        "attackers' places", "attackers served", "worst honest score"};
	char line[128];
	size_t n = 0;
	sim_print_options(o);
	out_line(OUT_PLAIN, "attackers    %u", o->attackers);
	for (size_t k = 0; k < sizeof sim_ways / sizeof sim_ways[0]; k++)
		if (r[sim_ways[k]].events > 0)
			n += (size_t)snprintf(line + n, sizeof line - n, " %11s",
			                      kp_sim_score_name(sim_ways[k]));
	out_line(OUT_PLAIN, "%-19s%s", "scoring", n > 0 ? line : "");
	for (unsigned row = 0; row < sizeof rows / sizeof rows[0]; row++) {
		n = 0;
		for (size_t k = 0; k < sizeof sim_ways / sizeof sim_ways[0]; k++)
			if (r[sim_ways[k]].events > 0)
				n += (size_t)snprintf(line + n, sizeof line - n, " %11.1f",
				                      sim_worth(&r[sim_ways[k]], row));
		out_line(OUT_PLAIN, "%-19s%s", rows[row], n > 0 ? line : "");
	}
}

static void sim_print(const kp_sim_options *o, const kp_sim_report *r)
{
	sim_print_options(o);
	out_line(r->all.delivery_ratio < 1.0 ? OUT_BAD : OUT_GOOD,
	         "delivery     %.4f %% (%llu of %llu; %llu messages)", 100 * r->all.delivery_ratio,
	         (unsigned long long)r->all.delivered, (unsigned long long)r->all.expected,
	         (unsigned long long)r->published);
	out_line(OUT_PLAIN, "latency      p50 %.1f  p90 %.1f  p99 %.1f  max %.1f ms",
	         r->all.latency_ms_p50, r->all.latency_ms_p90, r->all.latency_ms_p99,
	         r->all.latency_ms_max);
	out_line(OUT_PLAIN, "duplicates   %.2f per message and node", r->duplicates_per_message);
	out_line(OUT_PLAIN, "bytes        %llu on the wire", (unsigned long long)r->bytes);
	out_line(OUT_PLAIN, "degree       mesh %u to %u, mean %.1f; connections mean %.1f",
	         r->mesh_min, r->mesh_max, r->mesh_mean, r->conns_mean);
	out_line(OUT_PLAIN, "memory       %.1f MiB at most in one node",
	         (double)r->memory_peak / 1048576.0);
	out_line(OUT_PLAIN, "trace hash   %016llx after %llu events",
	         (unsigned long long)r->trace_hash, (unsigned long long)r->events);
}

static void sim_print_replay(int argc, char **argv)
{
	fprintf(stderr, "replay: karakp2p sim");
	for (int i = 0; i < argc; i++)
		fprintf(stderr, " %s", argv[i]);
	fputc('\n', stderr);
}

/* *said: what was violated, or that an option is wrong. */
static kp_err sim_run_attack(const kp_sim_options *o, char *said, size_t cap)
{
	kp_sim_report r[KP_SIM_SCORE_COUNT];
	kp_sim_score failed;
	kp_err err = kp_sim_run_attack(o, r, &failed);
	const char *what = r[failed].violation[0] ? r[failed].violation : kp_err_text(err);
	if (err == KP_E_INVAL)
		snprintf(said, cap, "%s", what);
	else
		snprintf(said, cap, "scoring %s: %s", kp_sim_score_name(failed), what);
	for (size_t k = 0; out_is_json() && k < sizeof sim_ways / sizeof sim_ways[0]; k++)
		if (r[sim_ways[k]].events > 0)
			sim_print_json(&r[sim_ways[k]], &sim_ways[k]);
	if (!out_is_json() && err != KP_E_INVAL)
		sim_print_attack(o, r);
	return err;
}

static kp_err sim_run(const kp_sim_options *o, bool judged, char *said, size_t cap)
{
	kp_sim_report r;
	kp_err err = judged ? kp_sim_run_twice(o, &r) : kp_sim_run(o, &r);
	snprintf(said, cap, "%s", r.violation[0] ? r.violation : kp_err_text(err));
	if (err == KP_E_INVAL)
		return err;
	if (out_is_json())
		sim_print_json(&r, NULL);
	else
		sim_print(o, &r);
	return err;
}

int cli_sim(int argc, char **argv)
{
	kp_sim_options o = kp_sim_options_default();
	const kp_sim_scenario *chosen;
	char said[256];
	int status = sim_arguments(argc, argv, &o, &chosen);
	if (status >= 0)
		return status;
	kp_err err = o.attack != KP_SIM_ATTACK_none
	                     ? sim_run_attack(&o, said, sizeof said)
	                     : sim_run(&o, chosen != NULL, said, sizeof said);
	if (err == KP_E_INVAL)
		return cli_misused("sim", "%s", said);
	if (err == KP_OK)
		return EXIT_OK;
	fprintf(stderr, "karakp2p sim: %s\n", said);
	sim_print_replay(argc, argv);
	return EXIT_FAILED;
}
