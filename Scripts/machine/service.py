"""The service of the machine, as the cases of checks.py use it."""

import contextlib, http.client, json, os, signal, subprocess, time

PORT = 8080
ENVIRONMENT = "/etc/default/app"
PROGRAM = "/usr/local/bin/app"
CONTROL = "/run/app/control"


cases = []


def case(function):
    """Marks a case, which is named by what must hold."""
    cases.append(function)
    return function


class Wrong(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Wrong(what)


def run(*command, timeout=120, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)


def must(*command, **options):
    done = run(*command, **options)
    expect(done.returncode == 0, f"{' '.join(command)}: exit code {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def show(name, unit="app.service"):
    return must("systemctl", "show", unit, f"--property={name}", "--value").strip()


def eventually(what, condition, limit=60):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise Wrong(f"not within {limit} s: {what() if callable(what) else what}")


def main_pid():
    return int(show("MainPID"))


def workers():
    pid = main_pid()
    try:
        return sorted(int(word) for word in open(f"/proc/{pid}/task/{pid}/children").read().split())
    except FileNotFoundError:
        return []


def control(*words, **options):
    return must("preforkctl", "--socket", CONTROL, *words, **options)


def get(path, timeout=30, port=PORT):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def serves():
    return get("/") == (200, "Hello World")


def now():
    """For `journal`. No cursor: with a filter, --after-cursor= of systemd 252 leaves out the first entry that matches."""
    return f"@{time.time():.6f}"


def journal(since, *options):
    """The service's entries since then."""
    must("journalctl", "--sync")
    lines = must("journalctl", "--unit=app.service", f"--since={since}", "--output=json", *options).splitlines()
    return [json.loads(line) for line in lines]


def messages(since, *options):
    return [entry["MESSAGE"] for entry in journal(since, *options) if isinstance(entry["MESSAGE"], str)]


def service(**variables):
    """A fresh service with these variables PREFORK_* in its EnvironmentFile=."""
    run("systemctl", "stop", "app.service", "app.socket")
    run("systemctl", "reset-failed")
    variables = {"WORKERS": "3", "PROBATION": "0", **variables}
    with open(ENVIRONMENT, "w") as file:
        for name, value in variables.items():
            file.write(f"PREFORK_{name}={value}\n")
    must("systemctl", "start", "app.socket", "app.service")


@contextlib.contextmanager
def drop_in(text):
    """The shipped unit stays as it is; what a case needs beside it is a drop-in."""
    folder = "/run/systemd/system/app.service.d"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/case.conf", "w") as file:
        file.write(text)
    must("systemctl", "daemon-reload")
    try:
        yield
    finally:
        os.remove(f"{folder}/case.conf")
        must("systemctl", "daemon-reload")


@contextlib.contextmanager
def load(keep=4, least=20):
    """Clients that keep their connections and clients that do not. Each of their requests must be answered.

    `least`: so many requests are made, or the case has shown nothing. A client that keeps its connection through the end of the service may send a request as the connection is closed."""
    clients = subprocess.Popen(
        ["/usr/local/libexec/ops-fixture", "load", f"port={PORT}", f"keep={keep}", f"once={6 - keep}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        expect(clients.stdout.readline().strip() == "load runs", "the load does not run")
        yield
        clients.send_signal(signal.SIGTERM)
        words = clients.stdout.read().split()
        errors = clients.stderr.read()
        clients.wait(timeout=60)
        expect(words[0] == "answers" and int(words[1]) >= least, f"the load said {words}")
        expect(int(words[3]) == 0, f"{words}: {errors[:500]}")
        print(f"    {words[1]} requests answered, none failed")
    finally:
        clients.kill()


@contextlib.contextmanager
def other_program(text):
    """Another program in the place of the service's."""
    os.rename(PROGRAM, PROGRAM + ".kept")
    try:
        with open(PROGRAM, "w") as file:
            file.write(text)
        os.chmod(PROGRAM, 0o755)
        yield
    finally:
        os.rename(PROGRAM + ".kept", PROGRAM)
