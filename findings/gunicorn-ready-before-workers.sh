#!/usr/bin/env bash
# When gunicorn tells systemd that it is ready.
#
# Guess:   gunicorn sends READY=1 once a worker has loaded the application. A service that cannot load it never becomes
#          ready.
# True:    the arbiter sends it as soon as it has its listeners, before it forks any worker. An application that takes
#          minutes to load is ready at once, and one that cannot be loaded is ready before it fails.
# Version: gunicorn 27.0.1 without --preload, CPython 3.11.7. Date: 2026-11-29.
# Matters: `systemctl start` succeeds, and systemd starts dependent units against a pool that cannot serve. A pool's
#          readiness must come from its workers.
source "$(dirname "$0")/support.bash"
install_pip gunicorn==27.0.1
cat >app.py <<'PYTHON'
import os, time
while not os.path.exists("load"):
    time.sleep(0.05)
raise RuntimeError("this application cannot be loaded")
PYTHON
cat >manager.py <<'PYTHON'
# Plays systemd: reads notifications, and lets the application load only after the first of them.
import os, select, socket, subprocess, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
    notifications.bind("notify")
    environment = dict(os.environ, NOTIFY_SOCKET=os.path.abspath("notify"))
    command = ["gunicorn", "--workers", "2", "--bind", "127.0.0.1:" + sys.argv[1], "--no-control-socket", "app:app"]
    with open("log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    if select.select([notifications], [], [], 20)[0]:
        print(notifications.recv(4096).decode().split("\n")[0])
    open("load", "w").close()
    print("failed" if server.wait(30) else "ended well")
PYTHON
python3 manager.py "$(free_port)" >seen
expect "notification while no worker could have loaded the application" READY=1 "$(sed -n 1p seen)"
expect "then the server" failed "$(sed -n 2p seen)"
finish
