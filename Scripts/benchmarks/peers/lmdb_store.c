// The store's rows by LMDB: get | set | increment PROCESSES SECONDS. Each operation is a transaction.
//
// LMDB as fast as it goes: in memory (/dev/shm), without a sync, writing into the map.
#include "../limits/processes.h"

#include <lmdb.h>

static char directory[] = "/dev/shm/prefork-lmdb-XXXXXX";
static MDB_env *environment;
static MDB_dbi database;
static MDB_txn *reading;

static void ok(int error) {
    if (error == 0) return;
    fprintf(stderr, "lmdb: %s\n", mdb_strerror(error));
    _exit(70);
}

/// An environment must not be used across a fork: each process opens its own.
static void begin(void) {
    ok(mdb_env_create(&environment));
    ok(mdb_env_set_mapsize(environment, 64 << 20));
    ok(mdb_env_open(environment, directory, MDB_NOSYNC | MDB_NOMETASYNC | MDB_WRITEMAP, 0600));
    MDB_txn *transaction;
    ok(mdb_txn_begin(environment, NULL, 0, &transaction));
    ok(mdb_dbi_open(transaction, NULL, 0, &database));
    ok(mdb_txn_commit(transaction));
    ok(mdb_txn_begin(environment, NULL, MDB_RDONLY, &reading));
    mdb_txn_reset(reading);
}

static MDB_val bytes_of(const void *bytes, size_t count) { return (MDB_val){count, (void *)bytes}; }

static void get_step(int first, uint64_t round) {
    (void)round;
    uint64_t value[WORDS];
    for (int i = first; i < first + STEP; i++) {
        MDB_val key = bytes_of(keys[i], KEY_BYTES), found;
        ok(mdb_txn_renew(reading));
        ok(mdb_get(reading, database, &key, &found));
        if (found.mv_size == VALUE_BYTES) memcpy(value, found.mv_data, VALUE_BYTES);
        mdb_txn_reset(reading);
        check(value, (long)found.mv_size);
    }
}

static void set_step(int first, uint64_t round) {
    uint64_t value[WORDS];
    for (int i = first; i < first + STEP; i++) {
        MDB_txn *transaction;
        MDB_val key = bytes_of(keys[i], KEY_BYTES), data = bytes_of(value, VALUE_BYTES);
        fill(value, round + (uint64_t)i);
        ok(mdb_txn_begin(environment, NULL, 0, &transaction));
        ok(mdb_put(transaction, database, &key, &data, 0));
        ok(mdb_txn_commit(transaction));
    }
}

static void increment_step(int first, uint64_t round) {
    (void)round;
    for (int i = first; i < first + STEP; i++) {
        MDB_txn *transaction;
        MDB_val key = bytes_of(counters[i], KEY_BYTES), found;
        uint64_t sum = 0;
        ok(mdb_txn_begin(environment, NULL, 0, &transaction));
        int error = mdb_get(transaction, database, &key, &found);
        if (error != MDB_NOTFOUND) ok(error);
        if (error == 0) memcpy(&sum, found.mv_data, sizeof sum);
        sum++;
        found = bytes_of(&sum, sizeof sum);
        ok(mdb_put(transaction, database, &key, &found, 0));
        ok(mdb_txn_commit(transaction));
    }
}

static void fill_database(void) {
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        begin();
        for (int first = 0; first < KEYS; first += STEP) set_step(first, 0);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) < 0 || status != 0) fail("filling");
}

static void remove_database(void) {
    const char *files[] = {"data.mdb", "lock.mdb"};
    for (int i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(directory);
}

int main(int count, char **words) {
    struct job job = {begin, NULL, 0};
    if (count != 4) return 64;
    if (strcmp(words[1], "get") == 0) job.step = get_step;
    else if (strcmp(words[1], "set") == 0) job.step = set_step;
    else if (strcmp(words[1], "increment") == 0) job.step = increment_step;
    else return 64;
    make_keys();
    if (!mkdtemp(directory)) fail(directory);
    atexit(remove_database);
    fill_database();
    measure(&job, atoi(words[2]), NULL, atof(words[3]));
    return 0;
}
