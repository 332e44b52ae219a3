#!/usr/bin/env bash
# gunicorn in an environment that happens to have the package setproctitle.
#
# Guess:   setproctitle changes the command line that ps shows. Process names and environments stay.
# True:    gunicorn uses the package as soon as it can be imported. The kernel's process name becomes "gunicorn: maste"
#          (15 characters), so start-stop-daemon --name and pgrep -x do not find gunicorn. The title overwrites the
#          memory of the environment, so /proc/PID/environ no longer shows the variables.
# Version: gunicorn 27.0.1, setproctitle 1.3.8 on CPython 3.11.7. Date: 2026-11-29.
# Matters: a dependency of a dependency decides whether init scripts, monitors and tools that read a worker's
#          environment find the server. Find servers by pid file or cgroup, not by name.
source "$(dirname "$0")/support.bash"
need curl start-stop-daemon
install_pip gunicorn==27.0.1
cat >app.py <<'PYTHON'
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
PYTHON
check() { # WHAT NAME STATUS VARIABLES
    local port; port=$(free_port)
    DEPLOYMENT=blue gunicorn --pid pid --bind "127.0.0.1:$port" --no-control-socket app:app >log 2>&1 &
    local server=$!
    eventually serves "$port"
    expect "$1, process name" "$2" "$(cat "/proc/$server/comm")"
    expect "$1, status by pid file and name (0: runs, 1 or 3: not)" "$3" \
        "$(code start-stop-daemon --status --pidfile pid --name gunicorn)"
    expect "$1, DEPLOYMENT=blue in the environment that /proc shows" "$4" \
        "$(tr '\0' '\n' <"/proc/$server/environ" | grep -c '^DEPLOYMENT=blue$' || true)"
    kill -TERM "$server"
    wait "$server" || true
}
check "without setproctitle" gunicorn 0 1
venv/bin/pip install --quiet --disable-pip-version-check setproctitle==1.3.8
check "with setproctitle" "gunicorn: maste" 1 0
finish
