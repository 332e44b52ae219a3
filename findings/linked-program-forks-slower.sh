#!/usr/bin/env bash
# Forked children of a program that a linker has just written, and of its copy.
#
# Guess:   a program and its copy run alike: both are in the page cache, byte for byte the same.
# True:    where the linker writes its output through a mapping (gold, lld), the page cache holds it in single pages.
#          A copy, which cp writes in large pieces, lies there in large folios (ext4 since Linux 6.16). Children of a
#          fork map pages of the program around each fault and unmap them at their end, page by page or folio by folio:
#          fork to the end of a child takes twice as long for the program as for its copy. GNU ld writes its output, and
#          its programs are like their copies. A reboot or a copy at deployment ends the difference.
# Version: binutils 2.40 (gold, GNU ld), Linux 6.18 on ext4. Date: 2026-11-30.
# Matters: a benchmark of a fresh build beside an older or copied one compares page caches. Of two builds of one
#          pre-forked server a restart took 1.20 times as long for the one just linked, and 1.02 times when both were
#          copied.
source "$(dirname "$0")/support.bash"
need gcc ld.gold ld.bfd python3
echo "$(ld.gold --version | head -1), $(ld.bfd --version | head -1), Linux $(uname -r), $(stat -f -c %T .)"
python3 - >program.c <<'PYTHON'
functions = 2048
print("#include <stdio.h>\n#include <stdlib.h>\n#include <sys/wait.h>\n#include <time.h>\n#include <unistd.h>")
for number in range(functions):
    print(f"__attribute__((noinline, aligned(4096))) int page{number}(int x) {{ return x * {number} + 1; }}")
print("static int (*const pages[])(int) = {" + ", ".join(f"page{n}" for n in range(functions)) + "};")
print(f"enum {{ COUNT = {functions} }};")
print(r"""
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

int main(void) {
    int sum = 0;
    double best = 1e9;
    for (int i = 0; i < COUNT; i++) sum += pages[i](sum);
    for (int round = 0; round < 500; round++) {
        double begin = now();
        pid_t child = fork();
        if (child == 0) {
            for (int i = 0; i < COUNT; i += 16) sum += pages[i](sum);
            _exit(sum & 1);
        }
        waitpid(child, NULL, 0);
        double time = now() - begin;
        if (time < best) best = time;
    }
    printf("%.0f\n", best);
    return sum == 1;
}""")
PYTHON
for linker in gold bfd; do
    gcc -O1 -fuse-ld=$linker program.c -o $linker
    cp $linker $linker.copy
done
cmp gold gold.copy
# In turn, and the best of each: other work on the machine only adds to a time.
for _ in 1 2 3; do
    for program in gold gold.copy bfd bfd.copy; do ./$program >>$program.times; done
done
best() { sort -n "$1.times" | head -1; }
for program in gold gold.copy bfd bfd.copy; do echo "fork to the end of a child, us: $program $(best $program)"; done
slower() { [ $((100 * $(best "$1"))) -ge $(($3 * $(best "$2"))) ] && echo yes || echo no; }
expect "gold's output takes 1.3 times as long as its copy" yes "$(slower gold gold.copy 130)"
expect "GNU ld's output takes 1.3 times as long as its copy" no "$(slower bfd bfd.copy 130)"
finish
