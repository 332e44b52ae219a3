#define _GNU_SOURCE
#include "cprefork.h"

#include <signal.h>
#include <string.h>

/// Orders to a supervisor. They reach its children, too, when they are sent to the process group: by a terminal that is
/// closed, by a process 1 that passes signals on, by kill(1) with a negative number.
static const int orders[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU};

/// Runs at any instant in any thread.
static void on_order(int number, siginfo_t *info, void *context) {
    (void)context;
    // The terminal sends these signals to the whole group when one of its processes reads or sets its terminal in the
    // background. The call restarts when the handler returns, without end. If the signals are ignored, the call fails
    // with EIO (tty_check_change in the kernel's tty_jobctrl.c).
    if ((number == SIGTTIN || number == SIGTTOU) && info->si_code == SI_KERNEL) signal(number, SIG_IGN);
}

bool cprefork_disregard_order(int number) {
    bool is_order = false;
    for (size_t index = 0; index < sizeof orders / sizeof *orders; index++) is_order |= orders[index] == number;
    struct sigaction current;
    if (!is_order || sigaction(number, NULL, &current) < 0) return false;
    // A handler of the program's own stays, and so does what nohup(1) has set to be ignored. The supervisor never runs
    // such a handler, for it reads these signals: it is there for the children.
    if (current.sa_flags & SA_SIGINFO || current.sa_handler != SIG_DFL) return true;
    struct sigaction ours;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = on_order;
    // A handler, because a program that this process executes would inherit what is ignored (signal(7)).
    ours.sa_flags = SA_SIGINFO | SA_RESTART;
    return sigaction(number, &ours, NULL) == 0;
}
