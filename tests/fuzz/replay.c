/* Runs one fuzz target over files and folders of inputs, without libFuzzer: the same inputs in
 * every build, with every compiler. When one of them fails it is named. */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *replay_path; /* being run */
static unsigned replay_runs;

static void replay_failed(int sig)
{
	static const char head[] = "failed: ";
	ssize_t n = write(2, head, sizeof head - 1);
	n += write(2, replay_path, strlen(replay_path));
	n += write(2, "\n", 1);
	(void)n;
	signal(sig, SIG_DFL);
	raise(sig);
}

static void replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
		perror(path);
		exit(1);
	}
	long size = ftell(f);
	rewind(f);
	/* exactly as large as the input, so that a sanitizer sees a read behind it */
	uint8_t *data = (uint8_t *)malloc(size > 0 ? (size_t)size : 1);
	if (size < 0 || data == NULL || fread(data, 1, (size_t)size, f) != (size_t)size) {
		perror(path);
		exit(1);
	}
	fclose(f);
	replay_path = path;
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
	replay_runs++;
}

static int replay_wanted(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void replay_folder(const char *path)
{
	struct dirent **names;
	int n = scandir(path, &names, replay_wanted, alphasort);
	if (n < 0) {
		replay_file(path);
		return;
	}
	for (int i = 0; i < n; i++) {
		char file[4096];
		snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
		replay_file(file);
		free(names[i]);
	}
	free(names);
}

int main(int argc, char **argv)
{
	signal(SIGABRT, replay_failed);
	signal(SIGSEGV, replay_failed);
	for (int i = 1; i < argc; i++)
		replay_folder(argv[i]);
	printf("%u inputs\n", replay_runs);
	return replay_runs > 0 ? 0 : 1; /* a test that ran nothing has proved nothing */
}
