#!/usr/bin/env bash
# The exit status of hypercorn after its workers fail.
#
# Guess:   hypercorn stops if a worker fails (documented), and its exit status reports the failure.
# True:    it exits with 0, both if the application cannot be imported and if a signal killed a worker. hypercorn
#          computes the status a second time, after the failed worker has left its list.
# Version: hypercorn 0.18.0 on CPython 3.11.7. Date: 2026-11-29.
# Matters: systemd's Restart=on-failure, a Kubernetes Job and `&&` in a script all take the crash for a clean end. A
#          supervisor must keep the first failure for its exit status.
source "$(dirname "$0")/support.bash"
need curl
install_pip hypercorn==0.18.0
cat >good.py <<'PYTHON'
import os

async def app(scope, receive, send):
    if scope["type"] == "http":
        body = b"%d" % os.getpid()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
PYTHON
echo 'raise RuntimeError("this application cannot be imported")' >broken.py

status=0
hypercorn --bind "127.0.0.1:$(free_port)" broken:app >log 2>&1 || status=$?
expect "the log names the error" 1 "$(grep -c '^RuntimeError: this application cannot be imported' log)"
expect "exit status, application cannot be imported" 0 "$status"
for workers in 1 2; do
    port=$(free_port)
    hypercorn --workers "$workers" --bind "127.0.0.1:$port" good:app >log 2>&1 &
    server=$!
    eventually serves "$port"
    kill -KILL "$(serves "$port")"
    status=0; wait "$server" || status=$?
    expect "exit status, a worker of $workers killed by SIGKILL" 0 "$status"
done
finish
