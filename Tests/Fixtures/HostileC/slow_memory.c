// Memory whose first touch waits for as long as its owner likes: userfaultfd(2).
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hostile.h"

enum { BYTES = 4096 };

void *hostile_slow_memory(int *faults) {
    *faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (*faults < 0) return NULL;
    struct uffdio_api version = {.api = UFFD_API};
    void *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {
        .range = {.start = (unsigned long)memory, .len = BYTES}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (memory != MAP_FAILED && ioctl(*faults, UFFDIO_API, &version) == 0 &&
        ioctl(*faults, UFFDIO_REGISTER, &range) == 0)
        return memory;
    close(*faults);
    return NULL;
}

void hostile_give_memory(void *memory, int faults) {
    static char page[2 * BYTES];
    char *source = page + BYTES - (unsigned long)page % BYTES;
    memset(source, 'x', BYTES);
    struct uffdio_copy copy = {.dst = (unsigned long)memory, .src = (unsigned long)source, .len = BYTES};
    ioctl(faults, UFFDIO_COPY, &copy);
    close(faults);
}
