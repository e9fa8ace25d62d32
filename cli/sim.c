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
	     "                 below change it\n"
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
	     "  --json         one JSON object\n"
	     "\n"
	     "Exit status 1 when an invariant was violated; the last line replays the run.");
}

static void sim_list(void)
{
	const kp_sim_scenario *s;
	for (size_t i = 0; (s = kp_sim_scenario_at(i)) != NULL; i++)
		printf("%-10s %s\n", kp_sim_scenario_name(s), kp_sim_scenario_text(s));
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

static void sim_print_json(const kp_sim_report *r)
{
	char hash[24];
	snprintf(hash, sizeof hash, "%016llx", (unsigned long long)r->trace_hash);
	out_begin("sim");
	out_int("published", (int64_t)r->published);
	out_int("expected", (int64_t)r->expected);
	out_int("delivered", (int64_t)r->delivered);
	printf(",\"delivery_ratio\":%.6f", r->delivery_ratio);
	out_real("latency_ms_p50", r->latency_ms_p50);
	out_real("latency_ms_p90", r->latency_ms_p90);
	out_real("latency_ms_p99", r->latency_ms_p99);
	out_real("latency_ms_max", r->latency_ms_max);
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

static void sim_print(const kp_sim_options *o, const kp_sim_report *r)
{
	char faults[SIM_FAULT_TEXT];
	out_line(OUT_NAME, "%u nodes, %.0f s, seed %llu, %g messages a second of %zu bytes",
	         o->nodes, (double)o->duration / 1e9, (unsigned long long)o->seed, o->rate,
	         o->size);
	sim_fault_names(o->faults, faults, sizeof faults);
	if (o->faults != 0)
		out_line(OUT_PLAIN, "faults       %s", faults);
	out_line(r->delivery_ratio < 1.0 ? OUT_BAD : OUT_GOOD,
	         "delivery     %.4f %% (%llu of %llu; %llu messages)", 100 * r->delivery_ratio,
	         (unsigned long long)r->delivered, (unsigned long long)r->expected,
	         (unsigned long long)r->published);
	out_line(OUT_PLAIN, "latency      p50 %.1f  p90 %.1f  p99 %.1f  max %.1f ms",
	         r->latency_ms_p50, r->latency_ms_p90, r->latency_ms_p99, r->latency_ms_max);
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

int cli_sim(int argc, char **argv)
{
	kp_sim_options o = kp_sim_options_default();
	const kp_sim_scenario *chosen;
	kp_sim_report r;
	int status = sim_arguments(argc, argv, &o, &chosen);
	if (status >= 0)
		return status;
	kp_err err = chosen != NULL ? kp_sim_run_twice(&o, &r) : kp_sim_run(&o, &r);
	if (err == KP_E_INVAL)
		return cli_misused("sim", "%s", r.violation);
	if (out_is_json())
		sim_print_json(&r);
	else
		sim_print(&o, &r);
	if (err == KP_OK)
		return EXIT_OK;
	fprintf(stderr, "karakp2p sim: %s\n", r.violation[0] ? r.violation : kp_err_text(err));
	sim_print_replay(argc, argv);
	return EXIT_FAILED;
}
