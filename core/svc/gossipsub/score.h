/* The arithmetic of peer scores (gossipsub v1.1, P1 to P7): what one topic and one peer are worth,
 * as go and rust compute it. Nothing here knows of a router. */
#ifndef KP_SVC_GOSSIPSUB_SCORE_H
#define KP_SVC_GOSSIPSUB_SCORE_H

#include "svc/gossipsub/score_params.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a peer has done in one topic. */
typedef struct kp_score_counters {
	bool in_mesh;
	bool active; /* in the mesh for long enough to be judged by P3 */
	kp_time grafted_at;
	kp_time mesh_time; /* as of the last decay */
	double first, mesh, failure, invalid;
} kp_score_counters;

/* The terms of one topic, weighted; sum is weighted with the topic as well. */
typedef struct kp_score_topic_terms {
	double p1, p2, p3, p3b, p4, sum;
} kp_score_topic_terms;

void kp_score_terms(const kp_score_topic_params *p, const kp_score_counters *c,
                    kp_score_topic_terms *out);

void kp_score_graft(kp_score_counters *c, kp_time now);
void kp_score_prune(const kp_score_topic_params *p, kp_score_counters *c); /* P3b */
void kp_score_first(const kp_score_topic_params *p, kp_score_counters *c);
void kp_score_duplicate(const kp_score_topic_params *p, kp_score_counters *c); /* in time */
void kp_score_decay(const kp_score_topic_params *p, double to_zero, kp_time now,
                    kp_score_counters *c);

/* One counter at a decay. */
double kp_score_decayed(double v, double decay, double to_zero);

/* What is over the threshold, squared; 0 below it. */
double kp_score_excess(double v, double threshold);

#ifdef __cplusplus
}
#endif
#endif
