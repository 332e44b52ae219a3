#!/usr/bin/env bash
# HUP to uWSGI that was installed from PyPI as pyuwsgi, in a virtual environment.
#
# Guess:   HUP reloads: the master re-executes itself and keeps the listener.
# True:    the master executes /proc/self/exe. In the wheel that is the Python interpreter, under its real path outside
#          of the virtual environment. It cannot import pyuwsgi and exits with 1. The service is gone, although nothing
#          was wrong with the application or the settings.
# Version: pyuwsgi 2.0.30.post1 on CPython 3.11.7. Date: 2026-11-29.
# Matters: a program that re-executes itself must run the path and arguments it was started with, not the image that
#          the kernel reports. Test an in-place upgrade for every way to install.
source "$(dirname "$0")/support.bash"
need curl
install_pip pyuwsgi==2.0.30.post1
cat >app.py <<'PYTHON'
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
PYTHON
port=$(free_port)
"$folder/venv/bin/uwsgi" --http-socket "127.0.0.1:$port" --master --processes 2 --wsgi-file app.py >log 2>&1 &
master=$!
eventually serves "$port"
expect "before HUP (0: serves)" 0 "$(code serves "$port")"
kill -HUP "$master"
status=0; wait "$master" || status=$?
expect "exit status after HUP" 1 "$status"
expect "imports that failed" 1 "$(grep -c "^ModuleNotFoundError: No module named 'pyuwsgi'" log)"
expect "curl (7: refused)" 7 "$(code serves "$port")"
finish
