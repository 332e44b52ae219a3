// Memory files, regular files, and listeners: attacks that damage them for every process that has them.
#define _GNU_SOURCE
#include "dice.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void spoil_files(const struct descriptors *all, struct dice *dice) {
    for (int index = 0; index < all->count; index++) {
        int number = all->numbers[index];
        struct stat status;
        if (fstat(number, &status) != 0) continue;
        flock(number, (chance(dice, 50) ? LOCK_EX : LOCK_SH) | LOCK_NB);
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        fcntl(number, F_OFD_SETLK, &lock);
        if (!S_ISREG(status.st_mode)) continue;
        off_t size = status.st_size;
        switch (below(dice, 5)) {
        case 0: if (ftruncate(number, (off_t)below(dice, (size_t)size + 1)) != 0) break; break;
        case 1: if (ftruncate(number, size + 4096) != 0) break; break;
        case 2: {
            off_t at = (off_t)below(dice, (size_t)size / 4096 + 1) * 4096;
            fallocate(number, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, 4096);
            break;
        }
        case 3: fcntl(number, F_ADD_SEALS, 1 << below(dice, 6)); break;
        default: if (pwrite(number, &(uint64_t){roll(dice)}, 8, (off_t)below(dice, (size_t)size + 1)) < 0) break; break;
        }
    }
}

void spoil_listeners(const struct descriptors *all, struct dice *dice) {
    for (int index = 0; index < all->count; index++) {
        int number = all->numbers[index];
        int listens = 0;
        socklen_t size = sizeof listens;
        if (getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens) continue;
        struct sock_filter refuse = BPF_STMT(BPF_RET | BPF_K, 0);
        struct sock_fprog program = {1, &refuse};
        struct sockaddr none = {.sa_family = AF_UNSPEC};
        switch (below(dice, 8)) {
        case 0: shutdown(number, SHUT_RD); break;
        case 1: shutdown(number, SHUT_RDWR); break;
        case 2: listen(number, 0); break;
        case 3: if (connect(number, &none, sizeof none) != 0) break; break;
        case 4:
            setsockopt(number, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
            if (chance(dice, 50)) setsockopt(number, SOL_SOCKET, SO_LOCK_FILTER, &(int){1}, sizeof(int));
            break;
        case 5: setsockopt(number, IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){30}, sizeof(int)); break;
        case 6: fcntl(number, F_SETFL, fcntl(number, F_GETFL) & ~O_NONBLOCK); break;
        default:
            fcntl(number, F_SETFL, fcntl(number, F_GETFL) | O_NONBLOCK);
            for (int round = 0; round < 4; round++) {
                int stolen = accept4(number, NULL, NULL, SOCK_CLOEXEC);
                if (stolen >= 0 && chance(dice, 70)) close(stolen);
            }
        }
    }
}
