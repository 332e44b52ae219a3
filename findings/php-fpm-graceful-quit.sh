#!/usr/bin/env bash
# SIGQUIT and SIGUSR2, php-fpm's graceful stop and reload, with a request on its way.
#
# Guess:   requests are completed, and process_control_timeout bounds how long that may take.
# True:    the timeout's default is 0, which is no time at all: a graceful stop and a reload cut requests off, and their
#          clients get no answer. With a timeout both wait. (The same holds for SIGHUP, which reloads, too.)
# Version: php8.2-fpm 8.2.36 of Debian 12. Date: 2026-11-30.
# Matters: Debian's unit reloads by SIGUSR2: each reload of an installation as it comes loses the requests in hand.
source "$(dirname "$0")/support.bash"
need python3
unpack_deb php8.2-fpm=8.2.36-1~deb12u1
echo '<?php usleep(2000000); echo "whole";' >slow.php
# One FastCGI request; prints what comes back.
cat >client.py <<'PYTHON'
import os, socket, struct
def record(kind, text): return struct.pack(">BBHHBx", 1, kind, 1, len(text), 0) + text
names = {"SCRIPT_FILENAME": os.path.abspath("slow.php"), "REQUEST_METHOD": "GET"}
pairs = b"".join(bytes([len(k), len(v)]) + (k + v).encode() for k, v in names.items())
peer = socket.socket(socket.AF_UNIX)
peer.connect("fpm")
peer.sendall(record(1, b"\0\1\0\0\0\0\0\0") + record(4, pairs) + record(4, b"") + record(5, b""))
print(b"".join(iter(lambda: peer.recv(4096), b"")))
PYTHON
chmod 755 .
answer() { # SIGNAL TIMEOUT: the answer to a request that is on its way when the signal comes.
    cat >fpm.conf <<FPM
[global]
error_log = $folder/log
daemonize = no
$2
[www]
user = $(id -un)
group = $(id -gn)
listen = $folder/fpm
pm = static
pm.max_children = 1
FPM
    php-fpm8.2 -n -R -y fpm.conf -F >out 2>&1 & server=$!
    eventually test -S fpm
    python3 client.py >body 2>/dev/null & client=$!
    sleep 1 # a second of the two
    kill "-$1" "$server"
    wait "$client" || true
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -f fpm
    if grep -q whole body; then echo completed; else echo "cut off"; fi
}

for signal in QUIT USR2; do
    expect "$signal, process_control_timeout by default" "cut off" "$(answer $signal "")"
    expect "$signal, process_control_timeout = 10s" completed "$(answer $signal "process_control_timeout = 10s")"
done
finish
