/* Defaults and rules of the score parameters: those that go and rust check, in the same order. */
#include "svc/gossipsub/score_params.h"

kp_score_params kp_score_params_default(void)
{
	kp_score_params p = {
	        .mode = KP_SCORE_ABUSE,
	        .gossip_threshold = -10,
	        .publish_threshold = -50,
	        .graylist_threshold = -80,
	        .accept_px_threshold = 10,
	        .opportunistic_graft_threshold = 1,
	        .topic_score_cap = 100,
	        .app_weight = 1,
	        .ip_weight = -5,
	        .ip_threshold = 10,
	        /* A peer behind a slow line that breaks a promise every five seconds stays under
	         * the threshold for ever; a spammer breaks ten a second and is shut out for most
	         * of a minute after two. */
	        .behaviour_weight = -1,
	        .behaviour_threshold = 10,
	        .behaviour_decay = 0.98,
	        .slow_weight = 0,
	        .slow_decay = 0.2,
	        .decay_interval_ns = KP_SEC(1),
	        .retain_ns = KP_SEC(3600),
	        .decay_to_zero = 0.01,
	        .promises = KP_PROMISES_BATCH,
	        .topic =
	                {
	                        .topic_weight = 1,
	                        .time_in_mesh_weight = 0.01,
	                        .time_in_mesh_quantum_ns = KP_SEC(1),
	                        .time_in_mesh_cap = 300,
	                        .first_weight = 1,
	                        .first_decay = 0.9,
	                        .first_cap = 40,
	                        /* P3 needs the rate of a topic, which only its user knows. */
	                        .mesh_weight = 0,
	                        .mesh_decay = 0.9,
	                        .mesh_cap = 100,
	                        .mesh_threshold = 1,
	                        .mesh_window_ns = KP_MS(10),
	                        .mesh_activation_ns = KP_SEC(30),
	                        .failure_weight = 0,
	                        .failure_decay = 0.9,
	                        .invalid_weight = -1,
	                        .invalid_decay = 0.9,
	                },
	};
	return p;
}

void kp_score_topic_apply_mode(kp_score_mode mode, kp_score_topic_params *p)
{
	if (mode != KP_SCORE_ABUSE)
		return;
	p->time_in_mesh_weight = 0;
	p->first_weight = 0;
	p->mesh_weight = 0;
	p->failure_weight = 0;
}

void kp_score_params_apply_mode(kp_score_params *p)
{
	kp_score_topic_apply_mode(p->mode, &p->topic);
	if (p->mode != KP_SCORE_ABUSE)
		return;
	p->ip_weight = 0;
	p->slow_weight = 0;
}

/* Infinities and NaN are no parameters. */
static bool score_finite(double v)
{
	return v - v == 0.0;
}

static bool score_penalty(double w)
{
	return score_finite(w) && w <= 0;
}

static bool score_reward(double w)
{
	return score_finite(w) && w >= 0;
}

static bool score_positive(double v)
{
	return score_finite(v) && v > 0;
}

static bool score_decay(double v)
{
	return v > 0 && v < 1;
}

static const char *score_check_thresholds(const kp_score_params *p)
{
	if (!score_penalty(p->gossip_threshold))
		return "score.gossip_threshold must not be more than 0";
	if (!score_finite(p->publish_threshold) || p->publish_threshold > p->gossip_threshold)
		return "score.publish_threshold must not be more than score.gossip_threshold";
	if (!score_finite(p->graylist_threshold) || p->graylist_threshold > p->publish_threshold)
		return "score.graylist_threshold must not be more than score.publish_threshold";
	if (!score_reward(p->accept_px_threshold))
		return "score.accept_px_threshold must not be less than 0";
	if (!score_reward(p->opportunistic_graft_threshold))
		return "score.opportunistic_graft_threshold must not be less than 0";
	return NULL;
}

static const char *score_check_mesh_deliveries(const kp_score_topic_params *t)
{
	if (!score_penalty(t->mesh_weight))
		return "score.topic.mesh_message_deliveries_weight must not be more than 0";
	if (t->mesh_weight != 0 && !score_decay(t->mesh_decay))
		return "score.topic.mesh_message_deliveries_decay must be between 0 and 1";
	if (t->mesh_weight != 0 && !score_positive(t->mesh_cap))
		return "score.topic.mesh_message_deliveries_cap must be more than 0";
	if (t->mesh_weight != 0 && !score_positive(t->mesh_threshold))
		return "score.topic.mesh_message_deliveries_threshold must be more than 0";
	if (t->mesh_weight != 0 && t->mesh_activation_ns < KP_SEC(1))
		return "score.topic.mesh_message_deliveries_activation must be 1 s at least";
	if (t->mesh_window_ns > KP_SEC(60))
		return "score.topic.mesh_message_deliveries_window must be one minute at most";
	if (!score_penalty(t->failure_weight))
		return "score.topic.mesh_failure_penalty_weight must not be more than 0";
	if (t->failure_weight != 0 && !score_decay(t->failure_decay))
		return "score.topic.mesh_failure_penalty_decay must be between 0 and 1";
	return NULL;
}

static const char *score_check_topic(const kp_score_topic_params *t)
{
	if (!score_reward(t->topic_weight))
		return "score.topic.topic_weight must not be less than 0";
	if (t->time_in_mesh_quantum_ns == 0)
		return "score.topic.time_in_mesh_quantum must be more than 0";
	if (!score_reward(t->time_in_mesh_weight))
		return "score.topic.time_in_mesh_weight must not be less than 0";
	if (t->time_in_mesh_weight != 0 && !score_positive(t->time_in_mesh_cap))
		return "score.topic.time_in_mesh_cap must be more than 0";
	if (!score_reward(t->first_weight))
		return "score.topic.first_message_deliveries_weight must not be less than 0";
	if (t->first_weight != 0 && !score_decay(t->first_decay))
		return "score.topic.first_message_deliveries_decay must be between 0 and 1";
	if (t->first_weight != 0 && !score_positive(t->first_cap))
		return "score.topic.first_message_deliveries_cap must be more than 0";
	const char *broken = score_check_mesh_deliveries(t);
	if (broken != NULL)
		return broken;
	if (!score_penalty(t->invalid_weight))
		return "score.topic.invalid_message_deliveries_weight must not be more than 0";
	if (!score_decay(t->invalid_decay))
		return "score.topic.invalid_message_deliveries_decay must be between 0 and 1";
	return NULL;
}

static const char *score_check_global(const kp_score_params *p)
{
	if (!score_reward(p->topic_score_cap))
		return "score.topic_score_cap must not be less than 0";
	if (!score_finite(p->app_weight))
		return "score.app_weight must be a number";
	if (!score_penalty(p->ip_weight))
		return "score.ip_weight must not be more than 0";
	if (p->ip_weight != 0 && p->ip_threshold == 0)
		return "score.ip_threshold must be 1 at least";
	if (!score_penalty(p->behaviour_weight))
		return "score.behaviour_weight must not be more than 0";
	if (p->behaviour_weight != 0 && !score_decay(p->behaviour_decay))
		return "score.behaviour_decay must be between 0 and 1";
	if (!score_reward(p->behaviour_threshold))
		return "score.behaviour_threshold must not be less than 0";
	if (!score_penalty(p->slow_weight))
		return "score.slow_weight must not be more than 0";
	if (p->slow_weight != 0 && !score_decay(p->slow_decay))
		return "score.slow_decay must be between 0 and 1";
	if (!score_reward(p->slow_threshold))
		return "score.slow_threshold must not be less than 0";
	if (p->decay_interval_ns < KP_SEC(1))
		return "score.decay_interval must be 1 s at least";
	if (!score_decay(p->decay_to_zero))
		return "score.decay_to_zero must be between 0 and 1";
	return NULL;
}

const char *kp_score_params_check(const kp_score_params *p)
{
	const char *broken = score_check_thresholds(p);
	if (broken == NULL)
		broken = score_check_global(p);
	if (broken == NULL)
		broken = score_check_topic(&p->topic);
	for (size_t i = 0; broken == NULL && i < p->n_topics; i++)
		broken = score_check_topic(&p->topics[i].params);
	for (size_t i = 0; broken == NULL && i < p->n_apps; i++)
		if (!score_finite(p->apps[i].score))
			broken = "score.app must be a number";
	return broken;
}
