#include "fixture_steps.h"

// As swift_task_enqueueGlobal_hook is called by Swift's concurrency runtime (ConcurrencyHooks.def).
typedef __attribute__((swiftcall)) void (*enqueue)(void *job);
extern void *swift_task_enqueueGlobal_hook;

static __attribute__((swiftcall)) void pass_on(void *job, enqueue original) { original(job); }

void fixture_hook_executors(void) { swift_task_enqueueGlobal_hook = (void *)pass_on; }
