#!/usr/bin/env bash
# Signals that reach gunicorn through a container's init.
#
# Guess:   tini, dumb-init and catatonit pass on every signal. TTIN adds a worker, and HUP reloads without losing a
#          request.
# True:    tini ignores TTIN. catatonit starts its child with TTIN, TTOU and TSTP blocked, so gunicorn cannot receive
#          them even if they are sent to gunicorn directly. dumb-init turns TTIN into SIGSTOP for the whole session and
#          then stops itself: the order to add a worker freezes the service until SIGCONT arrives. HUP through
#          dumb-init or `tini -g` also reaches the workers, where it has the default action and kills requests in
#          flight.
# Version: tini 0.19.0-1+b3, dumb-init 1.2.5-2, catatonit 0.1.7-1+b2 (Debian 12), gunicorn 27.0.1. Date: 2026-11-29.
# Matters: `docker kill --signal` addresses the init. Operators must send orders to the supervisor itself. A supervisor
#          must unblock the signals it uses at start, because its parent may have blocked them.
source "$(dirname "$0")/support.bash"
need curl pgrep
unpack_deb tini=0.19.0-1+b3 dumb-init=1.2.5-2 catatonit=0.1.7-1+b2
install_pip gunicorn==27.0.1
cat >app.py <<'PYTHON'
import os, time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        open("entered", "w").close()
        while not os.path.exists("leave"):
            time.sleep(0.05)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
PYTHON

start() { # INIT ...
    port=$(free_port)
    "$@" gunicorn --workers 2 --bind "127.0.0.1:$port" --no-control-socket app:app >log 2>&1 &
    init=$!
    eventually serves "$port"
    master=$(children "$init")
}
stop() { kill -TERM "$init"; wait "$init" || true; }
has_workers() { [ "$(count_children "$master")" -eq "$1" ]; }
all_stopped() {
    local pid
    for pid in "$init" "$master" $(children "$master"); do [ "$(state "$pid")" = T ] || return 1; done
}
ttin_is_in() { # MASK PID; SIGTTIN is signal 21, bit 20 of the mask.
    local mask; mask=$(awk -v name="$1:" '$1 == name { print $2 }' "/proc/$2/status")
    if (((0x$mask >> 20) & 1)); then echo yes; else echo no; fi
}

start tini -s --
expect "tini ignores TTIN" yes "$(ttin_is_in SigIgn "$init")"
kill -TTIN "$init"
kill -TTIN "$master"
eventually has_workers 3
expect "tini, workers after TTIN to tini and TTIN to gunicorn" 3 "$(count_children "$master")"
stop

start catatonit --
expect "catatonit, gunicorn has TTIN blocked" yes "$(ttin_is_in SigBlk "$master")"
kill -TTIN "$master"
serves "$port" >/dev/null
expect "catatonit, TTIN to gunicorn itself stays pending" yes "$(ttin_is_in ShdPnd "$master")"
expect "catatonit, workers" 2 "$(count_children "$master")"
stop

start dumb-init
kill -TTIN "$init"
expect "dumb-init, TTIN stops init, master and workers" 0 "$(code eventually all_stopped)"
expect "dumb-init, curl after TTIN (28: no answer)" 28 "$(code serves "$port")"
children "$master" | xargs kill -CONT "$init" "$master"
expect "dumb-init, curl after CONT" 0 "$(code eventually serves "$port")"
expect "dumb-init, workers" 2 "$(count_children "$master")"
stop

slow_request() { # EXPECTED INIT ...
    local expected=$1; shift
    rm -f entered leave
    start "$@"
    local before; before=$(children "$master" | tr '\n' ' ')
    curl --silent --max-time 20 "http://127.0.0.1:$port/slow" >answer & local request=$!
    eventually test -e entered
    kill -HUP "$init"
    # The new workers are there: whatever HUP does to the old ones has been ordered.
    replaced() { [ -n "$(comm -13 <(tr ' ' '\n' <<<"$before" | sort) <(children "$master" | sort))" ]; }
    eventually replaced
    if [ "$expected" -eq 0 ]; then touch leave; fi
    local status=0; wait "$request" || status=$?
    expect "$*, request in flight at HUP (0 answered, 52 cut off)" "$expected" "$status"
    touch leave
    stop
}
slow_request 0 tini -s --
slow_request 52 tini -s -g --
slow_request 52 dumb-init
finish
