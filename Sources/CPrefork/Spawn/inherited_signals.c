// What this program was started with: nohup(1) and a shell's & ignore signals for the programs that they start, and for
// those that these start in turn.
#define _GNU_SOURCE
#include "cprefork_spawn.h"

#include <signal.h>

static uint64_t ignored;

/// Before main: later the program's own choices are among them.
__attribute__((constructor(102))) static void note_ignored_signals(void) {
    for (int number = 1; number <= 64; number++) {
        struct sigaction action;
        if (number == SIGPIPE || number == SIGCHLD || sigaction(number, NULL, &action) < 0) continue;
        if (!(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN) ignored |= (uint64_t)1 << (number - 1);
    }
}

uint64_t cprefork_inherited_ignored_signals(void) { return ignored; }

bool cprefork_is_ignored(const struct sigaction *action) { return action->sa_handler == SIG_IGN; }
