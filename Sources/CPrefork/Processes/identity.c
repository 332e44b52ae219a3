#define _GNU_SOURCE
#include "cprefork_host.h"

#include <grp.h>
#include <linux/keyctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// The functions of glibc and not the raw calls: they change every thread of the process (nptl(7)).
int cprefork_set_groups(const gid_t *groups, size_t count) { return setgroups(count, groups); }

int cprefork_set_all_group_ids(gid_t real, gid_t effective, gid_t saved) { return setresgid(real, effective, saved); }

int cprefork_set_all_user_ids(uid_t real, uid_t effective, uid_t saved) { return setresuid(real, effective, saved); }

int cprefork_all_user_ids(uid_t *real, uid_t *effective, uid_t *saved) { return getresuid(real, effective, saved); }

int cprefork_all_group_ids(gid_t *real, gid_t *effective, gid_t *saved) { return getresgid(real, effective, saved); }

int cprefork_group_list(const char *user, gid_t primary, gid_t *groups, int *count) {
    return getgrouplist(user, primary, groups, count);
}

int cprefork_chroot(const char *path) { return chroot(path); }

int cprefork_set_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

int cprefork_set_dumpable(int dumpable) { return prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0); }

int cprefork_join_new_session_keyring(void) {
    return (int)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
}

int cprefork_session_keyring(void) {
    return (int)syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0, 0);
}

int cprefork_dumpable(void) { return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }

int cprefork_parent_death_signal(int *signal) { return prctl(PR_GET_PDEATHSIG, signal, 0, 0, 0); }

int cprefork_set_child_subreaper(int on) { return prctl(PR_SET_CHILD_SUBREAPER, on, 0, 0, 0); }

int cprefork_child_subreaper(void) {
    int on = 0;
    return prctl(PR_GET_CHILD_SUBREAPER, &on, 0, 0, 0) == 0 && on != 0;
}
