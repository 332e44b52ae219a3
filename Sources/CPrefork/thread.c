#include "cprefork.h"

static __thread void *thread_loop;

void *cprefork_thread_loop(void) { return thread_loop; }

void cprefork_set_thread_loop(void *loop) { thread_loop = loop; }
