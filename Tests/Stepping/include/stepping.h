// Running another process instruction by instruction (ptrace(2)), to stop or kill it at any one of them.
#ifndef STEPPING_H
#define STEPPING_H

#include <sys/types.h>

/// In the child: lets its parent trace it, and stops until the parent steps.
void stepping_begin(void);

/// In the parent: waits for the child to stop in `stepping_begin`. Returns 0, or -1 when it has ended.
int stepping_wait(pid_t child);

/// Lets the child execute `count` instructions. Returns how many it did. Fewer if it has ended, which reaps it.
long stepping_run(pid_t child, long count);

/// Kills a stopped child where it is and reaps it.
void stepping_kill(pid_t child);

/// Lets the child go on without being traced.
void stepping_release(pid_t child);

#endif
