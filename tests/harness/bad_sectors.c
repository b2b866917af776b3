/* A disk with bad sectors: reading these files fails with EIO, by whatever program this is loaded into (LD_PRELOAD).
   BAD_SECTORS names them, separated by colons, at the start of the program; a file that takes the place of one is good. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST 64

static struct { dev_t device; ino_t number; } bad[MOST];
static int known;

__attribute__((constructor)) static void find(void)
{
    const char *named = getenv("BAD_SECTORS");
    char *list = named ? strdup(named) : NULL, *rest = NULL;
    for (char *path = list ? strtok_r(list, ":", &rest) : NULL; path && known < MOST; path = strtok_r(NULL, ":", &rest)) {
        struct stat found;
        if (stat(path, &found) == 0) {
            bad[known].device = found.st_dev;
            bad[known++].number = found.st_ino;
        }
    }
    free(list);
}

static int fails(int descriptor)
{
    struct stat found;
    if (known && fstat(descriptor, &found) == 0)
        for (int each = 0; each < known; each++)
            if (bad[each].device == found.st_dev && bad[each].number == found.st_ino) {
                errno = EIO;
                return 1;
            }
    return 0;
}

ssize_t read(int descriptor, void *to, size_t size)
{
    return fails(descriptor) ? -1 : syscall(SYS_read, descriptor, to, size);
}

ssize_t pread(int descriptor, void *to, size_t size, off_t from)
{
    return fails(descriptor) ? -1 : syscall(SYS_pread64, descriptor, to, size, from);
}

ssize_t pread64(int descriptor, void *to, size_t size, off64_t from)
{
    return fails(descriptor) ? -1 : syscall(SYS_pread64, descriptor, to, size, from);
}
