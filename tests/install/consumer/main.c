/* Starts a node from the installed library and says who it is. */
#include <karakp2p.h>
#include <stdio.h>

int main(void)
{
	kp2p_error *e = NULL;
	kp2p_config *c = kp2p_config_new();
	if (kp2p_config_set(c, "listen", "/ip4/127.0.0.1/tcp/0", &e) < 0)
		return 1;
	kp2p_node *n = kp2p_node_new(c, &e);
	kp2p_config_free(c);
	if (n == NULL || kp2p_node_start(n, &e) < 0) {
		fprintf(stderr, "%s\n", kp2p_error_message(e));
		return 1;
	}
	char *id = kp2p_node_info(n, "peer_id", NULL);
	printf("%s %s\n", kp2p_version(), id);
	kp2p_free(id);
	kp2p_node_close(n, 100, -1);
	kp2p_node_free(n);
	return 0;
}
