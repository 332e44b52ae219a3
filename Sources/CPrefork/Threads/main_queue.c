#define _GNU_SOURCE
#include "cprefork.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// An eventfd(2) that says whether the main queue has work. libdispatch makes it with the first work, or in this call.
// CoreFoundation's run loop on Linux is built on it. Weak: a program without Swift's concurrency has no libdispatch.
extern int _dispatch_get_main_queue_handle_4CF(void) __attribute__((weak));

// Whether the descriptor is an eventfd that has been written and not read (proc_pid_fdinfo(5)).
static bool is_rung(const char *name) {
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%s", name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    ssize_t count = read(file, text, sizeof text - 1);
    close(file);
    text[count > 0 ? count : 0] = '\0';
    const char *value = strstr(text, "eventfd-count:");
    return value != NULL && strtoull(value + strlen("eventfd-count:"), NULL, 16) > 0;
}

bool cprefork_main_queue_has_work(void) {
    if (_dispatch_get_main_queue_handle_4CF == NULL) return false;
    DIR *directory = opendir("/proc/self/fdinfo");
    if (directory == NULL) return false;
    bool found = false;
    // Asked only when there is such a descriptor: the call would make one, which would stay open.
    for (struct dirent *entry = readdir(directory); entry != NULL && !found; entry = readdir(directory)) {
        if (!is_rung(entry->d_name)) continue;
        struct pollfd queue = {.fd = _dispatch_get_main_queue_handle_4CF(), .events = POLLIN};
        found = queue.fd == atoi(entry->d_name) && poll(&queue, 1, 0) == 1;
    }
    closedir(directory);
    return found;
}
