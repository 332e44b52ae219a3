#!/usr/bin/env python3
"""Checks of the shipped unit and socket files under a real systemd: checks.py [CASE ...]

Runs in the machine that Scripts/machine/boot makes. Each function marked as a case is named by what must hold."""

import contextlib, filecmp, json, os, signal, socket, sys, threading, time

from service import *

HERE = os.path.dirname(os.path.abspath(__file__))


@case
def the_files_are_those_of_the_repository_and_systemd_has_no_complaint():
    for name in ["app.service", "app.socket"]:
        expect(filecmp.cmp(f"{HERE}/{name}", f"/etc/systemd/system/{name}", shallow=False), f"{name} was changed")
    done = run("systemd-analyze", "verify", "/etc/systemd/system/app.service", "/etc/systemd/system/app.socket")
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if "/app." in line or line.startswith("app.")]
    expect(not complaints, "\n".join(complaints))
    print("    " + must("systemd", "--version").splitlines()[0])
    service()
    expect(show("OOMPolicy") == "continue", show("OOMPolicy"))
    print("    " + run("systemd-analyze", "security", "app.service", "--no-pager").stdout.splitlines()[-1].strip("→ "))


@case
def start_returns_when_all_workers_serve():
    service(WORKERS="4")
    expect(show("ActiveState") == "active" and show("StatusText") == "4 workers serve", show("StatusText"))
    expect(len(workers()) == 4 and serves(), f"workers {workers()}")


@case
def start_by_the_first_client_under_load_loses_no_request():
    service()
    for _ in range(3):
        must("systemctl", "stop", "app.service")
        expect(show("ActiveState") == "inactive", show("ActiveState"))
        with load(keep=0, least=1):
            eventually("the start", lambda: show("StatusText") == "3 workers serve")


@case
def the_status_says_what_is():
    service(WORKERS="1")
    expect(show("StatusText") == "1 worker serves", show("StatusText"))
    # Restarts become late, and no worker serves meanwhile.
    seen = set()

    def is_missing():
        for pid in workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        seen.add(show("StatusText"))
        return "no worker serves, 1 is missing" in seen
    eventually(lambda: f"no worker serves, among {seen}", is_missing)
    eventually("it serves again", lambda: show("StatusText") == "1 worker serves")
    control("scale", "3", "--wait")
    expect(show("StatusText") == "3 workers serve", show("StatusText"))


@case
def every_worker_count_of_the_table_starts():
    for value, count in [("auto", len(os.sched_getaffinity(0))), ("1", 1), ("3", 3)]:
        service(WORKERS=value)
        expect(len(workers()) == count, f"PREFORK_WORKERS={value}: {len(workers())} workers")


AWKWARD = [
    "plain", "it's a shop", '"quoted"', "a\\b\\", "$HOME `id` $(id)", " leading and trailing ", "#no comment", "; nor",
    "größe → 漢", "a=b&c|d>e<f;g*?[x]~!", "'\\''", "two\nlines", "tab\there", "%h %% {}",
]


@case
def the_printed_configuration_is_read_by_systemd_as_by_a_shell():
    reader = "/run/systemd/system/read-back.service"
    with open(reader, "w") as file:
        file.write("[Service]\nType=oneshot\nEnvironment=PREFORK_CONTROL=kept\nEnvironmentFile=/run/printed\n"
                   "ExecStart=/usr/bin/env -0\nStandardOutput=truncate:/run/read-back\n")
    must("systemctl", "daemon-reload")

    def variables(text):
        parts = (entry.split("=", 1) for entry in text.split("\0") if entry.startswith("PREFORK_"))
        return {name: value for name, value in parts}
    for text in AWKWARD:
        given = {"PREFORK_SERVICE": text, "PREFORK_WORKERS": "auto", "PREFORK_DRAIN_TIMEOUT": "90s"}
        environment = {"PATH": os.environ["PATH"], **given}
        with open("/run/printed", "w") as file:
            file.write(must(PROGRAM, "--print-config", env=environment))
        must("systemctl", "start", "read-back.service")
        by_systemd = variables(open("/run/read-back", newline="").read())
        by_shell = variables(must("sh", "-c", "set -a; PREFORK_CONTROL=kept; . /run/printed; env -0",
                                  env={"PATH": os.environ["PATH"]}))
        wanted = {"PREFORK_CONTROL": "kept", **given}
        expect(by_shell == wanted, f"the shell reads {by_shell}, not {wanted}")
        expect(by_systemd == wanted, f"systemd reads {by_systemd}, not {wanted}")


@case
def the_printed_configuration_as_environment_file_leaves_the_unit_its_settings():
    service()
    printed = must(PROGRAM, "--print-config", env={"PATH": os.environ["PATH"], "PREFORK_WORKERS": "auto"})
    with open(ENVIRONMENT, "w") as file:
        file.write(printed)
    must("systemctl", "restart", "app.service")
    settings = json.loads(control("config", "--json"))
    values = {setting["name"]: setting["value"] for setting in settings}
    expect(values["PREFORK_CONTROL"] == CONTROL and values["PREFORK_HEARTBEAT"] == "30s", f"{values}")


@case
def the_journal_has_priorities_and_no_second_time():
    since = now()
    service(WORKERS="2")
    os.kill(workers()[0], signal.SIGKILL)
    eventually("a warning", lambda: [text for text in messages(since, "--priority=warning") if "SIGKILL" in text])
    entries = [entry for entry in journal(since) if entry.get("_COMM", "").startswith("supervisor")
               or entry.get("_EXE") == PROGRAM]
    expect(entries, "the supervisor said nothing")
    for entry in entries:
        expect("prefork[" not in entry["MESSAGE"], entry["MESSAGE"])
    started = [entry for entry in entries if " started (pid " in entry["MESSAGE"]]
    expect(started and all(entry["PRIORITY"] == "6" for entry in started), f"{started}")
    expect(all("started (pid" not in text for text in messages(since, "--priority=warning")), "info among warnings")


@case
def reload_waits_and_loses_no_request():
    service()
    with load():
        for _ in range(12):
            before = set(workers())
            must("systemctl", "reload", "app.service")
            # Old workers may still drain; the new ones all serve.
            rows = json.loads(control("workers", "--json"))
            ready = {row["pid"] for row in rows if row["state"] == "ready"}
            expect(len(ready) == 3 and not ready & before, f"before {before}, after {rows}")


@case
def reload_fails_when_the_new_workers_do_not_hold():
    service(PROBATION="20s")
    result = {}

    def reload():
        result["done"] = run("systemctl", "reload", "app.service")
    thread = threading.Thread(target=reload)
    before = set(workers())
    thread.start()
    eventually(lambda: show("StatusText"), lambda: "probation" in show("StatusText"))
    os.kill((set(workers()) - before).pop(), signal.SIGSEGV)
    thread.join()
    expect(result["done"].returncode != 0, "systemctl reload reports success")
    expect("the last reload was aborted" in show("StatusText"), show("StatusText"))
    expect(show("ActiveState") == "active" and serves(), "the service has ended with its reload")


@case
def reload_fails_without_a_supervisor_to_ask():
    service()
    os.rename(CONTROL, CONTROL + ".away")
    done = run("systemctl", "reload", "app.service")
    os.rename(CONTROL + ".away", CONTROL)
    expect(done.returncode != 0, "systemctl reload reports success")
    expect(serves(), "the service has ended with its reload")


@case
def restart_refuses_no_connection():
    service()
    with load(keep=0):
        for _ in range(3):
            pid = main_pid()
            must("systemctl", "restart", "app.service")
            expect(main_pid() != pid, "the same process")


@case
def upgrade_loses_no_request_and_keeps_the_process():
    service()
    pid = main_pid()
    with load():
        for _ in range(2):
            before = os.stat(f"/proc/{pid}/exe").st_ino
            must("cp", PROGRAM, PROGRAM + ".new")
            os.rename(PROGRAM + ".new", PROGRAM)
            control("upgrade", "--wait")
            expect(main_pid() == pid and os.stat(f"/proc/{pid}/exe").st_ino != before, "another process")
    expect(show("NRestarts") == "0" and show("ActiveState") == "active", "restarted")
    eventually(lambda: show("StatusText"), lambda: show("StatusText") == "3 workers serve")
    # The sandbox's and the manager's part go over: another reload, the watchdog's variables.
    must("systemctl", "reload", "app.service")


@case
def the_watchdog_ends_a_supervisor_that_stands_still():
    with drop_in("[Service]\nWatchdogSec=3s\nTimeoutAbortSec=3s\n"):
        service()
        time.sleep(5)
        expect(show("NRestarts") == "0", "a supervisor that turns is ended")
        pid = main_pid()
        old = workers()
        os.kill(pid, signal.SIGSTOP)
        eventually("another supervisor", lambda: main_pid() not in (0, pid) and show("StatusText") == "3 workers serve")
        expect(show("NRestarts") == "1" and serves(), show("NRestarts"))
        expect(not any(os.path.exists(f"/proc/{worker}") for worker in old), "workers of the dead supervisor live")


@case
def kill_of_all_processes_under_load_loses_no_request():
    service()
    with load(keep=0):
        # The supervisor and each worker get SIGTERM. The next client has the socket start the service again.
        for _ in range(3):
            pid = main_pid()
            must("systemctl", "kill", "app.service")
            eventually("the service again", lambda: main_pid() not in (0, pid) and show("ActiveState") == "active")
    expect(show("Result") == "success", show("Result"))


@case
def signals_to_the_main_process_mean_what_the_manual_says():
    service()
    with load():
        before = set(workers())
        must("systemctl", "kill", "--signal=HUP", "--kill-whom=main", "app.service")
        eventually("a reload", lambda: len(workers()) == 3 and not before & set(workers()))
        must("systemctl", "kill", "--signal=TTIN", "--kill-whom=main", "app.service")
        eventually("one more", lambda: show("StatusText") == "4 workers serve")
    with load(keep=0):
        must("systemctl", "kill", "--signal=TERM", "--kill-whom=main", "app.service")
        eventually("the service again", lambda: show("StatusText") == "3 workers serve")


@case
def a_quick_stop_under_load_cuts_off_and_keeps_the_port():
    service(DRAIN_TIMEOUT="600s", QUICK_TIMEOUT="10s")
    pid, old = main_pid(), workers()
    clients = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(4)]
    for client in clients:
        client.sendall(b"GET /slow?ms=600000 HTTP/1.1\r\nHost: x\r\n\r\n")
    eventually("requests in hand", lambda: control("requests", "--json").count("/slow") >= 4)
    must("systemctl", "kill", "--signal=INT", "--kill-whom=main", "app.service")
    eventually("its end", lambda: main_pid() != pid)
    # The next client has the socket start the service again.
    expect(serves() and show("Result") == "success", show("Result"))
    expect(not any(os.path.exists(f"/proc/{worker}") for worker in old), "workers are left")
    for client in clients:
        client.settimeout(30)
        with contextlib.suppress(ConnectionResetError):
            expect(client.recv(1) == b"", "an answer")


@case
def a_killed_supervisor_is_replaced_and_leaves_nothing():
    service()
    pid, old = main_pid(), workers()
    must("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "app.service")
    eventually("another supervisor", lambda: main_pid() not in (0, pid) and show("StatusText") == "3 workers serve")
    expect(serves() and not any(os.path.exists(f"/proc/{worker}") for worker in old), "workers are left")


@case
def a_start_that_fails_at_once_keeps_the_port():
    for text in ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nexit 64\n"]:
        service()
        must("systemctl", "stop", "app.service")
        with other_program(text):
            # A client that the socket starts the service for, and that waits for its answer.
            answers = []
            client = threading.Thread(target=lambda: answers.append(get("/", timeout=100)))
            client.start()
            eventually(lambda: f"failed starts: {show('NRestarts')}, {show('SubState', 'app.socket')}",
                       lambda: int(show("NRestarts")) >= 6 or show("ActiveState", "app.socket") != "active")
            expect(show("ActiveState", "app.socket") == "active", f"app.socket: {show('Result', 'app.socket')}")
            socket.create_connection(("127.0.0.1", PORT), timeout=5).close()
        client.join()
        expect(answers == [(200, "Hello World")], f"the client got {answers}")


@case
def everything_works_in_the_sandbox():
    service(METRICS="127.0.0.1:9100", AFFINITY="worker")
    status = open(f"/proc/{workers()[0]}/status").read()
    expect("NoNewPrivs:\t1" in status and "CapEff:\t0000000000000000" in status, status)
    control("scale", "5", "--wait")
    expect(len(workers()) == 5, f"{workers()}")
    text = get("/metrics", port=9100)[1]
    expect("prefork_" in text, text[:200])
    masks = {tuple(os.sched_getaffinity(pid)) for pid in workers()}
    count = len(os.sched_getaffinity(0))
    expect(len(masks) == min(count, 5) and (count == 1 or all(len(mask) == 1 for mask in masks)), f"{masks}")
    since = now()
    os.kill(workers()[0], signal.SIGSEGV)
    eventually("a stack", lambda: [text for text in messages(since) if "stack of thread" in text])
    expect("SIGSEGV" in control("crashes"), "preforkctl crashes")
    expect(len(json.loads(control("listeners", "--json"))) == 1, "listeners")
    for row in json.loads(control("listeners", "--json")):
        expect(row.get("waiting") is not None, f"how many wait is not known: {row}")


def turns():
    """How many turns the workers' loops have made, of all workers that have ever been: a histogram of the library's,
    which is kept as those of the program."""
    name = "prefork_event_loop_turn_seconds_count "
    return next(float(line.split()[1]) for line in get("/metrics", port=9100)[1].splitlines() if line.startswith(name))


@case
def the_sums_of_metrics_outlive_a_restart_of_the_service():
    service(METRICS="127.0.0.1:9100")
    for _ in range(20):
        expect(serves(), "it does not serve")
    before = turns()
    expect(before >= 20, f"{before} turns")
    for order in ["restart", "kill"]:
        pid, seen = main_pid(), turns()
        if order == "restart":
            must("systemctl", "restart", "app.service")
        else:
            os.kill(pid, signal.SIGKILL)
            eventually("another process", lambda: main_pid() not in (0, pid))
        eventually("it serves", lambda: show("StatusText") == "3 workers serve")
        after = turns()
        print(f"    {order}: {seen:.0f} turns before, {after:.0f} after, {show('NFileDescriptorStore')} descriptors kept")
        expect(after >= seen, f"{after} turns after the {order}, {seen} before")
    expect(int(show("NFileDescriptorStore")) > 0, "systemd keeps no descriptor")


@case
def a_group_gives_orders_at_the_control_socket():
    # As the manual has it (OperatingWithPreforkctl).
    with drop_in("[Service]\nEnvironment=PREFORK_CONTROL_OWNER=:operator\nSupplementaryGroups=operator\n"
                 "RuntimeDirectoryMode=0755\nPrivateUsers=no\nSystemCallFilter=@chown\n"):
        service()

        def order(group):
            return run("setpriv", "--reuid=nobody", f"--regid={group}", "--clear-groups", "preforkctl", "--socket",
                       CONTROL, "reload", "--wait")
        done = order("operator")
        expect(done.returncode == 0, done.stderr)
        expect(order("nogroup").returncode == 69, "others may give orders")
        must("systemctl", "reload", "app.service")


@case
def requests_that_the_drain_timeout_cuts_off_leave_a_warning():
    service(DRAIN_TIMEOUT="2s", WORKERS="1")
    since = now()
    clients = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(2)]
    for client in clients:
        client.sendall(b"GET /slow?ms=600000 HTTP/1.1\r\nHost: x\r\n\r\n")
    eventually("requests in hand", lambda: control("requests", "--json").count("/slow") >= 2)
    must("systemctl", "stop", "app.service")
    found = [text for text in messages(since, "--priority=warning") if "cuts off 2 requests" in text]
    expect(len(found) == 1 and '"/slow" waiting for ' in found[0], f"{found or messages(since)}")


import sandbox  # noqa: its cases come after these
import limits  # noqa: its cases come last


def main(names):
    failures = 0
    for case in cases:
        if names and not any(name in case.__name__ or name == case.__module__ for name in names):
            continue
        start, since = time.monotonic(), now()
        try:
            case()
            print(f"ok    {case.__name__.replace('_', ' ')} ({time.monotonic() - start:.1f} s)")
        except Exception as error:
            failures += 1
            print(f"WRONG {case.__name__.replace('_', ' ')}: {error!r}")
            tail = run("journalctl", f"--since={since}", "--no-pager", "--output=short-precise").stdout
            print("".join(f"      | {line}\n" for line in tail.splitlines()[-40:]), end="")
    run("systemctl", "stop", "app.service", "app.socket")
    print("all cases hold" if failures == 0 else f"{failures} of the cases do not hold")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
