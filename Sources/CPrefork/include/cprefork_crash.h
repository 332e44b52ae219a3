// A process's own word of its crash, before it ends: numbers in memory that it shares with its supervisor, and a bell.
#ifndef CPREFORK_CRASH_H
#define CPREFORK_CRASH_H

#include <stdbool.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

enum {
    CPREFORK_CRASH_FRAMES = 48,
    // The words of a crash area:
    CPREFORK_CRASH_SIGNAL = 0,  ///< the signal's number, written last, 0 until then
    CPREFORK_CRASH_CODE = 1,    ///< si_code, as the low 32 bits
    CPREFORK_CRASH_ADDRESS = 2, ///< si_addr: the address touched, or of the code. For a sent signal: its sender
    CPREFORK_CRASH_THREAD = 3,
    CPREFORK_CRASH_LATER = 4,   ///< whether another handler runs now: the end may take its time
    CPREFORK_CRASH_COUNT = 5,   ///< how many frames follow: the program counter, then return addresses
    CPREFORK_CRASH_FIRST_FRAME = 6,
    CPREFORK_CRASH_WORDS = CPREFORK_CRASH_FIRST_FRAME + CPREFORK_CRASH_FRAMES,
};

int cprefork_is_crash_signal(int number);

/// Whether a thread of this process has crashed, and the process is about to end by that.
bool cprefork_has_crashed(void);

/// In a process that will fork, on the thread that does: finds out whether the Swift runtime has a handler for the
/// crash signals. Gives the thread an alternate signal stack if it lacks one, so that a stack overflow can be reported
/// (sigaltstack(2)). Children inherit both.
void cprefork_prepare_crash_mark(void);

/// Gives the calling thread an alternate signal stack if it lacks one (sigaltstack(2)), the same for every caller.
void cprefork_give_alternate_stack(void);

/// In a new child with all signals blocked: puts the handler of this package over the six crash signals (SIGILL,
/// SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV), where they have the default action or the Swift runtime's. An action
/// that the program chose stays as it is, but an ignored signal gets the default action.
void cprefork_take_crash_signals(void);

/// From now on a crash of this process, and not of children that it forks, is written to `area`, CPREFORK_CRASH_WORDS
/// long, and reported by one write(2) to the eventfd `button` (-1 for no button).
void cprefork_arm_crash_mark(uint64_t *_Nullable area, int button);

/// Locks in shared memory, for the handler: `count` words, `stride` bytes apart. A process that crashes while one of
/// them names it as the owner ends at once, without a backtrace, because others wait for it. Returns a number for
/// `cprefork_forget_locks`, or -1 if the table of 256 is full. The handler then does not check these locks.
int cprefork_remember_locks(const void *first, uint32_t count, uint32_t stride);
void cprefork_forget_locks(int number);

#pragma clang assume_nonnull end
#endif
