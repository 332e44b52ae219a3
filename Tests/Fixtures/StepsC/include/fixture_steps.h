// System calls of this process that fail, or end it (seccomp(2)).
#pragma once

/// From now on the call of that name fails with `error`, or ends the process if that is 0. Returns -1 on failure, for
/// example for a name that it does not know.
int fixture_refuse_call(const char *name, int error);
