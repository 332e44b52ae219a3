#!/usr/bin/env bash
# The signals that a program of supervisord starts with.
#
# Guess:   a program starts with the default action for every signal, as from a shell.
# True:    supervisord runs on CPython, which ignores SIGPIPE and SIGXFSZ for itself, and starts programs by fork and
#          exec without restoring them. A pipeline whose reader ends reports write errors and status 1 instead of 141.
#          A shell cannot undo it: `trap - PIPE` has no effect on a signal that was ignored when the shell started.
# Version: supervisor 4.3.0 on CPython 3.11.7. Date: 2026-11-29.
# Matters: a script behaves differently by hand. (systemd ignores SIGPIPE, too, but documents it and offers
#          IgnoreSIGPIPE=no.) A supervisor must restore every signal between fork and exec.
source "$(dirname "$0")/support.bash"
need bash head yes
install_pip supervisor==4.3.0
cat >program.sh <<'SHELL'
trap - PIPE
for name in SigIgn SigBlk; do awk -v name="$name:" '$1 == name { print $1, $2 }' /proc/self/status; done
yes 2>/dev/null | head -1 >/dev/null
echo "yes: ${PIPESTATUS[0]}"
echo done
sleep 600
SHELL
cat >supervisord.conf <<CONF
[supervisord]
nodaemon = true
logfile = $folder/supervisord.log
pidfile = $folder/supervisord.pid
[program:finding]
command = bash $folder/program.sh
stdout_logfile = $folder/supervised
CONF
seen() { sed -n "s/^$2: //p" "$1"; }
ignored() { # FILE SIGNAL-NUMBER
    if (((0x$(seen "$1" SigIgn) >> ($2 - 1)) & 1)); then echo ignored; else echo default; fi
}
# By hand: Python's subprocess module restores the signals, so this start does not depend on the caller.
python3 -c 'import subprocess; subprocess.Popen(["bash", "program.sh"], stdout=open("direct", "w"))'
supervisord --configuration supervisord.conf >log 2>&1 &
for file in direct supervised; do eventually grep -qx "done" "$file"; done
expect "directly, SIGPIPE" default "$(ignored direct 13)"
expect "directly, status of a writer whose reader has ended" 141 "$(seen direct yes)"
expect "supervisord, SIGPIPE" ignored "$(ignored supervised 13)"
expect "supervisord, SIGXFSZ" ignored "$(ignored supervised 25)"
expect "supervisord, status of a writer whose reader has ended" 1 "$(seen supervised yes)"
finish
