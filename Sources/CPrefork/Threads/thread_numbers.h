// The places where Swift keeps thread IDs: found in symbol tables, rewritten after a fork.
#ifndef CPREFORK_THREAD_NUMBERS_H
#define CPREFORK_THREAD_NUMBERS_H

#include <link.h>
#include <stdint.h>

/// The offsets of the words in the thread-local block of a loaded file. A count of 0: nothing is known of it.
struct thread_words {
    const uint32_t *offsets;
    uint32_t count;
};

/// What cprefork_learn_thread_numbers() found in this file.
struct thread_words cprefork_thread_words(const struct dl_phdr_info *info);

#endif
