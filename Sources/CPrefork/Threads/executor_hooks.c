#include "cprefork.h"

#include <stddef.h>

// Function pointers of Swift's concurrency runtime (ConcurrencyHooks.def), which libraries set to take jobs from the
// executors: pointfreeco's ConcurrencyExtras, for example. Weak: a program in C has no such runtime.
extern void *swift_task_enqueueGlobal_hook __attribute__((weak));
extern void *swift_task_enqueueMainExecutor_hook __attribute__((weak));

static bool is_set(void **hook) { return hook != NULL && __atomic_load_n(hook, __ATOMIC_ACQUIRE) != NULL; }

bool cprefork_has_executor_hooks(void) {
    return is_set(&swift_task_enqueueGlobal_hook) || is_set(&swift_task_enqueueMainExecutor_hook);
}
