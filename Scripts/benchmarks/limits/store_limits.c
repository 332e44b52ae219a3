// What C can do, as the limit for the store's rows: a table in shared memory that a kill at any instant leaves whole.
// get | get-string | set | increment PROCESSES SECONDS; get-beside READERS SECONDS WRITES_PER_SECOND (0: all it can);
// recovery COUNT.
//
// Readers take no lock: they copy, then look whether the reference still is the one that they have followed. Writers
// hold one of 64 robust locks, write a free block and publish it by one store. No expiry, no eviction, no deletion, and
// values of at most 64 bytes.
#include "processes.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

/// What a library's entry is: called, not inlined, and unaware that every key here has the same length.
#define ENTRY __attribute__((noinline))

long get(const char *key, size_t bytes, void *buffer);
void set(const char *key, size_t bytes, const void *value, size_t size);
uint64_t increment(const char *key, size_t bytes, uint64_t amount);

enum { STRIPES = 64, BUCKETS = 16, SLOTS = 8, BLOCKS = 64, LONGEST_KEY = 24 };

struct block {
    uint32_t key_bytes, value_bytes;
    char key[LONGEST_KEY];
    uint64_t value[WORDS];
} __attribute__((aligned(64)));

/// `used`: one bit per block. It follows from the references, so that it can be made again after a writer's death.
struct stripe {
    pthread_mutex_t lock;
    uint64_t used;
} __attribute__((aligned(64)));

/// A reference: fingerprint:8 | version:40 | block + 1:16; 0 in the lowest 16 bits: empty.
struct table {
    struct stripe stripes[STRIPES];
    _Atomic uint64_t references[STRIPES][BUCKETS][SLOTS] __attribute__((aligned(64)));
    struct block blocks[STRIPES][BLOCKS];
    uint64_t recoveries;
};

static struct table *table;

static inline uint64_t mix(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t word_at(const char *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word;
}

/// Keys of 8 bytes and more; the last word overlaps the one before it.
static inline uint64_t hash(const char *key, size_t bytes) {
    uint64_t state = 0x9e3779b97f4a7c15u ^ bytes;
    for (size_t i = 0; i + 8 < bytes; i += 8) state = mix(state ^ word_at(key + i), 0xa0761d6478bd642fu);
    return mix(state ^ word_at(key + bytes - 8), 0xe7037ed1a0b428dbu);
}

static inline uint64_t fingerprint(uint64_t word) { return word >> 56; }
static inline int stripe_of(uint64_t hash) { return (int)(hash % STRIPES); }
static inline int bucket_of(uint64_t hash) { return (int)(hash / STRIPES % BUCKETS); }
static inline int block_of(uint64_t reference) { return (int)(reference & 0xffff) - 1; }

static inline bool has_key(const struct block *block, const char *key, size_t bytes) {
    return block->key_bytes == bytes && memcmp(block->key, key, bytes) == 0;
}

/// The value's bytes, or -1. `buffer` has room for VALUE_BYTES.
ENTRY long get(const char *key, size_t bytes, void *buffer) {
    uint64_t hashed = hash(key, bytes);
    int stripe = stripe_of(hashed);
    _Atomic uint64_t *slots = table->references[stripe][bucket_of(hashed)];
    for (int i = 0; i < SLOTS;) {
        uint64_t reference = atomic_load_explicit(&slots[i], memory_order_acquire);
        if (block_of(reference) < 0 || fingerprint(reference) != fingerprint(hashed)) {
            i++;
            continue;
        }
        const struct block *block = &table->blocks[stripe][block_of(reference)];
        bool found = has_key(block, key, bytes);
        size_t size = block->value_bytes;
        if (found && size <= VALUE_BYTES) memcpy(buffer, block->value, size);
        atomic_thread_fence(memory_order_acquire);
        // The block may have been written anew meanwhile: then nothing that was read counts.
        if (atomic_load_explicit(&slots[i], memory_order_relaxed) != reference) continue;
        if (found) return (long)size;
        i++;
    }
    return -1;
}

static void recover(int stripe) {
    uint64_t used = 0;
    for (int i = 0; i < BUCKETS * SLOTS; i++) {
        int block = block_of(table->references[stripe][i / SLOTS][i % SLOTS]);
        if (block >= 0 && block < BLOCKS) used |= 1ull << block;
    }
    table->stripes[stripe].used = used;
    pthread_mutex_consistent(&table->stripes[stripe].lock);
    __atomic_add_fetch(&table->recoveries, 1, __ATOMIC_RELAXED);
}

static void lock(int stripe) {
    int error = pthread_mutex_lock(&table->stripes[stripe].lock);
    if (error == EOWNERDEAD) recover(stripe);
    else if (error != 0) abort();
}

static void unlock(int stripe) { pthread_mutex_unlock(&table->stripes[stripe].lock); }

/// The key's slot, else an empty one. Under the lock.
static _Atomic uint64_t *find(uint64_t hashed, const char *key, size_t bytes, bool *found) {
    int stripe = stripe_of(hashed);
    _Atomic uint64_t *slots = table->references[stripe][bucket_of(hashed)], *empty = NULL;
    for (int i = 0; i < SLOTS; i++) {
        uint64_t reference = atomic_load_explicit(&slots[i], memory_order_relaxed);
        int block = block_of(reference);
        if (block < 0 && !empty) empty = &slots[i];
        if (block < 0 || fingerprint(reference) != fingerprint(hashed)) continue;
        if (!has_key(&table->blocks[stripe][block], key, bytes)) continue;
        *found = true;
        return &slots[i];
    }
    if (!empty) abort();
    *found = false;
    return empty;
}

/// Writes a block and publishes it in `slot`. Under the lock.
static void put(_Atomic uint64_t *slot, uint64_t hashed, const char *key, size_t bytes, const void *value,
                size_t size) {
    int stripe = stripe_of(hashed);
    uint64_t *used = &table->stripes[stripe].used, old = atomic_load_explicit(slot, memory_order_relaxed);
    if (~*used == 0) abort();
    int free = __builtin_ctzll(~*used);
    *used |= 1ull << free;
    // What is written into a block that was freed comes after the store that freed it.
    atomic_thread_fence(memory_order_release);
    struct block *block = &table->blocks[stripe][free];
    block->key_bytes = (uint32_t)bytes;
    block->value_bytes = (uint32_t)size;
    memcpy(block->key, key, bytes);
    memcpy(block->value, value, size);
    uint64_t version = ((old >> 16) + 1) & 0xffffffffff;
    uint64_t reference = fingerprint(hashed) << 56 | version << 16 | (uint64_t)(free + 1);
    atomic_store_explicit(slot, reference, memory_order_release);
    if (block_of(old) >= 0) *used &= ~(1ull << block_of(old));
}

ENTRY void set(const char *key, size_t bytes, const void *value, size_t size) {
    uint64_t hashed = hash(key, bytes);
    bool found;
    if (bytes > LONGEST_KEY || size > VALUE_BYTES) abort();
    lock(stripe_of(hashed));
    _Atomic uint64_t *slot = find(hashed, key, bytes, &found);
    put(slot, hashed, key, bytes, value, size);
    unlock(stripe_of(hashed));
}

ENTRY uint64_t increment(const char *key, size_t bytes, uint64_t amount) {
    uint64_t hashed = hash(key, bytes), sum = amount;
    int stripe = stripe_of(hashed);
    bool found;
    lock(stripe);
    _Atomic uint64_t *slot = find(hashed, key, bytes, &found);
    if (found) {
        // In place: one aligned word is old or new, never between.
        struct block *block = &table->blocks[stripe][block_of(atomic_load_explicit(slot, memory_order_relaxed))];
        sum = __atomic_load_n(&block->value[0], __ATOMIC_RELAXED) + amount;
        __atomic_store_n(&block->value[0], sum, __ATOMIC_RELEASE);
    } else {
        put(slot, hashed, key, bytes, &sum, sizeof sum);
    }
    unlock(stripe);
    return sum;
}

static void make_table(void) {
    table = shared_memory(sizeof *table);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    for (int i = 0; i < STRIPES; i++) pthread_mutex_init(&table->stripes[i].lock, &attributes);
}

static void get_step(int first, uint64_t round) {
    (void)round;
    uint64_t value[WORDS];
    for (int i = first; i < first + STEP; i++) check(value, get(keys[i], KEY_BYTES, value));
}

static void set_step(int first, uint64_t round) {
    uint64_t value[WORDS];
    for (int i = first; i < first + STEP; i++) {
        fill(value, round + (uint64_t)i);
        set(keys[i], KEY_BYTES, value, VALUE_BYTES);
    }
}

static void increment_step(int first, uint64_t round) {
    (void)round;
    for (int i = first; i < first + STEP; i++) {
        if (increment(counters[i], KEY_BYTES, 1) == 0) abort();
    }
}

/// What was counted, the warming up of each process included, is what the processes did.
static void check_sum(double operations, int processes) {
    uint64_t sum = 0, counter;
    for (int i = 0; i < KEYS; i++) {
        if (get(counters[i], KEY_BYTES, &counter) == 8) sum += counter;
    }
    if ((double)sum != operations + (double)processes * STEP) fail("increments are missing");
}

static void set_for_ever(void) {
    uint64_t value[WORDS];
    for (uint64_t i = 0;; i++) {
        fill(value, i);
        set(keys[0], KEY_BYTES, value, VALUE_BYTES);
    }
}

/// From the SIGKILL of a writer that was stopped inside the lock to the end of the next set of the same key.
static double one_recovery(void) {
    for (;;) {
        uint64_t before = table->recoveries, value[WORDS];
        pid_t child = fork();
        if (child == 0) set_for_ever();
        usleep(300 + (useconds_t)(rand() % 300));
        kill(child, SIGSTOP);
        waitpid(child, NULL, WUNTRACED);
        double start = now();
        kill(child, SIGKILL);
        fill(value, 1);
        set(keys[0], KEY_BYTES, value, VALUE_BYTES);
        double seconds = now() - start;
        waitpid(child, NULL, 0);
        check(value, get(keys[0], KEY_BYTES, value));
        if (table->recoveries > before) return seconds;
    }
}

static void recovery(int count) {
    double *seconds = room_for(count);
    for (int i = 0; i < count; i++) seconds[i] = one_recovery();
    report_latencies(seconds, count);
}

int main(int count, char **words) {
    const char *row = count > 1 ? words[1] : "";
    struct job reader = {NULL, get_step, 0}, writer = {NULL, set_step, 0}, counting = {NULL, increment_step, 0};
    make_keys();
    make_table();
    for (int first = 0; first < KEYS; first += STEP) set_step(first, 0);
    // A String is a buffer in C.
    bool reads = strcmp(row, "get") == 0 || strcmp(row, "get-string") == 0;
    if (count == 4 && reads) measure(&reader, atoi(words[2]), NULL, atof(words[3]));
    else if (count == 4 && strcmp(row, "set") == 0) measure(&writer, atoi(words[2]), NULL, atof(words[3]));
    else if (count == 4 && strcmp(row, "increment") == 0)
        check_sum(measure(&counting, atoi(words[2]), NULL, atof(words[3])), atoi(words[2]));
    else if (count == 5 && strcmp(row, "get-beside") == 0) {
        writer.pace = atof(words[4]) / STEP;
        measure(&reader, atoi(words[2]), &writer, atof(words[3]));
    } else if (count == 3 && strcmp(row, "recovery") == 0) recovery(atoi(words[2]));
    else return 64;
    if (strcmp(row, "recovery") != 0) get_step(0, 0);
    return 0;
}
