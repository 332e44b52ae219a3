#!/usr/bin/env bash
# Sanic workers that are killed.
#
# Guess:   Sanic's worker manager replaces a worker that was killed, as gunicorn, uvicorn and nginx do.
# True:    it never does, and logs nothing. Once all workers are gone, the main process stays and keeps the listener
#          open. The kernel accepts connections that no process will read, so a TCP probe passes and clients wait.
# Version: sanic 25.12.1 on CPython 3.11.7. Date: 2026-11-29.
# Matters: every kill by the out-of-memory killer costs a worker permanently. A live main process and an open port do
#          not prove that a pool serves. Only an answered request does.
source "$(dirname "$0")/support.bash"
need curl pgrep
install_pip sanic==25.12.1
cat >app.py <<'PYTHON'
import os
from sanic import Sanic, text

app = Sanic("finding")

@app.get("/")
async def root(request):
    return text(str(os.getpid()))
PYTHON

port=$(free_port)
sanic app:app --workers 2 --port "$port" >log 2>&1 &
main=$!
eventually serves "$port"
two_ready() { [ "$(grep -c 'Worker ready' log)" -eq 2 ]; }
eventually two_ready
lines=$(wc -l <log)
before=$(count_children "$main")
first=$(serves "$port")
kill -KILL "$first"
eventually gone "$first"
# Nothing will happen: the wait is for a replacement, and it is expected to end without one.
others() { [ "$(count_children "$main")" -ge "$before" ]; }
expect "a replacement within 5 seconds (1: none)" 1 "$(code within 5 others)"
second=$(serves "$port")
if [ "$second" != "$first" ]; then answered="the other worker"; else answered=$second; fi
expect "answers" "the other worker" "$answered"
kill -KILL "$second"
eventually gone "$second"
expect "curl with both workers killed (28: connected, no answer)" 28 "$(code serves "$port")"
expect "main process alive (0: yes)" 0 "$(code kill -0 "$main")"
expect "lines logged about it" 0 "$(($(wc -l <log) - lines))"
finish
