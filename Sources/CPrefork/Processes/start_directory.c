// The directory that the program was started in.
#define _GNU_SOURCE
#include "cprefork.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[PATH_MAX];

/// Before main, which may change the directory. PWD is the name that the user of a shell knows (environ(7)): a symbolic
/// link of it may lead to another release later. It counts only where it names the directory that this process is in.
__attribute__((constructor)) static void prefork_note_start_directory(void) {
    const char *name = getenv("PWD");
    struct stat named, actual;
    if (name && name[0] == '/' && strlen(name) < sizeof directory && stat(name, &named) == 0 &&
        stat(".", &actual) == 0 && named.st_dev == actual.st_dev && named.st_ino == actual.st_ino) {
        strcpy(directory, name);
    } else if (!getcwd(directory, sizeof directory)) {
        directory[0] = '\0';
    }
}

const char *cprefork_start_directory(void) { return directory; }

const char *cprefork_executed_path(void) { return (const char *)getauxval(AT_EXECFN); }
