"""Cases about sandboxes, for checks.py: Debian's kernel has Landlock, and not all of what newer ones have."""

import ctypes, os

from service import *

INCOMPLETE = "the sandbox is incomplete here"


def landlock():
    """The kernel's version of Landlock, or 0."""
    return max(0, ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1))


def filters(pid):
    """How many seccomp filters a process has. The unit has some of its own."""
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("Seccomp_filters:"):
            return int(line.split()[1])
    return None


# systemd 252 does not count these calls among those of services.
CALLS = "[Service]\nSystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self\n"


@case
def a_sandboxed_service_serves_reloads_and_upgrades():
    with drop_in(CALLS):
        since = now()
        service(SANDBOX="network-server,read=/,bind=none")
        expect(serves(), "it does not serve")
        for order in ["reload", "upgrade"]:
            control(order, "--wait")
            expect(serves(), f"it does not serve after the {order}")
            for pid in workers():
                expect(filters(pid) == filters(main_pid()) + 1, f"{filters(pid)} filters")
        said = [text for text in messages(since) if INCOMPLETE in text]
        print(f"    Landlock {landlock()}: {said[0] if said else 'nothing is lacking'}")
        # The start, the trial of the upgrade is silent, and the new program.
        expect(len(said) == (2 if landlock() < 6 else 0), f"{said}")
        if landlock() < 6:
            expect("signals need Landlock" in said[0] or "without Landlock" in said[0], said[0])
        if landlock() > 0:
            expect("files need" not in "".join(said), "rules of files are left out")


@case
def a_strict_sandbox_that_the_kernel_lacks_keeps_the_service_from_starting():
    if landlock() >= 6:
        return print("    left out: this kernel has all of it")
    with drop_in(CALLS):
        since = now()
        try:
            service(SANDBOX="network-server,strict")
            has_started = True
        except Wrong:
            has_started = False
        expect(not has_started, "it has started")
        found = [text for text in messages(since) if "the strict sandbox cannot be had" in text]
        expect(len(found) >= 1, f"{messages(since)}")
        expect("worker" not in found[0], found[0])
    service()


@case
def a_worker_reads_and_writes_what_the_rules_say():
    if landlock() == 0:
        return print("    left out: this kernel has no Landlock")
    fixture = "/usr/local/libexec/ops-fixture"
    words = "network-server,unscoped,read=/etc/debian_version,write=/var/tmp"
    done = run(fixture, "bounds", "/etc/debian_version", "/etc/shadow", "/etc/machine-id",
               env={**os.environ, "PREFORK_SANDBOX": words})
    expect(done.returncode == 0, done.stdout + done.stderr)
    expect(done.stdout.split() == ["done", "EACCES", "EACCES"], done.stdout)
