// What fixtures do to their own process: system calls that fail, or end it (seccomp(2)), and hooks of Swift's runtime.
#pragma once

#include <stdint.h>

/// From now on the call of that name fails with `error`, or ends the process if that is 0. Returns -1 on failure, for
/// example for a name that it does not know.
int fixture_refuse_call(const char *name, int error);

/// Sets the hook by which a library takes the jobs of Swift's tasks. It passes them on.
void fixture_hook_executors(void);

/// Maps a file of at least 4,096 bytes, whose words stay when every process that has counted in it is gone. NULL on
/// failure.
uint64_t *fixture_map_counters(const char *path);

/// Adds one to a word of it.
void fixture_count(uint64_t *words, int index);
