"""Cases about limits of memory and processors, for checks.py: they need those controllers of cgroup version 2.

In namespaces on a host with version 1 they are left out; Scripts/test --machine --qemu runs them."""

import contextlib, functools, http.client, json, os, signal, time

from service import *

FIXTURE = "/usr/local/libexec/ops-fixture serve"
FIXTURE_PORT = 9000
OUT_OF_MEMORY = "out of memory"


def needs(controller):
    def mark(function):
        @functools.wraps(function)
        def run_or_leave_out():
            if controller in open("/sys/fs/cgroup/cgroup.controllers").read().split():
                return function()
            print(f"    left out: the host keeps the {controller} controller for itself (version 1)")
        return case(run_or_leave_out)
    return mark


@contextlib.contextmanager
def fixture(limits, arguments="", **variables):
    """The service with another program, which eats as much memory as it is told to."""
    command = f"{FIXTURE} port={FIXTURE_PORT} {arguments}"
    with drop_in(f"[Service]\nExecStart=\nExecStart={command}\nMemorySwapMax=0\n{limits}\n"):
        service(**variables)
        yield


def eat(megabytes):
    """Whether the worker lived to tell."""
    try:
        return get(f"/eat/{megabytes}", port=FIXTURE_PORT) == (200, "done")
    except OSError:
        return False
    except http.client.HTTPException:
        return False


def group():
    return "/sys/fs/cgroup" + show("ControlGroup")


def kernel_kills():
    for line in open(f"{group()}/memory.events"):
        if line.startswith("oom_kill "):
            return int(line.split()[1])


def ends(since, pid):
    return [text for text in messages(since) if f"(pid {pid}) killed" in text]


@needs("memory")
def a_worker_killed_for_memory_is_named_and_the_service_goes_on():
    with fixture("MemoryMax=300M", WORKERS="3"):
        since, pid, before = now(), main_pid(), set(workers())
        expect(not eat(1000), "the kernel did not kill")
        start = time.monotonic()
        expect(get("/", port=FIXTURE_PORT)[0] == 200, "the next request")
        print(f"    the next request was answered after {(time.monotonic() - start) * 1000:.0f} ms")
        eventually("three workers", lambda: show("StatusText") == "3 workers serve")
        dead = before - set(workers())
        expect(len(dead) == 1 and kernel_kills() == 1, f"dead {dead}, {kernel_kills()} kills")
        text = eventually("its end", lambda: ends(since, *dead))
        expect(OUT_OF_MEMORY in text[0], text[0])
        expect(sum(OUT_OF_MEMORY in text for text in messages(since) if "(pid " in text) == 1, "others are marked")
        expect(OUT_OF_MEMORY in control("crashes"), control("crashes"))
        expect(main_pid() == pid and show("NRestarts") == "0" and show("ActiveState") == "active", "it has ended")


@needs("memory")
def two_kills_in_one_turn_are_both_named():
    with fixture("MemoryMax=300M", WORKERS="3"):
        since, pid, before = now(), main_pid(), set(workers())
        # It finds both when it runs again.
        os.kill(pid, signal.SIGSTOP)
        try:
            expect(not eat(1000) and not eat(1000), "the kernel did not kill")
            expect(kernel_kills() == 2, f"{kernel_kills()} kills")
        finally:
            os.kill(pid, signal.SIGCONT)
        eventually("three workers", lambda: len(workers()) == 3 and show("StatusText") == "3 workers serve")
        dead = before - set(workers())
        expect(len(dead) == 2, f"dead {dead}")
        for worker in dead:
            text = eventually("its end", lambda: ends(since, worker))
            expect(OUT_OF_MEMORY in text[0], text[0])
        other = (before - dead).pop()
        os.kill(other, signal.SIGKILL)
        text = eventually("the end of the third one", lambda: ends(since, other))
        expect(OUT_OF_MEMORY not in text[0], text[0])
        expect(main_pid() == pid, "the service has ended")


@needs("memory")
def a_kill_of_no_worker_marks_no_worker():
    with fixture("MemoryMax=300M"):
        since, pid = now(), main_pid()
        eater = ["python3", "-c", "import os\nopen('%s/cgroup.procs' % os.sys.argv[1], 'w').write(str(os.getpid()))\n"
                 "held = []\nwhile True: held.append(b'x' * (1 << 20) + os.urandom(1))", group()]
        expect(run(*eater).returncode == -signal.SIGKILL and kernel_kills() == 1, "the kernel did not kill")
        # Steps of the counter that nobody claims lapse after two seconds.
        time.sleep(3)
        worker = workers()[0]
        os.kill(worker, signal.SIGKILL)
        text = eventually("the end", lambda: ends(since, worker))
        expect(OUT_OF_MEMORY not in text[0], text[0])
        expect(main_pid() == pid and get("/", port=FIXTURE_PORT)[0] == 200, "the service has ended")


@needs("memory")
def a_store_that_does_not_fit_is_refused():
    since = now()
    try:
        with fixture("MemoryMax=300M\nRestart=no", "store=400"):
            raise AssertionError("it has started")
    except Wrong:
        text = [text for text in messages(since) if "does not fit into the memory limit" in text]
        expect(text and "system.slice/app.service, 314572800 bytes" in text[0], f"{messages(since)}")
        print("    " + text[0])
    with fixture("MemoryMax=300M", "store=200"):
        expect(int(open(f"{group()}/memory.current").read()) > 200 << 20, "its memory is not reserved")
        expect(get("/count", port=FIXTURE_PORT) == (200, "1") and kernel_kills() == 0, "the store")


@needs("memory")
def workers_are_recycled_before_the_kernel_kills():
    with fixture("MemoryMax=400M", WORKERS="2", RECYCLE_MEMORY="60M", RECYCLE_JITTER="0%"):
        old, pid, eaten = set(workers()), main_pid(), 0
        while eaten < 1000:
            expect(eat(20), f"a request was lost after {eaten} MiB, {kernel_kills()} kills")
            eaten += 20
            # As long as the supervisor takes to look.
            eventually("no worker is larger", lambda: all(
                (row.get("rss") or 0) < 60 << 20 for row in json.loads(control("workers", "--json"))))
        expect(kernel_kills() == 0 and not old & set(workers()) and main_pid() == pid, f"{kernel_kills()} kills")
        print(f"    {eaten} MiB were taken with a limit of 400 MiB")


def groups():
    return sorted(name for name in os.listdir(group()) if name.startswith("prefork-"))


def worker_group(pid):
    return "/sys/fs/cgroup" + open(f"/proc/{pid}/cgroup").read().strip().split("::")[1]


DELEGATED = "Delegate=memory\nProtectControlGroups=no"


@needs("memory")
def each_worker_has_a_group_and_one_that_is_killed_in_it_is_named():
    with fixture(DELEGATED, WORKERS="3", WORKER_MEMORY="150M"):
        since, pid, before = now(), main_pid(), set(workers())
        expect(open(f"/proc/{pid}/cgroup").read().strip().endswith("/app.service/prefork-supervisor"), "the supervisor")
        expect(len({worker_group(worker) for worker in before}) == 3, "a group for each")
        for worker in before:
            expect(open(worker_group(worker) + "/memory.max").read().strip() == str(150 << 20), "its limit")
        expect(eat(20), "below the limit")
        expect(not eat(1000), "the kernel did not kill")
        eventually("three workers", lambda: len(workers()) == 3 and show("StatusText") == "3 workers serve")
        dead = before - set(workers())
        expect(len(dead) == 1, f"dead {dead}")
        text = eventually("its end", lambda: ends(since, *dead))
        expect(OUT_OF_MEMORY in text[0], text[0])
        # One that a process kills is not one that the kernel has killed, whatever the service's counter says.
        other = (before - dead).pop()
        os.kill(other, signal.SIGKILL)
        text = eventually("the end of another", lambda: ends(since, other))
        expect(OUT_OF_MEMORY not in text[0], text[0])
        eventually("no group is left over", lambda: len(groups()) == 4 and len(workers()) == 3)
        # systemd starts a process in the service: its group must take one.
        must("systemctl", "reload", "app.service")
        eventually("three groups after a reload", lambda: len(groups()) == 4)
        control("upgrade", "--wait")
        eventually("three groups after an upgrade", lambda: len(groups()) == 4 and len(workers()) == 3)
        expect(not eat(1000), "the kernel did not kill after the upgrade")
        eventually("three workers again", lambda: len(workers()) == 3 and len(groups()) == 4)
        expect(main_pid() == pid and show("NRestarts") == "0", "it has ended")
        path = group()
        must("systemctl", "stop", "app.service")
        expect(not os.path.exists(path) or not os.listdir(path) or not os.path.exists(path + "/prefork-supervisor"),
               "a group is left")


@needs("memory")
def without_delegation_a_large_worker_is_replaced():
    since = now()
    with fixture("", WORKERS="2", WORKER_MEMORY="60M", RECYCLE_JITTER="0%"):
        pid, before = main_pid(), set(workers())
        told = sum("no control groups of their own" in text for text in messages(since))
        expect(groups() == [] and told == 1, f"told {told} times")
        expect(eat(100), "it was killed")
        eventually("another worker", lambda: len(before & set(workers())) == 1)
        expect(main_pid() == pid and kernel_kills() == 0, f"{kernel_kills()} kills")


@needs("cpu")
def the_number_of_workers_follows_the_cpu_quota():
    processors = len(os.sched_getaffinity(0))
    for quota, count in [("50%", 1), ("100%", 1), ("150%", 2), ("", processors)]:
        with drop_in(f"[Service]\nCPUQuota={quota}\n"):
            service(WORKERS="auto")
            expect(len(workers()) == min(count, processors), f"CPUQuota={quota}: {len(workers())} workers")
            expect(serves(), "it does not serve")
    service(WORKERS="auto")
    expect(len(workers()) == processors, f"{len(workers())} workers")
    try:
        must("systemctl", "set-property", "--runtime", "app.service", "CPUQuota=50%")
        # A reload keeps the number, which the operator may have changed; an upgrade counts again.
        must("systemctl", "reload", "app.service")
        expect(show("StatusText").startswith(f"{processors} worker"), show("StatusText"))
        control("upgrade", "--wait")
        eventually(lambda: show("StatusText"), lambda: show("StatusText") == "1 worker serves")
        must("systemctl", "set-property", "--runtime", "app.service", "CPUQuota=150%")
        control("upgrade", "--wait")
        count = min(2, processors)
        eventually(lambda: show("StatusText"), lambda: show("StatusText").startswith(f"{count} worker"))
    finally:
        must("systemctl", "set-property", "--runtime", "app.service", "CPUQuota=")
