#define _GNU_SOURCE
#include "cprefork_host.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>

int cprefork_affinity(int *processors, int capacity) {
    // As large as the kernel's own mask, or the call says EINVAL (sched_getaffinity(2)).
    for (int limit = 1024; limit <= 1 << 20; limit *= 2) {
        cpu_set_t *set = CPU_ALLOC(limit);
        if (set == NULL) return -1;
        size_t size = CPU_ALLOC_SIZE(limit);
        CPU_ZERO_S(size, set);
        int answer = sched_getaffinity(0, size, set);
        int reason = errno;
        int count = 0;
        for (int processor = 0; answer == 0 && processor < limit; processor++) {
            if (!CPU_ISSET_S(processor, size, set)) continue;
            if (count < capacity) processors[count] = processor;
            count++;
        }
        CPU_FREE(set);
        errno = reason;
        if (answer == 0) return count;
        if (reason != EINVAL) return -1;
    }
    return -1;
}

int cprefork_set_affinity(const int *processors, int count) {
    int limit = 1;
    for (int index = 0; index < count; index++) {
        if (processors[index] < 0 || processors[index] >= 1 << 20) {
            errno = EINVAL;
            return -1;
        }
        if (processors[index] >= limit) limit = processors[index] + 1;
    }
    cpu_set_t *set = CPU_ALLOC(limit);
    if (set == NULL) {
        errno = ENOMEM;
        return -1;
    }
    size_t size = CPU_ALLOC_SIZE(limit);
    CPU_ZERO_S(size, set);
    for (int index = 0; index < count; index++) CPU_SET_S(processors[index], size, set);
    int answer = sched_setaffinity(0, size, set);
    int reason = errno;
    CPU_FREE(set);
    errno = reason;
    return answer;
}
