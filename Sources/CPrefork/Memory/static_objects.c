#include "cprefork.h"

#include <stddef.h>
#include <stdint.h>

// The storages of empty arrays, dictionaries and sets: objects that Swift's runtime makes at its own build
// (SwiftShims/GlobalObjects.h, Swift 6.3.1). Weak: a program in C has no such runtime.
extern char _swiftEmptyArrayStorage __attribute__((weak));
extern char _swiftEmptyDictionarySingleton __attribute__((weak));
extern char _swiftEmptySetSingleton __attribute__((weak));

uint64_t cprefork_reference_word(const void *object) {
    return __atomic_load_n((const uint64_t *)object + 1, __ATOMIC_RELAXED);
}

const void *cprefork_static_object(int number) {
    switch (number) {
        case 0: return &_swiftEmptyArrayStorage;
        case 1: return &_swiftEmptyDictionarySingleton;
        case 2: return &_swiftEmptySetSingleton;
        default: return NULL;
    }
}
