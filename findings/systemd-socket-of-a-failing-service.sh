#!/usr/bin/env bash
# The socket of a socket-activated service whose program fails at once.
#
# Guess:   sockets that systemd holds stay open whatever the service does: clients wait until it starts again.
#          RestartPreventExitStatus= only keeps a hopeless program from being started again and again.
# True:    after the fifth failed start in ten seconds the service is given up and its socket is closed
#          (service-start-limit-hit): clients are refused, and a later start of the service alone is no help.
#          StartLimitIntervalSec=0 keeps the socket open, but not together with RestartPreventExitStatus=: a client that
#          waits has the socket start the service again at once, and 20 starts in two seconds close the socket, too
#          (trigger-limit-hit).
# Version: systemd 252.38 (Debian 12). Date: 2026-11-30.
# Matters: a bad deployment turns into refused connections within seconds, and putting the program back is no help.
source "$(dirname "$0")/support.bash"
in_systemd <<'COMMANDS'
service() { # NAME PORT EXITCODE UNIT-LINE SERVICE-LINE
    printf '[Unit]\nRequires=%s.socket\nAfter=%s.socket\n%s\n[Service]\nExecStart=/bin/sh -c "exit %s"
Restart=on-failure\nRestartSec=1s\n%s\n' "$1" "$1" "$4" "$3" "$5" >"/run/systemd/system/$1.service"
    printf '[Socket]\nListenStream=127.0.0.1:%s\n' "$2" >"/run/systemd/system/$1.socket"
    names+=("$1")
}
names=()
service usual 8001 1 '' ''
service prevented 8002 64 'StartLimitIntervalSec=0' 'RestartPreventExitStatus=64'
service patient 8003 1 'StartLimitIntervalSec=0' ''
systemctl daemon-reload
systemctl start "${names[@]/%/.socket}"
systemctl start --no-block "${names[@]/%/.service}"
result() { systemctl show --property=Result --value "$1.socket"; }
for _ in {1..300}; do
    [ "$(result usual)" != success ] && [ "$(systemctl show --property=NRestarts --value patient)" -ge 6 ] && break
    sleep 0.1
done
for name in "${names[@]}"; do echo "without-client-$name $(result "$name")"; done
client() { timeout 60 bash -c "exec 3<>/dev/tcp/127.0.0.1/$1 && cat <&3" & }
client 8002
client 8003
for _ in {1..100}; do [ "$(result prevented)" != success ] && break; sleep 0.1; done
for name in "${names[@]}"; do echo "with-client-$name $(result "$name")"; done
COMMANDS
seen() { sed -n "s/^$1 //p" seen; }
expect "five failed starts: the socket" service-start-limit-hit "$(seen without-client-usual)"
expect "the same without a limit: the socket" success "$(seen without-client-patient)"
expect "a status that prevents restarts, nobody asks: the socket" success "$(seen without-client-prevented)"
expect "and a client asks: the socket" trigger-limit-hit "$(seen with-client-prevented)"
expect "without a limit, and a client asks: the socket" success "$(seen with-client-patient)"
finish
