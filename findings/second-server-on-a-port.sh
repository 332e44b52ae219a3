#!/usr/bin/env bash
# A second server on a port that is in use.
#
# Guess:   the second start fails with "Address already in use", however many workers a server has.
# True:    hypercorn sets SO_REUSEPORT if it has two workers or more, granian always. A second server of the same user
#          then starts silently, and the kernel splits the connections between both. hypercorn with one worker is
#          refused. hypercorn's workers share one socket, so they gain nothing from the option.
# Version: hypercorn 0.18.0, granian 2.8.9; for comparison uvicorn 0.54.0. Date: 2026-11-29.
# Matters: a deployment that starts the new server while the old one lives serves two versions at once and looks
#          healthy. With SO_REUSEPORT the port no longer acts as a lock, so a supervisor needs another one.
source "$(dirname "$0")/support.bash"
need curl ss
install_pip hypercorn==0.18.0 granian==2.8.9 uvicorn==0.54.0
cat >app.py <<'PYTHON'
import os

async def app(scope, receive, send):
    if scope["type"] == "http":
        body = os.environ["SERVER"].encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
PYTHON

# Asks until both servers have answered. The kernel picks by the client's port, so every connection is a new draw.
both_answer() { [[ $(for _ in $(seq 20); do serves "$port"; echo; done | sort -u | xargs) == "first second" ]]; }
starts_twice() { # COMMAND ...; PORT is replaced
    port=$(free_port)
    SERVER=first "${@/PORT/$port}" >first.log 2>&1 &
    local first=$! second
    eventually serves "$port"
    SERVER=second "${@/PORT/$port}" >second.log 2>&1 &
    second=$!
    settled() { gone "$second" || both_answer; }
    eventually settled
    if kill -0 "$second" 2>/dev/null; then result="both serve"; kill -TERM "$second"; else result=refused; fi
    kill -TERM "$first"
    wait || true
}
starts_twice uvicorn --workers 2 --port PORT app:app
expect "uvicorn, two workers" refused "$result"
starts_twice hypercorn --workers 1 --bind 127.0.0.1:PORT app:app
expect "hypercorn, one worker" refused "$result"
starts_twice hypercorn --workers 2 --bind 127.0.0.1:PORT app:app
expect "hypercorn, two workers" "both serve" "$result"
starts_twice granian --interface asgi --workers 1 --port PORT app:app
expect "granian, one worker" "both serve" "$result"
finish
