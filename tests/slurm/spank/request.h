/* What srun's --container-* options ask for. */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATH_LENGTH 4096

struct request {
	char *image;	/* directory, squashfs file, or a name in the plug-in's registry */
	char *mounts;	/* SRC:DST[:FLAGS],... */
	char *workdir;
	char *name;	/* without its flag */
	char *name_flag;	/* auto, create, exec, no_exec, or NULL */
	char *kept;	/* --container-env: names that the image's environment doesn't override */
	bool writable, readonly;
	bool home, no_home;
	bool remap, no_remap;
	bool entrypoint, no_entrypoint;
};

/* Builds the root file system and makes it this process's own. 0, or -1 after a message. */
int enter_container(const struct request *request, const char *registry, uint32_t job);

/* Ends what the named containers of a job hold on this node. */
void remove_containers(uint32_t job);

/* Writes a message where the user sees it, and returns -1. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
