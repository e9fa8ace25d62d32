/* karakp2p sim: the simulator on the real engine. The only part of the command that links the core.
 */
#include "cli.h"
#include "out.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

static void sim_help(void)
{
	puts("karakp2p sim [OPTIONS]: a network of real nodes under a virtual clock\n"
	     "\n"
	     "  --nodes N      nodes, all joining through the first (20)\n"
	     "  --seconds S    virtual seconds; the first quarter is for joining (60)\n"
	     "  --seed X       everything is drawn from it; same seed, same run (1)\n"
	     "  --rate R       messages a second, all nodes together (10)\n"
	     "  --size B       bytes of a message (1024)\n"
	     "  --faults LIST  comma list, none by default:");
#define SIM_HELP_FAULT(name, bit, text) printf("      %-10s %s\n", #name, text);
	KP_SIM_FAULTS(SIM_HELP_FAULT)
#undef SIM_HELP_FAULT
	puts("  --full-verify  check every signature again at every node\n"
	     "  --json         one JSON object\n"
	     "\n"
	     "Exit status 1 when an invariant was violated; the line above it replays the run.");
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
	else
		o->size = v < 1e9 ? (size_t)v : (size_t)1000000000;
	return 0;
}

/* -1 = go on, else the exit status. */
static int sim_arguments(int argc, char **argv, kp_sim_options *o)
{
	static const char *const valued[] = {"--nodes", "--seconds", "--seed",
	                                     "--rate",  "--size",    "--faults"};
	bool json = false;
	for (int i = 0; i < argc; i++) {
		bool takes_value = false;
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			sim_help();
			return EXIT_OK;
		}
		if (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "--full-verify") == 0) {
			json |= argv[i][2] == 'j';
			o->memo_verify &= argv[i][2] == 'j';
			continue;
		}
		for (size_t k = 0; k < sizeof valued / sizeof valued[0]; k++)
			takes_value |= strcmp(argv[i], valued[k]) == 0;
		if (!takes_value)
			return cli_misused("sim", "unknown option \"%s\"", argv[i]);
		if (i + 1 == argc)
			return cli_misused("sim", "%s needs a value", argv[i]);
		int r = sim_option(o, argv[i], argv[i + 1]);
		if (r != 0)
			return r;
		i++;
	}
	out_init(json);
	return -1;
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
	out_int("events", (int64_t)r->events);
	out_str("trace_hash", hash);
	out_str("violation", r->violation);
	out_end();
}

static void sim_print(const kp_sim_options *o, const kp_sim_report *r)
{
	out_line(OUT_NAME, "%u nodes, %.0f s, seed %llu", o->nodes, (double)o->duration / 1e9,
	         (unsigned long long)o->seed);
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
	out_line(OUT_PLAIN, "trace hash   %016llx after %llu events",
	         (unsigned long long)r->trace_hash, (unsigned long long)r->events);
}

int cli_sim(int argc, char **argv)
{
	kp_sim_options o = kp_sim_options_default();
	kp_sim_report r;
	int status = sim_arguments(argc, argv, &o);
	if (status >= 0)
		return status;
	kp_err err = kp_sim_run(&o, &r);
	if (err == KP_E_INVAL)
		return cli_misused("sim", "%s", r.violation);
	if (out_is_json())
		sim_print_json(&r);
	else
		sim_print(&o, &r);
	if (err == KP_OK)
		return EXIT_OK;
	fprintf(stderr, "karakp2p sim: %s\n", r.violation[0] ? r.violation : kp_err_text(err));
	return EXIT_FAILED;
}
