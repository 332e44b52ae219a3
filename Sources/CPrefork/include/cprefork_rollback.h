// The previous program, which takes this one's place again if it ends by anything but an order.
#ifndef CPREFORK_ROLLBACK_H
#define CPREFORK_ROLLBACK_H

#include <signal.h>
#include <stdbool.h>

#pragma clang assume_nonnull begin

/// Whether the end of this very process would execute the previous program.
bool cprefork_has_rollback(void);

/// From now on the previous program gets another description of what it continues to use. Call it on the main thread.
///
/// `file`: the description, as `PREFORK_HANDOVER` names it. `kept`: all descriptors that the previous program gets,
/// including `file`. They are close-on-exec until the process ends. Returns -1 and ENOMEM on failure, with everything
/// as it was.
int cprefork_describe_rollback(int file, const int *kept, int count);

/// Whether a child may live that the description does not name. Has no effect without a way back.
void cprefork_note_new_child(bool is_new);

/// The program supervises by now: its start has no limit any more. Has no effect a second time.
void cprefork_end_start_limit(void);

/// There is no way back any more, and signals have the actions that they had without one.
void cprefork_end_rollback(void);

/// The Swift runtime, where it is linked statically, installs its crash handler after the constructors of this package,
/// and leaves signals alone that have one. Finds that handler, for children and for the time without a way back.
void cprefork_find_handlers_below(void);

/// In a forked child, before it reads signal actions: restores the actions that the parent's way back has replaced.
void cprefork_leave_rollback(void);

/// The action of `number` without a way back, or `now` if it has not replaced that signal's action.
void cprefork_action_below(int number, struct sigaction *now);

#pragma clang assume_nonnull end
#endif
