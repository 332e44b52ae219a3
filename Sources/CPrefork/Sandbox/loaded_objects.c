// The objects that make up this process's code (dl_iterate_phdr(3)).
#define _GNU_SOURCE
#include <link.h>
#include <stddef.h>
#include <string.h>

#include "cprefork_sandbox.h"
#include "cprefork_stack.h"

struct search {
    int left;
    struct cprefork_object *object;
};

static int visit(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    struct search *search = context;
    if (search->left-- > 0) return 0;
    struct cprefork_object *object = search->object;
    memset(object, 0, sizeof *object);
    object->path = info->dlpi_name;
    object->base = info->dlpi_addr;
    for (int index = 0; index < info->dlpi_phnum; index++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[index];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_LOAD && segment->p_flags & PF_X) {
            if (object->end == 0) object->start = start;
            if (start + segment->p_memsz > object->end) object->end = start + segment->p_memsz;
        }
        if (segment->p_type == PT_NOTE && object->build_id == NULL) {
            object->build_id = cprefork_build_id_in_notes(
                (const unsigned char *)start, segment->p_memsz, &object->build_id_length);
        }
    }
    return 1;
}

int cprefork_loaded_object(int number, struct cprefork_object *object) {
    struct search search = {.left = number, .object = object};
    return dl_iterate_phdr(visit, &search);
}
