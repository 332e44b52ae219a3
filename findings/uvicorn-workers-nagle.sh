#!/usr/bin/env bash
# TCP_NODELAY on the connections of uvicorn with one process and with workers.
#
# Guess:   uvicorn on asyncio serves with TCP_NODELAY, whatever the number of workers.
# True:    only in a single process. With --workers or --fd, uvicorn creates or adopts the listener as a Python socket
#          whose protocol is 0 (and, with --fd, whose family is Unix). accept() copies these fields, and asyncio sets
#          TCP_NODELAY only if they say TCP. Nagle's algorithm stays on. uvloop sets the option in every mode.
# Version: uvicorn 0.54.0 on CPython 3.11.7; uvloop 0.23.0. Date: 2026-11-29.
# Matters: the way a supervisor hands over its listeners decides what kind of socket the framework believes it has.
#          Adding workers or socket activation can add delayed-ACK pauses to responses written in two pieces.
source "$(dirname "$0")/support.bash"
need curl
install_pip uvicorn==0.54.0 uvloop==0.23.0
cat >app.py <<'PYTHON'
import os, socket

def nodelay(client_port):
    for number in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(number))) as connection:
                if connection.getpeername()[1] == client_port:
                    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        except (OSError, IndexError):
            pass

async def app(scope, receive, send):
    if scope["type"] == "http":
        body = b"on" if nodelay(scope["client"][1]) else b"off"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
PYTHON
cat >with-listener.py <<'PYTHON'
# Runs a program with a listening TCP socket as descriptor 3, as socket activation does.
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(os.dup(listener.fileno()), 3)
os.execvp(sys.argv[2], sys.argv[2:])
PYTHON

nodelay() { # EXPECTED WHAT COMMAND ...; PORT is replaced by a port
    local expected=$1 what=$2 port; port=$(free_port); shift 2
    "${@/PORT/$port}" >log 2>&1 &
    local server=$!
    eventually serves "$port"
    expect "$what, TCP_NODELAY" "$expected" "$(serves "$port")"
    kill -TERM "$server"
    wait "$server" || true
}
nodelay on "one process, asyncio" uvicorn --loop asyncio --port PORT app:app
nodelay off "two workers, asyncio" uvicorn --loop asyncio --workers 2 --port PORT app:app
nodelay off "inherited listener, asyncio" python3 with-listener.py PORT uvicorn --loop asyncio --fd 3 app:app
nodelay on "two workers, uvloop" uvicorn --loop uvloop --workers 2 --port PORT app:app
finish
