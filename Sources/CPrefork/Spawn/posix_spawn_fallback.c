// Starting a program where clone's flags are refused: what posix_spawn(3) can do of a plan.
#define _GNU_SOURCE
#include "cprefork_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

#ifndef POSIX_SPAWN_SETSID
#define POSIX_SPAWN_SETSID 0x80
#endif

static bool is_supported(const struct cprefork_spawn_plan *plan) {
    return plan->terminal < 0 && plan->control_group == NULL && !plan->sets_niceness && plan->limit_count == 0 &&
        plan->group_count < 0 && plan->user_id < 0 && plan->group_id < 0 && plan->mask < 0 &&
        (plan->parent_death_signal == 0 || plan->parent_death_is_wish) && !plan->no_new_privileges &&
        plan->sandbox == NULL;
}

static int add_null_device(posix_spawn_file_actions_t *actions, int target) {
    return posix_spawn_file_actions_addopen(actions, target, "/dev/null", O_RDWR, 0);
}

static bool is_handed_on(int number) {
    int flags = fcntl(number, F_GETFD);
    return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

/// Like place_descriptors of clone_spawn.c, but as file actions: all sources move above everything, then down to their
/// targets. A closefrom leaves no room for targets beyond the last, and unrequested descriptors between them are
/// closed.
static int add_descriptors(posix_spawn_file_actions_t *actions, const struct cprefork_spawn_plan *plan) {
    int free = 3, error = 0;
    for (int i = 0; i < plan->descriptor_count; i++) {
        if (plan->descriptors[i].target >= free) free = plan->descriptors[i].target + 1;
        if (plan->descriptors[i].source >= free) free = plan->descriptors[i].source + 1;
    }
    int first_above = 0;
    for (int i = 0; i < plan->descriptor_count && !error; i++) {
        const struct cprefork_spawn_descriptor *descriptor = &plan->descriptors[i];
        int inherited = CPREFORK_SOURCE_INHERIT - descriptor->source;
        if (descriptor->source >= 0)
            error = posix_spawn_file_actions_adddup2(actions, descriptor->source, free + i);
        else if (inherited >= 0 && is_handed_on(inherited))
            error = posix_spawn_file_actions_adddup2(actions, inherited, free + i);
        else
            error = add_null_device(actions, free + i);
    }
    for (int i = 0; i < plan->descriptor_count && !error; i++) {
        int target = plan->descriptors[i].target;
        // Closing a number that is not open is not an error among file actions (posix_spawn(3)).
        for (int number = first_above; number < target && !error; number++)
            error = posix_spawn_file_actions_addclose(actions, number);
        if (!error) error = posix_spawn_file_actions_adddup2(actions, free + i, target);
        first_above = target + 1;
    }
    if (!error) error = posix_spawn_file_actions_addclosefrom_np(actions, first_above);
    if (!error && plan->working_directory)
        error = posix_spawn_file_actions_addchdir_np(actions, plan->working_directory);
    return error;
}

static int set_attributes(posix_spawnattr_t *attributes, const struct cprefork_spawn_plan *plan) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    for (int number = 1; number <= 64; number++) {
        struct sigaction now;
        bool was_ignored = cprefork_inherited_ignored_signals() >> (number - 1) & 1;
        if (was_ignored && sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN) sigdelset(&all, number);
    }
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (plan->new_session) flags |= POSIX_SPAWN_SETSID;
    else if (plan->process_group >= 0) flags |= POSIX_SPAWN_SETPGROUP;
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    if (plan->process_group >= 0) posix_spawnattr_setpgroup(attributes, plan->process_group);
    return posix_spawnattr_setflags(attributes, flags);
}

/// Each candidate costs a process here. The most telling failure is kept, as in clone_spawn.c.
static void try_programs(
    const struct cprefork_spawn_plan *plan, const posix_spawn_file_actions_t *actions,
    const posix_spawnattr_t *attributes, struct cprefork_spawn_result *result) {
    result->step = CPREFORK_STEP_EXEC;
    result->error = ENOENT;
    for (int i = 0; plan->programs[i] != NULL; i++) {
        int error = posix_spawn(
            &result->pid, plan->programs[i], actions, attributes, (char *const *)plan->arguments, plan->environment);
        if (error == 0) {
            result->step = CPREFORK_STEP_NONE;
            return;
        }
        bool is_absent = error == ENOENT || error == ENOTDIR || error == ENODEV || error == ESTALE || error == ETIMEDOUT;
        if (is_absent && (result->error == EACCES || access(plan->programs[i], F_OK) != 0)) continue;
        result->error = error;
        result->program = i;
        if (!is_absent && error != EACCES) return;
    }
}

void cprefork_posix_spawn(const struct cprefork_spawn_plan *plan, struct cprefork_spawn_result *result) {
    *result = (struct cprefork_spawn_result){.pidfd = -1, .step = CPREFORK_STEP_UNSUPPORTED, .object = -1};
    if (!is_supported(plan)) {
        result->error = EOPNOTSUPP;
        return;
    }
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int error = add_descriptors(&actions, plan);
    if (!error) error = set_attributes(&attributes, plan);
    if (error) {
        result->step = CPREFORK_STEP_DESCRIPTORS;
        result->error = error;
    } else {
        try_programs(plan, &actions, &attributes, result);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
}
