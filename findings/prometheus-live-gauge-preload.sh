#!/usr/bin/env bash
# A livemin gauge of prometheus_client under gunicorn --preload.
#
# Guess:   "livemin" is the smallest value that a live worker has set. The master sets no value, so it does not count.
# True:    a gauge writes 0 to the file of the process that creates it. With --preload that process is the master,
#          which lives as long as the pool. livemin is never above 0, and livemax never below 0.
# Version: prometheus_client 0.26.0, gunicorn 27.0.1 on CPython 3.11.7. Date: 2026-11-29.
# Matters: "free places of the fullest worker" stays at 0 and raises alerts, although no worker has reported 0. A merge
#          over processes must tell "not set" from 0, and must skip processes that serve nothing.
source "$(dirname "$0")/support.bash"
need curl
install_pip prometheus_client==0.26.0 gunicorn==27.0.1
cat >app.py <<'PYTHON'
from prometheus_client import CollectorRegistry, Gauge, generate_latest, multiprocess

free_places = Gauge("free_places", "Set by each worker once", multiprocess_mode="livemin")
coldest = Gauge("coldest", "Set by each worker once", multiprocess_mode="livemax")

def app(environ, start_response):
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    body = generate_latest(registry)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
PYTHON
cat >settings.py <<'PYTHON'
workers = 2
control_socket_disable = True

def post_worker_init(worker):
    import app
    app.free_places.set(5)
    app.coldest.set(-5)
    print("worker has set its gauges", flush=True)

def child_exit(server, worker):
    from prometheus_client import multiprocess
    multiprocess.mark_process_dead(worker.pid)
PYTHON

both_set() { [ "$(grep -c "worker has set its gauges" log)" -eq 2 ]; }
scrape() { # MIN MAX WHAT OPTION ...
    local port; port=$(free_port)
    export PROMETHEUS_MULTIPROC_DIR=$folder/metrics
    rm -rf metrics; mkdir metrics
    gunicorn --config settings.py --bind "127.0.0.1:$port" "${@:4}" app:app >log 2>&1 &
    local server=$!
    eventually both_set
    serves "$port" >metrics.txt
    expect "$3, livemin of 5 and 5" "$1" "$(awk '$1 == "free_places" { print $2 }' metrics.txt)"
    expect "$3, livemax of -5 and -5" "$2" "$(awk '$1 == "coldest" { print $2 }' metrics.txt)"
    kill -TERM "$server"
    wait "$server" || true
}
scrape 5.0 -5.0 "application loaded by each worker"
scrape 0.0 0.0 "--preload" --preload
finish
