/* Linked into a copy of the karakp2p command with --wrap=kp_noise_open: each frame that a peer
 * sends is appended, decrypted, to the file that KP2P_CAPTURE names, as a line of connection, frame
 * number and hex. capture.py takes them apart. The library itself has no such thing. */
#include "conn/noise.h"

#include <stdio.h>
#include <stdlib.h>

kp_err __real_kp_noise_open(kp_noise *n, kp_span message, kp_slice *plain);
kp_err __wrap_kp_noise_open(kp_noise *n, kp_span message, kp_slice *plain);

kp_err __wrap_kp_noise_open(kp_noise *n, kp_span message, kp_slice *plain)
{
	const char *path = getenv("KP2P_CAPTURE");
	kp_err err = __real_kp_noise_open(n, message, plain);
	FILE *f = err == KP_OK && path != NULL ? fopen(path, "a") : NULL;
	if (f == NULL)
		return err;
	fprintf(f, "%p %llu ", (void *)n, (unsigned long long)n->rx_n);
	for (size_t i = 0; i < plain->n; i++)
		fprintf(f, "%02x", plain->p[i]);
	fprintf(f, "\n");
	fclose(f);
	return err;
}
