#!/usr/bin/env bash
# Socket activation of gunicorn behind tini or dumb-init.
#
# Guess:   descriptor 3 is inherited through fork and exec, so gunicorn serves on it behind an init as well.
# True:    LISTEN_PID names the init, which has forked. gunicorn silently ignores the sockets and opens its own --bind
#          address. The activated socket stays open in every process, but no process accepts: clients connect and wait.
# Version: gunicorn 27.0.1, tini 0.19.0-1+b3, dumb-init 1.2.5-2 (Debian 12). Date: 2026-11-29.
# Matters: LISTEN_PID survives an exec but not a fork. A wrapper between systemd and a server must rewrite it, and a
#          server that finds LISTEN_FDS for another process should log it.
source "$(dirname "$0")/support.bash"
unpack_deb tini=0.19.0-1+b3 dumb-init=1.2.5-2
install_pip gunicorn==27.0.1
cat >app.py <<'PYTHON'
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
PYTHON
cat >activate.py <<'PYTHON'
# Runs a program as systemd does for a socket unit: descriptor 3 listens, LISTEN_PID is the program's process.
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(os.dup(listener.fileno()), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])
PYTHON

activated() { # EXPECTED-CODE EXPECTED-ADDRESS INIT ...
    local code=$1 address=$2 port bound; port=$(free_port); bound=$(free_port); shift 2
    python3 activate.py "$port" "$@" gunicorn --bind "127.0.0.1:$bound" --no-control-socket app:app >log 2>&1 &
    local server=$!
    eventually grep -q "Booting worker" log
    if grep -q "Listening at: http://127.0.0.1:$port " log; then listens=activated; else listens=--bind; fi
    expect "${*:-directly}: gunicorn listens at the address of" "$address" "$listens"
    expect "${*:-directly}: curl to the activated socket (28: connected, no answer)" "$code" "$(code serves "$port")"
    kill -TERM "$server"
    wait "$server" || true
}
activated 0 activated
activated 28 --bind tini -s --
activated 28 --bind dumb-init
finish
