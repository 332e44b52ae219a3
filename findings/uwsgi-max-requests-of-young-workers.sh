#!/usr/bin/env bash
# The limit of requests of a uWSGI worker that reaches it soon.
#
# Guess:   with max-requests = 10 a worker ends after ten requests.
# True:    not in its first 60 seconds: min-worker-lifetime, whose default that is, counts first. A worker under load
#          goes on far beyond its limit, and nothing is logged. With min-worker-lifetime = 1 each worker serves ten.
# Version: uWSGI 2.0.21 of Debian 12. Date: 2026-11-30.
# Matters: a limit against leaks is not kept where a worker leaks fastest. Limits need one meaning at each rate.
source "$(dirname "$0")/support.bash"
need curl
unpack_deb uwsgi-core=2.0.21-5.1 uwsgi-plugin-python3=2.0.21-5.1
cat >app.py <<'PYTHON'
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
PYTHON
first_worker() { # OPTION ...: of 40 requests, those that the first worker answered.
    port=$(free_port)
    uwsgi-core --plugins-dir "$folder/root/usr/lib/uwsgi/plugins" --plugin python3 --http-socket "127.0.0.1:$port" \
        --wsgi-file app.py --master --processes 1 --max-requests 10 "$@" >log 2>&1 & server=$!
    eventually grep -q "spawned uWSGI worker 1" log
    sleep 2 # past the second that the shorter lifetime is
    local first answers
    answers=$(for _ in {1..40}; do until serves "$port"; do sleep 0.1; done; echo; done)
    first=$(head -1 <<<"$answers")
    grep -cx "$first" <<<"$answers"
    kill -KILL "$server"; wait "$server" 2>/dev/null || true
}
expect "requests of the first worker, limit 10" 40 "$(first_worker)"
expect "the same with min-worker-lifetime 1" 10 "$(first_worker --min-worker-lifetime 1)"
finish
