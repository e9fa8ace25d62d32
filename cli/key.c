/* Key files: one line, the base64 of the libp2p PrivateKey protobuf, readable by the owner alone.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX 4096

static const char key_help[] =
        "karakp2p key new FILE    make an Ed25519 identity in FILE (mode 0600; never overwrites)\n"
        "karakp2p key id FILE     print the peer id of the identity in FILE\n";

/* 0, or an errno. A disk that is nearly full takes a part, and says why not all of it when it is
 * asked again. */
static int key_write(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, p, n);
		if (put < 0 && errno != EINTR)
			return errno;
		if (put > 0) {
			p += put;
			n -= (size_t)put;
		}
	}
	return 0;
}

/* Writes key and a newline to a new file. 0, or an errno. */
static int key_write_new(const char *path, const char *key)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	int err = key_write(fd, key, strlen(key));
	if (err == 0)
		err = key_write(fd, "\n", 1);
	if (err == 0 && fsync(fd) != 0)
		err = errno;
	if (close(fd) != 0 && err == 0)
		err = errno;
	if (err != 0)
		unlink(path); /* half a key is worse than none */
	return err;
}

static char *key_make(const char *path)
{
	kp2p_error *e = NULL;
	char *key = kp2p_key_generate(1, &e);
	if (key == NULL) {
		cli_fail("cannot make a key", kp2p_error_code(e), e);
		return NULL;
	}
	int err = key_write_new(path, key);
	char *copy = err == 0 ? strdup(key) : NULL;
	kp2p_free(key);
	if (err != 0)
		fprintf(stderr, "karakp2p: cannot write the key file %s: %s\n", path,
		        err == EEXIST ? "it exists already and is never overwritten"
		                      : strerror(err));
	return copy;
}

void cli_key_free(char *key)
{
	if (key != NULL)
		explicit_bzero(key, strlen(key));
	free(key);
}

char *cli_key_load(const char *path, bool create)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && create)
		return key_make(path);
	if (fd < 0) {
		fprintf(stderr, "karakp2p: cannot read the key file %s: %s\n", path,
		        strerror(errno));
		return NULL;
	}
	struct stat st;
	if (fstat(fd, &st) == 0 && (st.st_mode & 077) != 0)
		fprintf(stderr,
		        "karakp2p: warning: the key file %s can be read by others; chmod 600 it\n",
		        path);
	char *text = calloc(1, KEY_FILE_MAX + 1);
	ssize_t n = text ? read(fd, text, KEY_FILE_MAX) : -1;
	close(fd);
	if (n <= 0) {
		fprintf(stderr, "karakp2p: cannot read the key file %s: %s\n", path,
		        n == 0 ? "it is empty" : strerror(errno));
		free(text);
		return NULL;
	}
	text[strcspn(text, "\r\n")] = '\0';
	return text;
}

static int key_id(const char *path)
{
	kp2p_error *e = NULL;
	char *key = cli_key_load(path, false);
	if (key == NULL)
		return EXIT_FAILED;
	char *id = kp2p_key_peer_id(key, &e);
	cli_key_free(key);
	if (id == NULL) {
		cli_fail(path, kp2p_error_code(e), e);
		return EXIT_FAILED;
	}
	puts(id);
	kp2p_free(id);
	return EXIT_OK;
}

static int key_new(const char *path)
{
	char *key = key_make(path);
	if (key == NULL)
		return EXIT_FAILED;
	cli_key_free(key);
	return key_id(path);
}

int cli_key(int argc, char **argv)
{
	if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
		fputs(key_help, stdout);
		return EXIT_OK;
	}
	if (argc == 0)
		return cli_misused("key", "say `new FILE` or `id FILE`");
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(key_help, stdout);
		return EXIT_OK;
	}
	bool is_new = strcmp(argv[0], "new") == 0;
	if (!is_new && strcmp(argv[0], "id") != 0)
		return cli_misused("key", "unknown action \"%s\"; say `new FILE` or `id FILE`",
		                   argv[0]);
	if (argc != 2)
		return cli_misused("key", "`key %s` takes exactly one FILE", argv[0]);
	return is_new ? key_new(argv[1]) : key_id(argv[1]);
}
