#include "cprefork_host.h"

#include <sys/syscall.h>

// The calls in which a process of this kind can be found waiting. Numbers differ by machine, and newer machines lack
// the older calls.
static const struct { long number; const char *name; } names[] = {
    {SYS_read, "read"}, {SYS_write, "write"}, {SYS_readv, "readv"}, {SYS_writev, "writev"},
    {SYS_pread64, "pread64"}, {SYS_pwrite64, "pwrite64"}, {SYS_futex, "futex"}, {SYS_epoll_pwait, "epoll_pwait"},
    {SYS_ppoll, "ppoll"}, {SYS_pselect6, "pselect6"}, {SYS_nanosleep, "nanosleep"},
    {SYS_clock_nanosleep, "clock_nanosleep"}, {SYS_recvfrom, "recvfrom"}, {SYS_sendto, "sendto"},
    {SYS_recvmsg, "recvmsg"}, {SYS_sendmsg, "sendmsg"}, {SYS_accept4, "accept4"}, {SYS_accept, "accept"},
    {SYS_connect, "connect"}, {SYS_wait4, "wait4"}, {SYS_waitid, "waitid"}, {SYS_flock, "flock"},
    {SYS_fcntl, "fcntl"}, {SYS_fsync, "fsync"}, {SYS_fdatasync, "fdatasync"}, {SYS_openat, "openat"},
    {SYS_restart_syscall, "restart_syscall"}, {SYS_rt_sigtimedwait, "rt_sigtimedwait"},
    {SYS_rt_sigsuspend, "rt_sigsuspend"}, {SYS_getrandom, "getrandom"}, {SYS_sendfile, "sendfile"},
#ifdef SYS_epoll_pwait2
    {SYS_epoll_pwait2, "epoll_pwait2"},
#endif
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, "epoll_wait"},
#endif
#ifdef SYS_poll
    {SYS_poll, "poll"},
#endif
#ifdef SYS_select
    {SYS_select, "select"},
#endif
#ifdef SYS_pause
    {SYS_pause, "pause"},
#endif
#ifdef SYS_open
    {SYS_open, "open"},
#endif
};

const char *cprefork_system_call_name(long number) {
    for (size_t index = 0; index < sizeof names / sizeof *names; index++)
        if (names[index].number == number) return names[index].name;
    return NULL;
}
