/* What `karakp2p node` does with a line of input and with an event of its node. */
#ifndef CLI_NODE_COMMAND_H
#define CLI_NODE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <karakp2p.h>

#define NODE_REQUESTS_MAX 64

/* A request whose completion is still to come. */
struct node_request {
	int64_t token; /* 0 = free */
	int op;
	char *arg;
	char **addrs; /* of a find, gathered until the last event */
	size_t n_addrs;
};

struct node_command {
	kp2p_node *node;
	kp2p_sender *sender;
	const char *topic; /* the one that lines are published to; NULL = none */
	int64_t next_token;
	struct node_request requests[NODE_REQUESTS_MAX];
};

/* A line without its newline. False when the send queue is full: offer the same line again once the
 * sender's fd is readable. */
bool node_command_line(struct node_command *nc, const char *line, size_t len);

void node_command_event(struct node_command *nc, kp2p_event *ev);
void node_command_listening(struct node_command *nc);
void node_command_closed(struct node_command *nc);

#endif
