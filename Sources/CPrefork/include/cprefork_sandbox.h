// What a process forbids itself: Landlock's rules and a seccomp filter, for the calling thread and all that it starts.
#ifndef CPREFORK_SANDBOX_H
#define CPREFORK_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// Ready to be entered. The memory and the descriptor stay the caller's.
struct cprefork_sandbox {
    int ruleset;  ///< a Landlock ruleset, or -1 for no rules
    /// Instructions of classic BPF, each a `struct sock_filter` of eight bytes.
    const uint64_t *_Nullable filter;
    uint16_t filter_length;  ///< 0: no filter
};

enum cprefork_sandbox_step {
    CPREFORK_SANDBOX_ENTERED,
    CPREFORK_SANDBOX_NO_NEW_PRIVILEGES,
    CPREFORK_SANDBOX_RULES,
    CPREFORK_SANDBOX_FILTER,
};

/// Binds the calling thread, and what it starts later, for good. The filter comes last, because it need not allow the
/// other calls. Makes raw system calls only: it may run between clone and exec.
///
/// Returns CPREFORK_SANDBOX_ENTERED, or the step that the kernel has refused, with errno.
int cprefork_enter_sandbox(const struct cprefork_sandbox *sandbox);

/// The version of the kernel's Landlock (landlock(7)), or 0 where there is none, or it is turned off.
int cprefork_landlock_version(void);

/// Whether the kernel has seccomp filters.
bool cprefork_has_seccomp_filters(void);

/// A new ruleset, or -1 with errno. Rights and scopes that the kernel does not know are EINVAL or E2BIG.
int cprefork_landlock_ruleset(uint64_t files, uint64_t ports, uint64_t scopes);
/// 0, or -1 with errno.
int cprefork_landlock_allow_path(int ruleset, int path, uint64_t rights);
int cprefork_landlock_allow_port(int ruleset, uint16_t port, uint64_t rights);

/// open(2) with O_PATH, or -1 with errno. `is_directory` is set to 1 or 0.
int cprefork_open_for_rule(const char *path, int *is_directory);

/// AUDIT_ARCH_... of this program's system calls (seccomp(2)).
uint32_t cprefork_call_architecture(void);

/// Where the program of the Swift runtime's backtraces is, or NULL. The caller must free it.
char *_Nullable cprefork_backtracer_path(void);

/// An object that this process has loaded.
struct cprefork_object {
    const char *_Nullable path;  ///< empty for the program itself
    uintptr_t base;              ///< what was added to the file's addresses
    uintptr_t start, end;        ///< its code
    const unsigned char *_Nullable build_id;
    size_t build_id_length;
};

/// The object of that number in dl_iterate_phdr(3)'s order. Returns 0 behind the last one.
int cprefork_loaded_object(int number, struct cprefork_object *object);

#pragma clang assume_nonnull end
#endif
