// landlock(7) and seccomp(2). Headers that are older than the kernel know neither their calls nor their structures.
#define _GNU_SOURCE
#include "cprefork_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// The same on all architectures.
enum { LANDLOCK_CREATE = 444, LANDLOCK_ADD = 445, LANDLOCK_RESTRICT = 446 };
enum { GET_VERSION = 1, BELOW_PATH = 1, OF_PORT = 2 };

struct landlock_ruleset {
    uint64_t files, ports, scopes;
};

/// Packed in the kernel's interface.
struct landlock_below_path {
    uint64_t rights;
    int32_t path;
} __attribute__((packed));

struct landlock_of_port {
    uint64_t rights, port;
};

_Static_assert(sizeof(struct sock_filter) == sizeof(uint64_t), "an instruction is a word");

int cprefork_enter_sandbox(const struct cprefork_sandbox *sandbox) {
    // Both ask for it: else a set-user-ID program would run under rules that it does not expect (seccomp(2)).
    if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return CPREFORK_SANDBOX_NO_NEW_PRIVILEGES;
    if (sandbox->ruleset >= 0 && syscall(LANDLOCK_RESTRICT, sandbox->ruleset, 0) < 0) return CPREFORK_SANDBOX_RULES;
    if (sandbox->filter_length > 0) {
        struct sock_fprog program = {.len = sandbox->filter_length, .filter = (struct sock_filter *)sandbox->filter};
        // Not seccomp(2), which filters of service managers may refuse: prctl(2) does the same without flags.
        if (syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0) return CPREFORK_SANDBOX_FILTER;
    }
    return CPREFORK_SANDBOX_ENTERED;
}

int cprefork_landlock_version(void) {
    long version = syscall(LANDLOCK_CREATE, NULL, 0, GET_VERSION);
    return version > 0 ? (int)version : 0;
}

bool cprefork_has_seccomp_filters(void) {
    // Without a program: EFAULT where there are filters, EINVAL where there are none.
    return syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) < 0 && errno == EFAULT;
}

int cprefork_landlock_ruleset(uint64_t files, uint64_t ports, uint64_t scopes) {
    struct landlock_ruleset rules = {.files = files, .ports = ports, .scopes = scopes};
    // An older kernel knows a shorter one, and takes this one if the rest is zero. The descriptor is close-on-exec.
    return (int)syscall(LANDLOCK_CREATE, &rules, sizeof rules, 0);
}

int cprefork_landlock_allow_path(int ruleset, int path, uint64_t rights) {
    struct landlock_below_path rule = {.rights = rights, .path = path};
    return (int)syscall(LANDLOCK_ADD, ruleset, BELOW_PATH, &rule, 0);
}

int cprefork_landlock_allow_port(int ruleset, uint16_t port, uint64_t rights) {
    struct landlock_of_port rule = {.rights = rights, .port = port};
    return (int)syscall(LANDLOCK_ADD, ruleset, OF_PORT, &rule, 0);
}

int cprefork_open_for_rule(const char *path, int *is_directory) {
    int number = open(path, O_PATH | O_CLOEXEC);
    struct stat status;
    if (number >= 0) *is_directory = fstat(number, &status) == 0 && S_ISDIR(status.st_mode);
    return number;
}

uint32_t cprefork_call_architecture(void) {
#if defined(__x86_64__)
    return AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
    return AUDIT_ARCH_AARCH64;
#else
    return 0;
#endif
}

/// The Swift runtime's function, if available: a C program has no runtime, and a static one may not export it.
extern char *swift_copyAuxiliaryExecutablePath(const char *name) __attribute__((weak));

char *cprefork_backtracer_path(void) {
    if (swift_copyAuxiliaryExecutablePath == NULL) return NULL;
    return swift_copyAuxiliaryExecutablePath("swift-backtrace");
}
