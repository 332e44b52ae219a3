// What of hiredis is used, alike for 0.14 and 1.x: their structures differ, which Swift cannot ask about.
//
// Above redisContext there is hiredis's asynchronous context. It is not used: it ends the process by assert(3) when a
// server answers more than it was asked (async.c of 0.14.1 and of 1.x).

#pragma once

#include <hiredis/hiredis.h>

// A reply's arrays have at most so many elements; hiredis reserves room for as many as the server claims.
#define CHIREDIS_MAXIMUM_ELEMENTS (1 << 24)

#if HIREDIS_MAJOR >= 1
typedef size_t chiredis_count;
#else
typedef int chiredis_count;
#endif

static inline void *chiredis_create_bounded_array(const redisReadTask *task, chiredis_count count) {
    // NULL is "out of memory" to the reader, which then refuses everything more.
    if (count > (chiredis_count)CHIREDIS_MAXIMUM_ELEMENTS) return NULL;
    const redisReplyObjectFunctions *standard = task->privdata;
    return standard->createArray(task, count);
}

// A context on a connected, non-blocking socket, which it owns from now on; NULL when out of memory.
//
// `functions` must outlive it: the standard functions of its reader with bounded arrays. The standard ones have no name
// that a program could use; they are static in the library and outlive everything.
static inline redisContext *chiredis_adopt(int fd, redisReplyObjectFunctions *functions) {
    redisContext *context = redisConnectFd(fd);
    if (context == NULL) return NULL;
    // It takes every descriptor for a blocking one.
    context->flags &= ~REDIS_BLOCK;
    *functions = *context->reader->fn;
    functions->createArray = chiredis_create_bounded_array;
    context->reader->privdata = context->reader->fn;
    context->reader->fn = functions;
    return context;
}
