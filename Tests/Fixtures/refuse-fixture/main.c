// `refuse-fixture ENOSYS|EPERM|EINVAL|EOPNOTSUPP CALL[,CALL ...] PROGRAM [ARGUMENT ...]`: runs a program to which the kernel
// refuses system calls, as an older kernel does (ENOSYS), a container's seccomp profile (EPERM), or a file system (the
// others). Needs no rights.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

/// A call, or one of its forms: those whose first argument has `bits` set, or is `value`.
static const struct form {
    const char *name;
    unsigned number;
    uint32_t bits;
    int64_t value;
} forms[] = {
    {"close_range", SYS_close_range, 0, -1},
    {"clone_pidfd", SYS_clone, 0x1000, -1},
    {"clone_vfork", SYS_clone, 0x4000, -1},
    {"epoll_pwait2", SYS_epoll_pwait2, 0, -1},
    {"fallocate", SYS_fallocate, 0, -1},
    {"fchmodat2", SYS_fchmodat2, 0, -1},
    {"fchownat", SYS_fchownat, 0, -1},
    {"getrandom", SYS_getrandom, 0, -1},
    {"inotify_init1", SYS_inotify_init1, 0, -1},
    {"keyctl", SYS_keyctl, 0, -1},
    {"linkat", SYS_linkat, 0, -1},
    {"memfd_create", SYS_memfd_create, 0, -1},
    {"netlink", SYS_socket, 0, 16},
    {"openat2", SYS_openat2, 0, -1},
    {"pidfd_open", SYS_pidfd_open, 0, -1},
    {"pidfd_send_signal", SYS_pidfd_send_signal, 0, -1},
    {"prctl_parent_death", SYS_prctl, 0, PR_SET_PDEATHSIG},
    {"prctl_subreaper", SYS_prctl, 0, PR_SET_CHILD_SUBREAPER},
    {"prlimit64", SYS_prlimit64, 0, -1},
    {"pwritev2", SYS_pwritev2, 0, -1},
    {"renameat2", SYS_renameat2, 0, -1},
    {"sched_setaffinity", SYS_sched_setaffinity, 0, -1},
    {"sendfile", SYS_sendfile, 0, -1},
    {"signalfd4", SYS_signalfd4, 0, -1},
    {"timer_create", SYS_timer_create, 0, -1},
    {"timerfd_create", SYS_timerfd_create, 0, -1},
    {"waitid_pidfd", SYS_waitid, 0, 3},
};

enum { FORMS = sizeof forms / sizeof *forms, PER_FORM = 6 };

static const struct form *form_named(const char *name) {
    for (int index = 0; index < FORMS; index++)
        if (strcmp(forms[index].name, name) == 0) return &forms[index];
    fprintf(stderr, "refuse-fixture: %s is not in the table\n", name);
    exit(64);
}

static int error_named(const char *name) {
    static const struct { const char *name; int number; } errors[] = {
        {"ENOSYS", ENOSYS}, {"EPERM", EPERM}, {"EINVAL", EINVAL}, {"EOPNOTSUPP", EOPNOTSUPP},
    };
    for (size_t index = 0; index < sizeof errors / sizeof *errors; index++)
        if (strcmp(errors[index].name, name) == 0) return errors[index].number;
    fprintf(stderr, "refuse-fixture: %s is not in the table\n", name);
    exit(64);
}

/// Appends: if it is this call in this form, refuse it.
static int add(struct sock_filter *filter, int count, const struct form *form, int error) {
    const struct sock_filter number = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    const struct sock_filter first = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]));
    const struct sock_filter refuse = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((unsigned)error & 0xFFFF));
    int has_argument = form->bits != 0 || form->value >= 0;
    filter[count++] = number;
    filter[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, form->number, 0, has_argument ? 3 : 1);
    if (has_argument) {
        filter[count++] = first;
        filter[count++] = form->bits != 0
            ? (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, form->bits, 0, 1)
            : (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)form->value, 0, 1);
    }
    filter[count++] = refuse;
    return count;
}

int main(int count, char **arguments) {
    if (count < 4) {
        fprintf(stderr, "usage: refuse-fixture ENOSYS|EPERM|EINVAL|EOPNOTSUPP CALL[,CALL ...] PROGRAM [ARGUMENT ...]\n");
        return 64;
    }
    int error = error_named(arguments[1]);
    struct sock_filter filter[FORMS * PER_FORM + 1];
    int length = 0, named = 0;
    for (char *name = strtok(arguments[2], ","); name != NULL && named < FORMS; name = strtok(NULL, ","), named++)
        length = add(filter, length, form_named(name), error);
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = (unsigned short)length, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        perror("refuse-fixture: seccomp");
        return 71;
    }
    execv(arguments[3], arguments + 3);
    perror(arguments[3]);
    return 71;
}
