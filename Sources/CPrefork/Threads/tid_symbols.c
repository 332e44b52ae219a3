// Finds the thread-local words in which Swift keeps thread IDs, by the symbol tables of the program and its libraries.
// The words are local symbols, which only .symtab has: dlsym(3) does not find them, and a stripped file no longer names
// them. Files are read with pread(2), never mapped, because a file that is truncated meanwhile would cause SIGBUS.
#define _GNU_SOURCE
#include "cprefork.h"
#include "thread_numbers.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// `static __thread tid` of an inline function, as clang names it. Each object file has one. What optimisers of several
// files append to make names unique begins with a dot.
static const char WORD_NAME[] = "_swift_stdlib_gettid.tid";

// Far more than there are: a program with all of Foundation has 60 words, 20,000 symbols and 70 sections.
enum { MOST_FILES = 64, MOST_WORDS = 8192, MOST_SYMBOLS = 1 << 22, MOST_SECTIONS = 4096, MOST_HEADERS = 64 };
// 48 KiB: a program of 30 MB has 70,000 symbols, read before its first worker starts.
enum { SYMBOLS_AT_ONCE = 2048, SECTIONS_AT_ONCE = 64 };

static uint32_t offsets[MOST_WORDS];
static uint32_t offset_count;
static struct {
    ElfW(Addr) address;
    struct thread_words words;
} files[MOST_FILES];
static uint32_t file_count;
static bool has_learnt;

static bool read_at(int file, void *bytes, size_t size, uint64_t offset) {
    return offset <= INT64_MAX && pread(file, bytes, size, (off_t)offset) == (ssize_t)size;
}

// The linker counts from the start of the thread-local block (ELF TLS, "Thread-Local Storage Section").
static bool lies_in(const ElfW(Phdr) *block, const ElfW(Sym) *symbol) {
    return symbol->st_value % sizeof(uint32_t) == 0 && block->p_memsz >= sizeof(uint32_t)
        && symbol->st_value <= block->p_memsz - sizeof(uint32_t);
}

/// What is searched: the symbols of a file.
struct search {
    int file;
    const ElfW(Shdr) *names;
    const ElfW(Phdr) *block;
    // The name of the last word. Linkers keep equal names once, so that most words need no read of it. 0: none yet.
    uint32_t name;
};

static bool has_word_name(struct search *search, uint32_t place) {
    if (place == search->name && place != 0) return true;
    char name[sizeof WORD_NAME];
    const ElfW(Shdr) *names = search->names;
    if (names->sh_size < sizeof name || place > names->sh_size - sizeof name) return false;
    if (!read_at(search->file, name, sizeof name, names->sh_offset + place)) return false;
    char end = name[sizeof name - 1];
    if (memcmp(name, WORD_NAME, sizeof name - 1) != 0 || (end != '\0' && end != '.')) return false;
    search->name = place;
    return true;
}

static bool is_word(struct search *search, const ElfW(Sym) *symbol) {
    if (ELF64_ST_TYPE(symbol->st_info) != STT_TLS || symbol->st_shndx == SHN_UNDEF) return false;
    if (symbol->st_size != sizeof(uint32_t) || !lies_in(search->block, symbol)) return false;
    return has_word_name(search, symbol->st_name);
}

/// Appends the offsets of the words. False: the table cannot be read to its end, or has too many.
static bool read_symbols(struct search *search, const ElfW(Shdr) *table) {
    ElfW(Sym) symbols[SYMBOLS_AT_ONCE];
    // Local symbols come first. sh_info is the number of the first symbol that is not local (elf(5)).
    uint64_t count = table->sh_size / sizeof *symbols;
    if (table->sh_info < count) count = table->sh_info;
    if (count > MOST_SYMBOLS) return false;
    for (uint64_t done = 0; done < count;) {
        uint64_t part = count - done < SYMBOLS_AT_ONCE ? count - done : SYMBOLS_AT_ONCE;
        if (!read_at(search->file, symbols, part * sizeof *symbols, table->sh_offset + done * sizeof *symbols)) {
            return false;
        }
        for (uint64_t i = 0; i < part; i++) {
            if (!is_word(search, &symbols[i])) continue;
            if (offset_count == MOST_WORDS) return false;
            offsets[offset_count++] = (uint32_t)symbols[i].st_value;
        }
        done += part;
    }
    return true;
}

/// A library may have been replaced since it was loaded, which its program headers show.
static bool is_loaded_file(int file, const ElfW(Ehdr) *header, const struct dl_phdr_info *info) {
    ElfW(Phdr) found[MOST_HEADERS];
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return false;
    size_t size = info->dlpi_phnum * sizeof *found;
    return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == ELFCLASS64
        && header->e_phentsize == sizeof *found && header->e_phnum == info->dlpi_phnum && size <= sizeof found
        && header->e_shentsize == sizeof(ElfW(Shdr)) && header->e_shnum <= MOST_SECTIONS
        && read_at(file, found, size, header->e_phoff) && memcmp(found, info->dlpi_phdr, size) == 0;
}

/// Finds the section of the symbols.
static bool find_table(int file, const ElfW(Ehdr) *header, ElfW(Shdr) *table) {
    ElfW(Shdr) sections[SECTIONS_AT_ONCE];
    for (uint32_t done = 0; done < header->e_shnum;) {
        uint32_t part = header->e_shnum - done < SECTIONS_AT_ONCE ? header->e_shnum - done : SECTIONS_AT_ONCE;
        if (!read_at(file, sections, part * sizeof *sections, header->e_shoff + done * sizeof *sections)) return false;
        for (uint32_t i = 0; i < part; i++) {
            if (sections[i].sh_type != SHT_SYMTAB) continue;
            *table = sections[i];
            return true;
        }
        done += part;
    }
    return false;
}

static bool read_file(int file, const struct dl_phdr_info *info, const ElfW(Phdr) *block) {
    ElfW(Ehdr) header;
    ElfW(Shdr) table, names;
    if (!read_at(file, &header, sizeof header, 0) || !is_loaded_file(file, &header, info)) return false;
    if (!find_table(file, &header, &table)) return false;
    struct search search = {file, &names, block, 0};
    return table.sh_entsize == sizeof(ElfW(Sym)) && table.sh_link < header.e_shnum
        && read_at(file, &names, sizeof names, header.e_shoff + table.sh_link * sizeof names)
        && read_symbols(&search, &table);
}

static const ElfW(Phdr) *thread_local_block(const struct dl_phdr_info *info) {
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_TLS) return &info->dlpi_phdr[i];
    }
    return NULL;
}

static int learn(struct dl_phdr_info *info, size_t size, void *context) {
    const ElfW(Phdr) *block = thread_local_block(info);
    if (block == NULL || file_count == MOST_FILES) return 0;
    // The link leads to the program that runs, also where its path has a newer one by now (proc(5)). A path may lead to
    // anything: a pipe without a writer must not hold the supervisor.
    const char *path = info->dlpi_name[0] == '\0' ? "/proc/self/exe" : info->dlpi_name;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) return 0;
    uint32_t first = offset_count;
    if (!read_file(file, info, block)) offset_count = first;
    close(file);
    if (offset_count == first) return 0;
    files[file_count].address = info->dlpi_addr;
    files[file_count++].words = (struct thread_words){&offsets[first], offset_count - first};
    return 0;
}

void cprefork_learn_thread_numbers(void) {
    if (has_learnt) return;
    has_learnt = true;
    dl_iterate_phdr(learn, NULL);
}

struct thread_words cprefork_thread_words(const struct dl_phdr_info *info) {
    for (uint32_t i = 0; i < file_count; i++) {
        if (files[i].address == info->dlpi_addr) return files[i].words;
    }
    return (struct thread_words){NULL, 0};
}
