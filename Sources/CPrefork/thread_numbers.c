#define _GNU_SOURCE
#include "cprefork.h"

#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// Below: a number that an ordinary variable might have, too. A supervisor with so small a process ID, as in a
// container, has children whose copies stay as they were inherited.
enum { SMALLEST_SAFE_NUMBER = 1024 };

struct renumbering {
    uint32_t before;
    uint32_t now;
};

// Swift's code is in the program and in Swift's own libraries; thread-local words of others are none of our business,
// and some of them hold a process ID on purpose, to notice a fork.
static int holds_swift(const char *name) { return name[0] == '\0' || strstr(name, "libswift") != NULL; }

static int renumber(struct dl_phdr_info *info, size_t size, void *context) {
    const struct renumbering *numbers = context;
    if (size < sizeof *info || info->dlpi_tls_data == NULL || !holds_swift(info->dlpi_name)) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_TLS) continue;
        uint32_t *words = info->dlpi_tls_data;
        for (size_t word = 0; word < info->dlpi_phdr[i].p_memsz / sizeof *words; word++) {
            if (words[word] == numbers->before) words[word] = numbers->now;
        }
    }
    return 0;
}

void cprefork_renumber_thread(int before) {
    struct renumbering numbers = {(uint32_t)before, (uint32_t)syscall(SYS_gettid)};
    if (before >= SMALLEST_SAFE_NUMBER) dl_iterate_phdr(renumber, &numbers);
}
