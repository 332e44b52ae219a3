// Tasks that a program hands to its main actor before it forks: no process would ever run them.
#include <stdatomic.h>
#include <stddef.h>

#include "cprefork.h"

/// The runtime's: what calls it instead of its own function for each job of the main actor
/// (swift/Runtime/Concurrency.h). Weak: a program without tasks has no such runtime.
typedef __attribute__((swiftcall)) void (*enqueue_function)(void *job);
typedef __attribute__((swiftcall)) void (*enqueue_hook)(void *job, enqueue_function original);
extern enqueue_hook swift_task_enqueueMainExecutor_hook __attribute__((weak));

static atomic_int jobs;

static __attribute__((swiftcall)) void count(void *job, enqueue_function original) {
    atomic_fetch_add(&jobs, 1);
    original(job);
}

/// Before main, and so before any code of the program's own.
__attribute__((constructor)) static void begin_to_count(void) {
    if (&swift_task_enqueueMainExecutor_hook != NULL && swift_task_enqueueMainExecutor_hook == NULL)
        swift_task_enqueueMainExecutor_hook = count;
}

int cprefork_end_counting_main_jobs(void) {
    if (&swift_task_enqueueMainExecutor_hook != NULL && swift_task_enqueueMainExecutor_hook == count)
        swift_task_enqueueMainExecutor_hook = NULL;
    return atomic_load(&jobs);
}
