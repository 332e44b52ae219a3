// Stacks of hung workers: written by the worker as numbers, read and named by its supervisor.
#ifndef CPREFORK_STACK_H
#define CPREFORK_STACK_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

enum {
    CPREFORK_DUMP_FRAMES = 64,
    // The words of a dump area:
    CPREFORK_DUMP_NUMBER = 0,  ///< how many dumps were written, raised last
    CPREFORK_DUMP_THREAD = 1,  ///< the thread's number
    CPREFORK_DUMP_SIGNAL = 2,  ///< what it was asked by
    CPREFORK_DUMP_COUNT = 3,   ///< how many frames follow
    CPREFORK_DUMP_FIRST_FRAME = 4,
    CPREFORK_DUMP_WORDS = CPREFORK_DUMP_FIRST_FRAME + CPREFORK_DUMP_FRAMES,
};

/// Installs a handler that writes the calling thread's return addresses into `area`, CPREFORK_DUMP_WORDS long, and
/// rings the eventfd `doorbell` (-1 for no doorbell). The thread then continues. Calls backtrace(3) once now, because
/// its first call allocates and loads a library.
int cprefork_install_stack_dump(int signal, uint64_t *area, int doorbell);

/// SIGRTMAX plus `offset`, a number not above zero: glibc keeps some for itself, so that it is no constant.
int cprefork_real_time_signal(int offset);
int cprefork_first_real_time_signal(void);

struct cprefork_symbol {
    const char *_Nullable module;         ///< its path, empty for the program itself
    const char *_Nullable name;           ///< the exported function that the address is in, mangled
    uintptr_t offset;           ///< from the function, or from where the module is loaded
    uintptr_t base;             ///< where the module is loaded
    const unsigned char *_Nullable build_id; ///< of the module (PT_NOTE, NT_GNU_BUILD_ID), or NULL
    size_t build_id_length;
};

/// dladdr1(3) and dl_iterate_phdr(3) in this process. Returns 0 for an address that is in no loaded object. Any address
/// is allowed.
int cprefork_find_symbol(uintptr_t address, struct cprefork_symbol *symbol);

/// In the notes of one segment: each is a head of three words, a name and a content, both padded to four bytes
/// (elf(5)).
///
/// Returns where the build ID is, or NULL. Calls nothing but memcpy(3) and memcmp(3).
const unsigned char *_Nullable cprefork_build_id_in_notes(const unsigned char *notes, size_t size, size_t *length);

/// The build ID of an ELF file, at most `room` bytes of it. Returns its length, or 0 if the file has no build ID or
/// cannot be read.
int cprefork_build_id_of_file(const char *path, unsigned char *buffer, int room);

/// The function's name as in the source, for a mangled Swift name. The caller must free it. NULL for any other name.
char *_Nullable cprefork_demangle(const char *name);

#pragma clang assume_nonnull end
#endif
