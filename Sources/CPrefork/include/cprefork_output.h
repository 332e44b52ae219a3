// Standard output and standard error while code of the program's own runs that must not wait for their readers.
#ifndef CPREFORK_OUTPUT_H
#define CPREFORK_OUTPUT_H

#pragma clang assume_nonnull begin

/// From here on, what this process writes to descriptors 1 and 2 goes into memory, where they are of a kind that can
/// make a writer wait: a pipe, a socket, a terminal. For the only thread of a process. Calls nest.
///
/// A crash signal and exit(3) first put back what was there, and pass on what was written, as far as that needs no
/// wait.
void cprefork_divert_output(void);

/// The end of the outermost call: stdio's buffers are written out, and the descriptors are what they were, unless they
/// were given another file meanwhile, which stays.
/// `memory`: for each of the two an open file with what was written, for the caller to read and close, or -1. What
/// another process that has it open writes there from now on is refused. Returns whether it was the outermost call.
int cprefork_return_output(int memory[_Nonnull 2]);

/// In a child that was forked meanwhile: nothing is diverted there.
void cprefork_leave_diversion(void);

/// fflush(NULL) in between: what stdout cannot pass on without waiting stays in its buffer.
void cprefork_flush_without_waiting(void);

#pragma clang assume_nonnull end
#endif
