// The C parts of the package, called as its Swift code calls them. Built for arm64 and run under qemu-user by
// Scripts/arm64: what a row says of frames, registers, atomics and structures passed to the kernel holds on that processor.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cprefork.h"
#include "cprefork_crash.h"
#include "cprefork_lock.h"
#include "cprefork_passing.h"
#include "cprefork_stack.h"

static int failures;

static void row(const char *what, int holds) {
    printf("%s  %s\n", holds ? "ok  " : "FAIL", what);
    failures += !holds;
}

static void *shared(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) { perror("mmap"); exit(1); }
    return memory;
}

__attribute__((noinline)) static void touch(volatile int *place) { *place = 1; }

__attribute__((noinline)) static void crash(void) {
    touch((volatile int *)16);
    puts("");
}

static void crash_mark(void) {
    uint64_t *area = shared(4096);
    int bell = cprefork_bell();
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        cprefork_prepare_crash_mark();
        cprefork_take_crash_signals();
        cprefork_arm_crash_mark(area, bell);
        crash();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    row("a crash ends by its own signal", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    row("its mark has signal and address", area[CPREFORK_CRASH_SIGNAL] == SIGSEGV && area[CPREFORK_CRASH_ADDRESS] == 16);
    uintptr_t first = (uintptr_t)area[CPREFORK_CRASH_FIRST_FRAME];
    row("its program counter is in the function that crashed", first >= (uintptr_t)touch && first < (uintptr_t)touch + 64);
    row("its frames have the callers", area[CPREFORK_CRASH_COUNT] >= 2 && area[CPREFORK_CRASH_COUNT] <= CPREFORK_CRASH_FRAMES);
    struct cprefork_symbol symbol;
    row("an address has a module", cprefork_find_symbol(first, &symbol) != 0 && symbol.base != 0 && symbol.base <= first);
}

static void stack_dump(void) {
    uint64_t *area = shared(4096);
    int bell = cprefork_bell();
    int signal = cprefork_first_real_time_signal();
    row("the dump signal is installed", cprefork_install_stack_dump(signal, area, bell) == 0);
    raise(signal);
    row("a dump is written and its bell rung", area[CPREFORK_DUMP_NUMBER] == 1 && area[CPREFORK_DUMP_COUNT] >= 1);
}

static void passing(void) {
    int ends[2], pipe_ends[2];
    row("a pair of packet sockets", cprefork_packet_pair(ends) == 0 && cprefork_is_packet_socket(ends[0]));
    cprefork_pipe(pipe_ends);
    row("bytes with a descriptor", cprefork_send_passing(ends[0], "hello", 5, &pipe_ends[1], 1) == 5);
    char bytes[16];
    int arrived[4], count = 4, truncated = 0;
    ssize_t length = cprefork_receive_passing(ends[1], bytes, sizeof bytes, arrived, &count, &truncated);
    row("arrive whole", length == 5 && count == 1 && !truncated && memcmp(bytes, "hello", 5) == 0);
    char letter = 0;
    row("and the descriptor works", write(arrived[0], "x", 1) == 1 && read(pipe_ends[0], &letter, 1) == 1 && letter == 'x');
}

static void words(void) {
    uint32_t *word = shared(4096);
    pid_t child = fork();
    if (child == 0) {
        while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0) cprefork_futex_wait(word, 0, 100 * 1000 * 1000);
        word[1] = 7;
        __atomic_store_n(word, 2, __ATOMIC_RELEASE);
        _exit(0);
    }
    __atomic_store_n(word, 1, __ATOMIC_RELEASE);
    cprefork_futex_wake(word);
    int status = 0;
    waitpid(child, &status, 0);
    row("a process sleeps on a word and is woken", __atomic_load_n(word, __ATOMIC_ACQUIRE) == 2 && word[1] == 7);
    uint64_t number = 0;
    row("a process is looked at", cprefork_look_at_process(getpid(), &number) != 0);
    uint64_t *lock = shared(4096);
    cprefork_set_lock_token(41);
    row("locks are remembered", cprefork_remember_locks(lock, 4, 64) >= 0 && cprefork_lock_token() == 41);
}

static void events(void) {
    int epoll = epoll_create1(EPOLL_CLOEXEC), bell = cprefork_bell();
    uint64_t sent = 0xFEDCBA9876543210;
    row("a word of 64 bits is watched", cprefork_epoll_ctl(epoll, EPOLL_CTL_ADD, bell, EPOLLIN, sent) == 0);
    cprefork_ring(bell);
    struct epoll_event event;
    row("and comes back (struct epoll_event is not packed here)",
        cprefork_epoll_wait(epoll, &event, 1, 1000000000) == 1 && cprefork_epoll_word(&event) == sent);
    row("a sleep without events ends", cprefork_silence(bell) >= 0 && cprefork_epoll_wait(epoll, &event, 1, 1000000) == 0);
    int64_t first = cprefork_monotonic_nanoseconds();
    row("clocks run", cprefork_monotonic_nanoseconds() >= first && cprefork_wall_clock_milliseconds() > 1700000000000);
}

static void memory(void) {
    int file = cprefork_memory_file("exercise");
    row("a memory file of a fixed size",
        ftruncate(file, 4096) == 0 && cprefork_seal_size(file) == 0 && cprefork_is_size_sealed(file) == 1
            && ftruncate(file, 8192) == -1 && errno == EPERM);
}

static void accepting(void) {
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // An autobound name (unix(7)) leaves no file.
    bind(listener, (struct sockaddr *)&place, sizeof(sa_family_t));
    listen(listener, 4);
    socklen_t length = sizeof place;
    getsockname(listener, (struct sockaddr *)&place, &length);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    row("a client connects", connect(client, (struct sockaddr *)&place, length) == 0);
    struct sockaddr_storage peer;
    uint32_t size = sizeof peer;
    int repaired = 0;
    int connection = cprefork_accept_shared(listener, &peer, &size, &repaired);
    row("and is accepted", connection >= 0);
    size = sizeof peer;
    row("an empty queue says so", cprefork_accept_shared(listener, &peer, &size, &repaired) < 0);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    crash_mark();
    stack_dump();
    passing();
    words();
    events();
    memory();
    accepting();
    printf("%d failed\n", failures);
    return failures != 0;
}
