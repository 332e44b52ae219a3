#define _GNU_SOURCE
#include "cprefork.h"

#include <string.h>

const char *cprefork_errno_name(int number) { return strerrorname_np(number); }

const char *cprefork_errno_text(int number) { return strerrordesc_np(number); }

const char *cprefork_signal_name(int number) { return sigabbrev_np(number); }
