#define _GNU_SOURCE
#include "cprefork_stack.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t *_Atomic area;
static atomic_int doorbell = -1;
static atomic_bool is_writing;

static void put(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }

/// Runs in the hung thread, at any instant: stores, and one write(2) to a descriptor of this process's own, which does
/// not wait. The unwinder of GCC 12 finds its tables without a lock (_dl_find_object, glibc 2.35). With an older one a
/// thread that hangs inside dlopen(3) may not get past backtrace, and is killed by its hard deadline like any other.
static void on_dump_signal(int number, siginfo_t *info, void *context) {
    (void)info;
    (void)context;
    int saved = errno;
    uint64_t *words = atomic_load(&area);
    bool other = atomic_exchange(&is_writing, true);
    if (!other && words != NULL) {
        void *frames[CPREFORK_DUMP_FRAMES + 2];
        int count = backtrace(frames, CPREFORK_DUMP_FRAMES + 2);
        // The first two frames are this function and the kernel's trampoline.
        int skipped = count > 2 ? 2 : 0;
        put(words + CPREFORK_DUMP_THREAD, (uint64_t)syscall(SYS_gettid));
        put(words + CPREFORK_DUMP_SIGNAL, (uint64_t)number);
        put(words + CPREFORK_DUMP_COUNT, (uint64_t)(count - skipped));
        for (int index = skipped; index < count; index++) {
            put(words + CPREFORK_DUMP_FIRST_FRAME + (index - skipped), (uint64_t)(uintptr_t)frames[index]);
        }
        // Last: a reader that sees another number sees the whole dump.
        uint64_t dumps = __atomic_load_n(words + CPREFORK_DUMP_NUMBER, __ATOMIC_RELAXED);
        __atomic_store_n(words + CPREFORK_DUMP_NUMBER, dumps + 1, __ATOMIC_RELEASE);
        uint64_t one = 1;
        int bell = atomic_load(&doorbell);
        if (bell >= 0 && write(bell, &one, sizeof one) < 0) { /* full: it rings already */ }
    }
    if (!other) atomic_store(&is_writing, false);
    errno = saved;
}

int cprefork_install_stack_dump(int signal, uint64_t *words, int bell) {
    void *frames[4];
    backtrace(frames, 4);
    atomic_store(&doorbell, bell);
    atomic_store(&area, words);
    // Returns to the interrupted code: abort(3) then ends the process all the same, and a dump on request does no harm.
    struct sigaction ours = {.sa_sigaction = on_dump_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&ours.sa_mask);
    return sigaction(signal, &ours, NULL);
}

static int visit_object(struct dl_phdr_info *object, size_t size, void *context) {
    (void)size;
    struct cprefork_symbol *symbol = context;
    if (object->dlpi_addr != symbol->base) return 0;
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[index];
        if (segment->p_type != PT_NOTE) continue;
        const unsigned char *notes = (const unsigned char *)(symbol->base + segment->p_vaddr);
        symbol->build_id = cprefork_build_id_in_notes(notes, segment->p_memsz, &symbol->build_id_length);
        if (symbol->build_id != NULL) return 1;
    }
    return 1;
}

/// The Swift runtime's function, if available: a C program has no runtime, and a static one may not export it.
extern char *swift_demangle(const char *name, size_t length, char *buffer, size_t *capacity, uint32_t flags)
    __attribute__((weak));

char *cprefork_demangle(const char *name) {
    return swift_demangle == NULL ? NULL : swift_demangle(name, strlen(name), NULL, NULL, 0);
}

int cprefork_find_symbol(uintptr_t address, struct cprefork_symbol *symbol) {
    Dl_info info;
    struct link_map *map = NULL;
    // The address is compared with the bounds of the loaded objects and never followed.
    if (dladdr1((void *)address, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || map == NULL) return 0;
    symbol->module = map->l_name;
    symbol->name = info.dli_sname;
    symbol->base = map->l_addr;
    symbol->offset = address - (info.dli_sname != NULL ? (uintptr_t)info.dli_saddr : map->l_addr);
    symbol->build_id = NULL;
    symbol->build_id_length = 0;
    dl_iterate_phdr(visit_object, symbol);
    return 1;
}

int cprefork_real_time_signal(int offset) { return SIGRTMAX + offset; }

int cprefork_first_real_time_signal(void) { return SIGRTMIN; }
