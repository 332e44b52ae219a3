#define _GNU_SOURCE
#include "cprefork.h"
#include "thread_numbers.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// Below: a number that an ordinary variable might have, too. In a container, where a supervisor has so small a process
// ID, only the words that symbols name are corrected.
enum { SMALLEST_SAFE_NUMBER = 1024 };

// A call by name would look the name up in each child (see `cprefork_bind_symbols`).
static char *(*volatile const find)(const char *, const char *) = strstr;

struct renumbering {
    uint32_t before;
    uint32_t now;
};

// Swift's code is in the program and in Swift's libraries. Thread-local words of other libraries are left alone,
// because some of them hold a process ID on purpose, to notice a fork.
static int holds_swift(const char *name) { return name[0] == '\0' || find(name, "libswift") != NULL; }

// Whatever such a word holds other than 0, "not asked yet", is the ID of a thread of a parent or of its parent.
static void renumber_known(uint32_t *block, struct thread_words known, uint32_t now) {
    for (uint32_t i = 0; i < known.count; i++) {
        uint32_t *word = block + known.offsets[i] / sizeof *block;
        if (*word != 0) *word = now;
    }
}

// For a file without symbols: by what the words hold.
static void renumber_likely(uint32_t *block, const struct dl_phdr_info *info, const struct renumbering *numbers) {
    if (numbers->before < SMALLEST_SAFE_NUMBER || !holds_swift(info->dlpi_name)) return;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_TLS) continue;
        for (size_t word = 0; word < info->dlpi_phdr[i].p_memsz / sizeof *block; word++) {
            if (block[word] == numbers->before) block[word] = numbers->now;
        }
    }
}

static int renumber(struct dl_phdr_info *info, size_t size, void *context) {
    const struct renumbering *numbers = context;
    if (size < sizeof *info || info->dlpi_tls_data == NULL) return 0;
    struct thread_words known = cprefork_thread_words(info);
    if (known.count > 0) {
        renumber_known(info->dlpi_tls_data, known, numbers->now);
    } else {
        renumber_likely(info->dlpi_tls_data, info, numbers);
    }
    return 0;
}

void cprefork_renumber_thread(int before) {
    struct renumbering numbers = {(uint32_t)before, (uint32_t)syscall(SYS_gettid)};
    dl_iterate_phdr(renumber, &numbers);
}
