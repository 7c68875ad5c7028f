/* A disk that fails or is slow when it is told to: preloaded (LD_PRELOAD), it stands before fsync and fdatasync.
 * The file named by LEFTFOLD_DISK is mapped: what to do, and how often it was done. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct control {
    volatile int32_t fail;      /* the errno to fail with, 0 for none */
    volatile int32_t delay;     /* milliseconds to wait before */
    volatile int32_t calls, failed, delayed;
};

static struct control *control;

__attribute__((constructor)) static void map_control(void)
{
    const char *path = getenv("LEFTFOLD_DISK");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED)
        control = mapped;
}

static int with_faults(const char *name, int file)
{
    int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    if (control) {
        __sync_fetch_and_add(&control->calls, 1);
        if (control->delay) {
            struct timespec pause = {control->delay / 1000, control->delay % 1000 * 1000000L};
            __sync_fetch_and_add(&control->delayed, 1);
            nanosleep(&pause, NULL);
        }
        if (control->fail) {
            __sync_fetch_and_add(&control->failed, 1);
            errno = control->fail;
            return -1;
        }
    }
    return real(file);
}

int fsync(int file)
{
    return with_faults("fsync", file);
}

int fdatasync(int file)
{
    return with_faults("fdatasync", file);
}
