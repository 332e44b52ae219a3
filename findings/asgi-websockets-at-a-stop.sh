#!/usr/bin/env bash
# WebSockets of ASGI servers at a graceful stop or reload.
#
# Guess:   a server that stops in order sends each WebSocket a close frame (1001 going away or 1012 service restart), and
#          tells the application the same code by websocket.disconnect.
# True:    only uvicorn does, alone and under gunicorn. granian ends the connection without a frame, so that the client
#          sees 1006, and tells the application 1005 (the code of a client that closed in order without giving a code) or
#          nothing, by chance. hypercorn and daphne send no frame either, and their applications never learn that the
#          connection is gone.
# Version: uvicorn 0.54.0 with websockets 17.4, gunicorn 27.0.1 with uvicorn-worker 0.4.0, granian 2.8.9,
#          hypercorn 0.18.0, daphne 4.2.3 on CPython 3.11.7. Date: 2026-12-01.
# Matters: at each deploy clients that reconnect at once only after 1001 or 1012 treat it as a failure and back off, and
#          cleanup after websocket.disconnect (presence, subscriptions, counters) is left out or filed as the client's wish.
source "$(dirname "$0")/support.bash"
install_pip uvicorn==0.54.0 gunicorn==27.0.1 uvicorn-worker==0.4.0 granian==2.8.9 hypercorn==0.18.0 daphne==4.2.3 \
    websockets==17.4
cat >app.py <<'PYTHON'
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})
        with open("told", "w") as file:
            file.write(str(message["code"]))
PYTHON
cat >client.py <<'PYTHON'
import asyncio, sys, websockets

async def main():
    async with asyncio.timeout(30):
        while True:
            try:
                socket = await websockets.connect(f"ws://127.0.0.1:{sys.argv[1]}/")
                break
            except OSError:
                await asyncio.sleep(0.1)
        await socket.send("text")
        await socket.recv()
        open("open", "w").close()
        try:
            await socket.recv()
        except websockets.ConnectionClosed as error:
            print(error.rcvd.code if error.rcvd else "no frame")

asyncio.run(main())
PYTHON

# What the client and the application see when the server gets a signal.
seen() { # SIGNAL SERVER OPTION ...
    local signal=$1 client server
    shift
    rm -f told open
    "$@" >log 2>&1 &
    server=$!
    python3 client.py "$port" >client &
    client=$!
    eventually test -e open
    kill "-$signal" "$server"
    wait "$client" || true
    if [ "$signal" = HUP ]; then
        # The old worker tells its application after the client's end, if it does.
        within 10 test -s told || true
        kill -TERM "$server"
    fi
    # A server that has ended has told its application all that it ever will.
    eventually gone "$server"
    echo "$(cat client), $(cat told 2>/dev/null || echo "not told")"
}

port=$(free_port)
gunicorn=(gunicorn --workers 2 --worker-class uvicorn_worker.UvicornWorker --bind "127.0.0.1:$port" app:app)
granian=(granian --interface asgi --workers 2 --port "$port" app:app)
echo "client sees, application is told:"
expect "uvicorn, TERM" "1012, 1012" "$(seen TERM uvicorn --workers 2 --port "$port" app:app)"
expect "gunicorn with uvicorn's worker, HUP" "1012, 1012" "$(seen HUP "${gunicorn[@]}")"
# Which of the two it is differs from run to run.
either() { sed -E 's/, (1005|not told)$/, 1005 or not told/'; }
expect "granian, TERM" "no frame, 1005 or not told" "$(seen TERM "${granian[@]}" | either)"
expect "granian, HUP" "no frame, 1005 or not told" "$(seen HUP "${granian[@]}" | either)"
expect "hypercorn, TERM" "no frame, not told" "$(seen TERM hypercorn --workers 2 --bind "127.0.0.1:$port" app:app)"
expect "daphne, TERM" "no frame, not told" "$(seen TERM daphne --port "$port" app:app)"
finish
