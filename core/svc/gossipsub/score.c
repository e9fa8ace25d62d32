/* See score.h. */
#include "svc/gossipsub/score.h"

static double score_capped(double v, double cap)
{
	return v > cap ? cap : v;
}

static double score_deficit(const kp_score_topic_params *p, const kp_score_counters *c)
{
	if (!c->active || c->mesh >= p->mesh_threshold)
		return 0.0;
	double missing = p->mesh_threshold - c->mesh;
	return missing * missing;
}

void kp_score_terms(const kp_score_topic_params *p, const kp_score_counters *c,
                    kp_score_topic_terms *out)
{
	/* whole quanta, as go counts them; rust counts fractions too */
	double quanta = c->in_mesh ? (double)(c->mesh_time / p->time_in_mesh_quantum_ns) : 0.0;
	out->p1 = score_capped(quanta, p->time_in_mesh_cap) * p->time_in_mesh_weight;
	out->p2 = c->first * p->first_weight;
	out->p3 = score_deficit(p, c) * p->mesh_weight;
	out->p3b = c->failure * p->failure_weight;
	out->p4 = c->invalid * c->invalid * p->invalid_weight;
	double sum = out->p1;
	sum += out->p2;
	sum += out->p3;
	sum += out->p3b;
	sum += out->p4;
	out->sum = sum * p->topic_weight;
}

void kp_score_graft(kp_score_counters *c, kp_time now)
{
	c->in_mesh = true;
	c->active = false;
	c->grafted_at = now;
	c->mesh_time = 0;
}

void kp_score_prune(const kp_score_topic_params *p, kp_score_counters *c)
{
	c->failure += score_deficit(p, c);
	c->in_mesh = c->active = false;
}

void kp_score_first(const kp_score_topic_params *p, kp_score_counters *c)
{
	c->first = score_capped(c->first + 1.0, p->first_cap);
	kp_score_duplicate(p, c);
}

void kp_score_duplicate(const kp_score_topic_params *p, kp_score_counters *c)
{
	if (c->in_mesh)
		c->mesh = score_capped(c->mesh + 1.0, p->mesh_cap);
}

double kp_score_decayed(double v, double decay, double to_zero)
{
	v *= decay;
	return v < to_zero ? 0.0 : v;
}

void kp_score_decay(const kp_score_topic_params *p, double to_zero, kp_time now,
                    kp_score_counters *c)
{
	c->first = kp_score_decayed(c->first, p->first_decay, to_zero);
	c->mesh = kp_score_decayed(c->mesh, p->mesh_decay, to_zero);
	c->failure = kp_score_decayed(c->failure, p->failure_decay, to_zero);
	c->invalid = kp_score_decayed(c->invalid, p->invalid_decay, to_zero);
	if (!c->in_mesh)
		return;
	c->mesh_time = kp_time_sub(now, c->grafted_at);
	if (c->mesh_time > p->mesh_activation_ns)
		c->active = true;
}

double kp_score_excess(double v, double threshold)
{
	return v > threshold ? (v - threshold) * (v - threshold) : 0.0;
}
