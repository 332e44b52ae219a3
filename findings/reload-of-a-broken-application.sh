#!/usr/bin/env bash
# HUP while the application cannot be imported, in four servers.
#
# Guess:   a reload that fails leaves the old workers in place.
# True:    of gunicorn, granian, hypercorn and uvicorn, only uvicorn does that. The other three stop serving workers
#          before a new worker has proved that it can serve, and then exit. hypercorn exits with 0.
# Version: gunicorn 27.0.1, granian 2.8.9, hypercorn 0.18.0, uvicorn 0.54.0 on CPython 3.11.7. Date: 2026-11-29.
# Matters: a reload is no safer than a restart unless the new worker must report that it is ready. Elsewhere the same
#          order turns a typing error into an outage (benoitc/gunicorn #2443, emmett-framework/granian #921).
source "$(dirname "$0")/support.bash"
need curl
install_pip gunicorn==27.0.1 granian==2.8.9 hypercorn==0.18.0 uvicorn==0.54.0
cat >good.py <<'PYTHON'
import os
with open("loaded", "a") as loaded:
    print(os.getpid(), file=loaded)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
PYTHON
echo 'raise RuntimeError("broken on purpose")' >broken.py
export PYTHONDONTWRITEBYTECODE=1

both_loaded() { [ "$(sort -u loaded | wc -l)" -ge 2 ]; }
reload() { # COMMAND ...; PORT is replaced. Sets result.
    local port server; port=$(free_port)
    cp good.py app.py
    rm -f loaded
    "${@/PORT/$port}" >log 2>&1 &
    server=$!
    eventually both_loaded
    eventually serves "$port"
    cp broken.py app.py
    kill -HUP "$server"
    eventually grep -q "broken on purpose" log
    # uvicorn logs that it keeps the old workers; the others end.
    decided() { gone "$server" || grep -q "$kept" log; }
    eventually decided
    if gone "$server" 2>/dev/null; then
        result=ends
        status=0; wait "$server" || status=$?
    elif serves "$port" >answer; then
        result=serves
        kill -TERM "$server"
        wait "$server" || true
    fi
}
kept="nothing of the kind"
reload gunicorn --worker-class asgi --workers 2 --no-control-socket --bind 127.0.0.1:PORT app:app
expect gunicorn ends "$result"
reload granian --interface asgi --workers 2 --port PORT app:app
expect granian ends "$result"
reload hypercorn --workers 2 --bind 127.0.0.1:PORT app:app
expect hypercorn ends "$result"
expect "hypercorn, exit status" 0 "$status"
kept="aborting the restart"
reload uvicorn --workers 2 --port PORT app:app
expect uvicorn serves "$result"
finish
