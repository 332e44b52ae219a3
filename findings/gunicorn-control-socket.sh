#!/usr/bin/env bash
# The control socket of two gunicorns that one user runs.
#
# Guess:   gunicornc reaches the server it was meant for, or the second server reports a conflict.
# True:    the default path is one per user. A second server silently takes over the path, and gunicornc then talks to
#          that server. The first of the two to stop unlinks the path without checking whose socket it is, and the
#          other server becomes unreachable. A binary upgrade (USR2, then TERM to the old process) is such a pair, so
#          every upgrade loses the control socket.
# Version: gunicorn 27.0.1 on CPython 3.11.7. Date: 2026-11-29.
# Matters: `gunicornc -c shutdown` can stop the wrong server. A control socket needs a path per server and a lock, and
#          a server must compare device and inode before it unlinks the path.
source "$(dirname "$0")/support.bash"
need curl
install_pip gunicorn==27.0.1
cat >app.py <<'PYTHON'
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
PYTHON
start() { # WORKERS OPTION ...
    port=$(free_port)
    gunicorn --workers "$1" --bind "127.0.0.1:$port" "${@:2}" app:app >"log.$port" 2>&1 &
    server=$!
    eventually grep -q "Control socket listening" "log.$port"
    eventually serves "$port"
}
workers() { gunicornc -c "show workers" 2>/dev/null | awk '/^Total/ { print $2 }'; }

start 1; first=$server first_port=$port
expect "workers by gunicornc, first server alone" 1 "$(workers)"
start 3; second=$server second_port=$port
expect "workers by gunicornc, second server started" 3 "$(workers)"
expect "complaints of the second server" 0 "$(grep -cE 'WARN|ERROR' "log.$second_port" || true)"
kill -TERM "$second"; wait "$second" || true
expect "first server after the second has stopped (0: serves)" 0 "$(code serves "$first_port")"
expect "gunicornc (1: cannot connect)" 1 "$(code gunicornc -c "show workers")"
kill -TERM "$first"; wait "$first" || true

start 1 --pid pid
kill -USR2 "$server"
eventually test -s pid.2
next=$(cat pid.2)
eventually grep -q "\[$next\].*Control socket listening" "log.$port"
kill -TERM "$server"; wait "$server" || true
expect "upgraded server (0: serves)" 0 "$(code eventually serves "$port")"
expect "gunicornc after the upgrade (1: cannot connect)" 1 "$(code gunicornc -c "show workers")"
finish
