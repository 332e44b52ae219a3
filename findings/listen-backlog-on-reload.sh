#!/usr/bin/env bash
# HUP with a changed backlog, and with a changed number of workers.
#
# Guess:   the backlog of an open listener is fixed, so a reload cannot change it. A reload keeps the number of workers
#          that an operator set by signals.
# True:    nginx calls listen() again on the open listener, and the kernel applies the new backlog at once. gunicorn
#          reads the new value and silently keeps the old one. gunicorn also drops the workers that TTIN has added.
# Version: nginx 1.22.1-9+deb12u11 (Debian 12), gunicorn 27.0.1. Date: 2026-11-29.
# Matters: an operator can lengthen a short queue under load without closing the listener. An operator who scaled a
#          pool by signals under load loses those workers at the next reload.
source "$(dirname "$0")/support.bash"
need curl ss pgrep
unpack_deb nginx=1.22.1-9+deb12u11
install_pip gunicorn==27.0.1
# For a listener, ss shows the backlog as the send queue.
backlog() { ss -Hltn "sport = :$port" | awk '{ print $3 }'; }
backlog_is() { [ "$(backlog)" = "$1" ]; }

port=$(free_port)
cat >nginx.conf <<CONF
daemon off; pid $folder/nginx.pid; error_log $folder/nginx.log; worker_processes 1; events {}
http {
    access_log off; client_body_temp_path $folder/t1; proxy_temp_path $folder/t2; fastcgi_temp_path $folder/t3;
    uwsgi_temp_path $folder/t4; scgi_temp_path $folder/t5;
    server { listen 127.0.0.1:$port backlog=11; return 200 ok; }
}
CONF
nginx -e nginx.log -c "$folder/nginx.conf" & server=$!
eventually serves "$port"
expect "nginx, backlog" 11 "$(backlog)"
inode() { ss -Hltne "sport = :$port" | grep -o 'ino:[0-9]*'; }
same=$(inode)
sed -i 's/backlog=11/backlog=22/' nginx.conf
kill -HUP "$server"
expect "nginx, backlog 22 after HUP (0: yes)" 0 "$(code eventually backlog_is 22)"
expect "nginx, the listener" "$same" "$(inode)"
kill -TERM "$server"; wait "$server" || true

cat >app.py <<'PYTHON'
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
PYTHON
port=$(free_port)
echo "bind = '127.0.0.1:$port'; backlog = 11; workers = 2; control_socket_disable = True" >settings.py
gunicorn --config settings.py app:app >log 2>&1 & server=$!
eventually serves "$port"
has_workers() { [ "$(count_children "$server")" -eq "$1" ]; }
kill -TTIN "$server"
expect "gunicorn, 3 workers after TTIN (0: yes)" 0 "$(code eventually has_workers 3)"
before=$(children "$server" | xargs)
sed -i 's/backlog = 11/backlog = 22/' settings.py
kill -HUP "$server"
all_new() { local pid; for pid in $before; do gone "$pid" || return 1; done; }
eventually all_new
eventually serves "$port"
expect "gunicorn, backlog after HUP with 22" 11 "$(backlog)"
expect "gunicorn, workers after HUP" 2 "$(count_children "$server")"
finish
