/* The root file system of a container: an image below, a writable layer above, and bind mounts. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "request.h"

#define BASE "/run/test-containers"

/* A path from parts; one that doesn't fit is cut and then doesn't exist. */
#define PATH(variable, ...) \
	char variable[PATH_LENGTH]; \
	if (snprintf(variable, sizeof variable, __VA_ARGS__) >= (int)sizeof variable) \
		return fail("path too long: %s", variable)

static int make_directories(const char *path)
{
	char text[PATH_LENGTH];
	snprintf(text, sizeof text, "%s", path);
	for (char *slash = strchr(text + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(text, 0755);
		*slash = '/';
	}
	mkdir(text, 0755);
	struct stat about;
	if (stat(path, &about) != 0 || !S_ISDIR(about.st_mode))
		return fail("cannot make directory %s: %s", path, strerror(errno));
	return 0;
}

static int bind_mount(const char *source, const char *root, const char *inside, bool read_only)
{
	PATH(target, "%s%s", root, inside);
	struct stat about;
	if (stat(source, &about) != 0)
		return fail("mount source %s: %s", source, strerror(errno));
	if (S_ISDIR(about.st_mode)) {
		if (make_directories(target) != 0)
			return -1;
	} else {
		char *slash = strrchr(target, '/');
		*slash = '\0';
		if (make_directories(target) != 0)
			return -1;
		*slash = '/';
		int file = open(target, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		if (file >= 0)
			close(file);
	}
	if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) != 0)
		return fail("mount %s at %s: %s", source, inside, strerror(errno));
	if (read_only && mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0)
		return fail("mount %s read-only: %s", inside, strerror(errno));
	return 0;
}

/* One of --container-mounts: SRC[:DST[:FLAG+FLAG]]. */
static int user_mount(char *text, const char *root)
{
	char *source = strsep(&text, ":");
	char *inside = strsep(&text, ":");
	char *flags = strsep(&text, ":");
	bool read_only = false;
	if (text != NULL)
		return fail("--container-mounts: too many colons after %s", source);
	if (inside == NULL)
		inside = source;
	if (*source != '/' || *inside != '/')
		return fail("--container-mounts: not absolute: %s:%s", source, inside);
	for (char *flag = strsep(&flags, "+"); flag != NULL; flag = strsep(&flags, "+")) {
		if (strcmp(flag, "ro") == 0)
			read_only = true;
		else if (strcmp(flag, "rw") != 0)
			return fail("--container-mounts: unknown flag %s of %s", flag, source);
	}
	return bind_mount(source, root, inside, read_only);
}

static int user_mounts(const struct request *request, const char *root)
{
	if (request->home && getenv("HOME") != NULL && bind_mount(getenv("HOME"), root, getenv("HOME"), false) != 0)
		return -1;
	if (request->mounts == NULL)
		return 0;
	char *list = strdup(request->mounts);
	char *rest = list;
	int result = 0;
	for (char *one = strsep(&rest, ","); one != NULL && result == 0; one = strsep(&rest, ","))
		result = user_mount(one, root);
	free(list);
	return result;
}

/* What every container has, and what this image takes from the node instead of holding it. */
static int system_mounts(const char *root)
{
	static const char *const shared[] = { "/proc", "/sys", "/dev", "/etc/hosts", "/etc/resolv.conf", NULL };
	for (int i = 0; shared[i] != NULL; i++)
		if (access(shared[i], F_OK) == 0 && bind_mount(shared[i], root, shared[i], false) != 0)
			return -1;
	PATH(temporary, "%s/tmp", root);
	if (make_directories(temporary) != 0 || mount("none", temporary, "tmpfs", 0, "mode=1777") != 0)
		return fail("no /tmp: %s", strerror(errno));
	PATH(list, "%s/.from-host", root);
	FILE *file = fopen(list, "r");
	char line[PATH_LENGTH];
	int result = 0;
	while (file != NULL && result == 0 && fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		result = bind_mount(line, root, line, true);
	}
	if (file != NULL)
		fclose(file);
	return result;
}

static int mount_squashfs(const char *image, const char *at)
{
	char *const command[] = { "mount", "-o", "loop,ro", "-t", "squashfs", (char *)image, (char *)at, NULL };
	int status = -1;
	pid_t child = fork();
	if (child == 0) {
		execv("/bin/mount", command);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		return fail("not a squashfs image: %s", image);
	return 0;
}

/* The overlay of an image and an empty layer, at PLACE/root. */
static int mount_image(const char *image, const char *place)
{
	PATH(lower, "%s/image", place);
	PATH(root, "%s/root", place);
	PATH(upper, "%s/upper", place);
	PATH(work, "%s/work", place);
	struct stat about;
	if (stat(image, &about) != 0)
		return fail("no such image: %s", image);
	if (make_directories(lower) || make_directories(root) || make_directories(upper) || make_directories(work))
		return -1;
	if (!S_ISDIR(about.st_mode)) {
		if (mount_squashfs(image, lower) != 0)
			return -1;
	} else if (mount(image, lower, NULL, MS_BIND, NULL) != 0) {
		return fail("image %s: %s", image, strerror(errno));
	}
	char layers[PATH_LENGTH * 3 + 64];
	snprintf(layers, sizeof layers, "lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work);
	if (mount("overlay", root, "overlay", 0, layers) != 0)
		return fail("overlay %s: %s", layers, strerror(errno));
	return 0;
}

/* The path of an image: names of a registry are entries of a directory. */
static int find_image(const char *image, const char *registry, char *path)
{
	if (*image == '/') {
		snprintf(path, PATH_LENGTH, "%s", image);
		return 0;
	}
	if (registry == NULL)
		return fail("no registry here for image %s", image);
	int start = snprintf(path, PATH_LENGTH, "%s/", registry);
	snprintf(path + start, PATH_LENGTH - (size_t)start, "%s", image);
	for (char *letter = path + start; *letter != '\0'; letter++)
		if (strchr("/#:", *letter) != NULL)
			*letter = '+';
	return 0;
}

/* Every import is written down beside the image, and takes as long as the image says: `IMAGE.imports`, `.import-s`. */
static void note_import(const char *image)
{
	char path[PATH_LENGTH + 16], host[256] = "";
	snprintf(path, sizeof path, "%s/.import-s", image);
	FILE *file = fopen(path, "r");
	int seconds = 0;
	if (file != NULL && fscanf(file, "%d", &seconds) == 1)
		sleep((unsigned)seconds);
	if (file != NULL)
		fclose(file);
	gethostname(host, sizeof host - 1);
	snprintf(path, sizeof path, "%s.imports", image);
	file = fopen(path, "a");
	if (file != NULL) {
		fprintf(file, "%s\n", host);
		fclose(file);
	}
}

/* A named container is mounted once on the node, and is there for all steps of the job until its end. */
static int open_named(const struct request *request, const char *image, uint32_t job, char *place)
{
	snprintf(place, PATH_LENGTH, BASE "/%u/%s", job, request->name);
	PATH(made_from, "%s/made-from", place);
	if (make_directories(place) != 0)
		return -1;
	int lock = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	flock(lock, LOCK_EX);
	char before[PATH_LENGTH] = "";
	int result = 0;
	ssize_t length = readlink(made_from, before, sizeof before - 1);
	const char *flag = request->name_flag ? request->name_flag : "auto";
	if (length > 0 && strcmp(flag, "create") == 0)
		result = fail("container %s is there already", request->name);
	else if (length > 0 && image != NULL && strcmp(before, image) != 0)
		result = fail("container %s was made from %s, not from %s", request->name, before, image);
	else if (length <= 0 && (image == NULL || strcmp(flag, "exec") == 0))
		result = fail("no container named %s on this node", request->name);
	else if (length <= 0 && (result = mount_image(image, place)) == 0) {
		note_import(image);
		result = symlink(image, made_from);
	}
	close(lock);
	return result;
}

static int change_root(const char *root)
{
	if (chdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
		return fail("pivot_root %s: %s", root, strerror(errno));
	if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
		return fail("leaving the old root: %s", strerror(errno));
	return 0;
}

int enter_container(const struct request *request, const char *registry, uint32_t job)
{
	char place[PATH_LENGTH] = BASE "/own";
	char image[PATH_LENGTH];
	if (request->image != NULL && find_image(request->image, registry, image) != 0)
		return -1;
	if (request->name != NULL && open_named(request, request->image ? image : NULL, job, place) != 0)
		return -1;
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return fail("no mount namespace: %s", strerror(errno));
	if (request->name == NULL) {
		if (make_directories(place) != 0 || mount("none", place, "tmpfs", 0, "mode=755") != 0)
			return fail("no place for a container: %s", strerror(errno));
		if (mount_image(image, place) != 0)
			return -1;
	}
	PATH(root, "%s/root", place);
	if (mount(root, root, NULL, MS_BIND, NULL) != 0)
		return fail("root: %s", strerror(errno));
	if (system_mounts(root) != 0 || user_mounts(request, root) != 0)
		return -1;
	if (!request->writable && mount(NULL, root, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0)
		return fail("read-only root: %s", strerror(errno));
	return change_root(root);
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
	(void)about, (void)kind, (void)where;
	remove(path);
	return 0;
}

void remove_containers(uint32_t job)
{
	char place[PATH_LENGTH];
	snprintf(place, sizeof place, BASE "/%u", job);
	DIR *names = opendir(place);
	if (names == NULL)
		return;
	for (struct dirent *entry = readdir(names); entry != NULL; entry = readdir(names)) {
		char path[PATH_LENGTH + 512];
		snprintf(path, sizeof path, "%s/%s/root", place, entry->d_name);
		umount2(path, MNT_DETACH);
		snprintf(path, sizeof path, "%s/%s/image", place, entry->d_name);
		umount2(path, MNT_DETACH);
	}
	closedir(names);
	nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
