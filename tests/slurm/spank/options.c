/*
 * A SPANK plug-in for tests: srun runs a task in an image, as on clusters that have a container plug-in.
 *
 * It stands in for pyxis: same options, checked harder, and a real root file system of the task's own, but no
 * registry, no user namespace (tests run as root) and no entry point. Line of plugstack.conf:
 *
 *     required /path/of/container.so [registry=DIRECTORY]
 *
 * An image that is no absolute path, such as docker://nvcr.io/org/image:tag, is the entry of DIRECTORY with
 * that name, every / # : in it written as +.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <slurm/spank.h>

#include "request.h"

SPANK_PLUGIN(test_container, 1);

static struct request request;

int fail(const char *format, ...)
{
	char text[PATH_LENGTH * 2];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	slurm_error("container: %s", text);
	return -1;
}

enum option {
	IMAGE = 1, MOUNTS, WORKDIR, NAME, ENV, WRITABLE, READONLY, HOME, NO_HOME, REMAP, NO_REMAP, ENTRYPOINT, NO_ENTRYPOINT
};

static int set_text(char **field, const char *option, const char *value)
{
	if (value == NULL || *value == '\0') {
		fail("--container-%s: empty", option);
		return ESPANK_BAD_ARG;
	}
	free(*field);
	*field = strdup(value);
	return ESPANK_SUCCESS;
}

static int set_name(const char *value)
{
	if (set_text(&request.name, "name", value) != ESPANK_SUCCESS)
		return ESPANK_BAD_ARG;
	request.name_flag = NULL;
	char *colon = strchr(request.name, ':');
	if (colon != NULL) {
		*colon = '\0';
		request.name_flag = colon + 1;
		static const char *const flags[] = { "auto", "create", "exec", "no_exec", NULL };
		int known = 0;
		for (int i = 0; flags[i] != NULL; i++)
			known |= strcmp(request.name_flag, flags[i]) == 0;
		if (!known)
			return fail("--container-name: unknown flag %s", request.name_flag), ESPANK_BAD_ARG;
	}
	if (*request.name == '\0' || strchr(request.name, '/') != NULL || *request.name == '.')
		return fail("--container-name: not a name: '%s'", request.name), ESPANK_BAD_ARG;
	return ESPANK_SUCCESS;
}

static int set_workdir(const char *value)
{
	if (value == NULL || *value != '/')
		return fail("--container-workdir: not an absolute path: '%s'", value ? value : ""), ESPANK_BAD_ARG;
	return set_text(&request.workdir, "workdir", value);
}

static int on_option(int option, const char *value, int remote)
{
	(void)remote;
	switch ((enum option)option) {
	case IMAGE: return set_text(&request.image, "image", value);
	case MOUNTS: return set_text(&request.mounts, "mounts", value);
	case WORKDIR: return set_workdir(value);
	case NAME: return set_name(value);
	case ENV: return set_text(&request.kept, "env", value);
	case WRITABLE: request.writable = true; break;
	case READONLY: request.readonly = true; break;
	case HOME: request.home = true; break;
	case NO_HOME: request.no_home = true; break;
	case REMAP: request.remap = true; break;
	case NO_REMAP: request.no_remap = true; break;
	case ENTRYPOINT: request.entrypoint = true; break;
	case NO_ENTRYPOINT: request.no_entrypoint = true; break;
	}
	return ESPANK_SUCCESS;
}

#define WITH_VALUE(name, value, usage, option) { name, value, "[test container] " usage, 1, option, on_option }
#define FLAG(name, usage, option) { name, NULL, "[test container] " usage, 0, option, on_option }

static struct spank_option options[] = {
	WITH_VALUE("container-image", "IMAGE", "directory, squashfs file or name of an image", IMAGE),
	WITH_VALUE("container-mounts", "SRC:DST[:FLAGS],...", "bind mounts", MOUNTS),
	WITH_VALUE("container-workdir", "PATH", "working directory inside", WORKDIR),
	WITH_VALUE("container-name", "NAME[:FLAG]", "keep it for later steps of the job on this node", NAME),
	WITH_VALUE("container-env", "NAME,...", "variables that the image's own don't override", ENV),
	FLAG("container-writable", "writable root", WRITABLE),
	FLAG("container-readonly", "read-only root (default)", READONLY),
	FLAG("container-mount-home", "bind the home directory", HOME),
	FLAG("no-container-mount-home", "don't (default)", NO_HOME),
	FLAG("container-remap-root", "be root inside (tests always are)", REMAP),
	FLAG("no-container-remap-root", "accepted", NO_REMAP),
	FLAG("container-entrypoint", "accepted", ENTRYPOINT),
	FLAG("no-container-entrypoint", "accepted", NO_ENTRYPOINT),
	SPANK_OPTIONS_TABLE_END,
};

int slurm_spank_init(spank_t spank, int count, char **arguments)
{
	(void)count, (void)arguments;
	spank_context_t where = spank_context();
	if (where != S_CTX_LOCAL && where != S_CTX_ALLOCATOR && where != S_CTX_REMOTE)
		return 0;
	for (struct spank_option *option = options; option->name != NULL; option++)
		if (spank_option_register(spank, option) != ESPANK_SUCCESS)
			return fail("cannot register --%s", option->name);
	return 0;
}

/* What can be said before anything starts is said by srun. */
int slurm_spank_init_post_opt(spank_t spank, int count, char **arguments)
{
	(void)spank, (void)count, (void)arguments;
	if ((request.writable && request.readonly) || (request.home && request.no_home) ||
	    (request.remap && request.no_remap) || (request.entrypoint && request.no_entrypoint))
		return fail("an option and its opposite are both given");
	bool more = request.mounts || request.workdir || request.kept || request.writable || request.readonly ||
		request.home || request.no_home || request.remap || request.entrypoint || request.no_entrypoint;
	if (more && request.image == NULL && request.name == NULL)
		return fail("--container-* options without --container-image or --container-name");
	return 0;
}

static bool has_container(void)
{
	return request.image != NULL || request.name != NULL;
}

int slurm_spank_task_init_privileged(spank_t spank, int count, char **arguments)
{
	uint32_t job = 0;
	const char *registry = NULL;
	if (!has_container())
		return 0;
	for (int i = 0; i < count; i++)
		if (strncmp(arguments[i], "registry=", 9) == 0)
			registry = arguments[i] + 9;
	if (spank_get_item(spank, S_JOB_ID, &job) != ESPANK_SUCCESS)
		return fail("no job");
	return enter_container(&request, registry, job);
}

/* Whether a name is in a comma-separated list. */
static bool listed(const char *list, const char *name, size_t length)
{
	while (list != NULL && *list != '\0') {
		size_t here = strcspn(list, ",");
		if (here == length && strncmp(list, name, length) == 0)
			return true;
		list += here + (list[here] == ',');
	}
	return false;
}

/* The image's /etc/environment overrides what the job brings, except the names of --container-env. */
static void take_environment_of_image(spank_t spank)
{
	char line[PATH_LENGTH];
	FILE *file = fopen("/etc/environment", "r");
	if (file == NULL)
		return;
	while (fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		char *equals = strchr(line, '=');
		if (equals == NULL || listed(request.kept, line, (size_t)(equals - line)))
			continue;
		*equals = '\0';
		spank_setenv(spank, line, equals + 1, 1);
	}
	fclose(file);
}

/* Slurm has gone to the job's directory meanwhile, or to /tmp where the image has no such. */
int slurm_spank_task_init(spank_t spank, int count, char **arguments)
{
	(void)count, (void)arguments;
	if (!has_container())
		return 0;
	const char *directory = request.workdir ? request.workdir : "/";
	if (chdir(directory) != 0)
		return fail("--container-workdir: no such directory inside: %s", directory);
	take_environment_of_image(spank);
	spank_setenv(spank, "PWD", directory, 1);
	char flags[256];
	snprintf(flags, sizeof flags, "%s%s%s%s%s", request.writable ? "writable " : "", request.home ? "mount-home " : "",
		 request.no_home ? "no-mount-home " : "", request.remap ? "remap-root " : "",
		 request.no_entrypoint ? "no-entrypoint " : "");
	spank_setenv(spank, "TEST_CONTAINER_FLAGS", flags, 1);
	return 0;
}

int slurm_spank_job_epilog(spank_t spank, int count, char **arguments)
{
	(void)count, (void)arguments;
	uint32_t job = 0;
	if (spank_get_item(spank, S_JOB_ID, &job) == ESPANK_SUCCESS)
		remove_containers(job);
	return 0;
}
