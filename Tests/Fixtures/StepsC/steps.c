#define _GNU_SOURCE
#include "fixture_steps.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define CALL(name) {#name, SYS_##name}
static const struct {
    const char *name;
    int number;
} calls[] = {
    CALL(openat),     CALL(read),         CALL(write),       CALL(fcntl),      CALL(mmap),   CALL(munmap),
    CALL(ftruncate),  CALL(memfd_create), CALL(socket),      CALL(bind),       CALL(listen), CALL(getsockname),
    CALL(setsockopt), CALL(unlinkat),     CALL(linkat),      CALL(timerfd_create), CALL(ioctl), CALL(getrandom),
    CALL(exit_group), CALL(close),        CALL(newfstatat),  CALL(pipe2),
};

int fixture_refuse_call(const char *name, int error) {
    int number = -1;
    for (size_t index = 0; index < sizeof calls / sizeof calls[0]; index++) {
        if (strcmp(calls[index].name, name) == 0) number = calls[index].number;
    }
    if (number < 0) return -1;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, error == 0 ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
