/* `karakp2p sim` where the library comes as one file: the simulator is not in that. */
#include "cli.h"

int cli_sim(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return cli_misused("sim", "this build has no simulator; a build of the repository has");
}
