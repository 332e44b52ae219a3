#include "cprefork.h"

/// Runs before main: what the top module must have said before a program's first line. Swift has no such place. The
/// name is weak because a program may link only the lower modules.
__attribute__((constructor)) static void prefork_program_starts(void) {
    if (cprefork_program_starts) cprefork_program_starts();
}
