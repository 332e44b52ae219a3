#!/usr/bin/env bash
# A failed program counts as a success where SIGCHLD is ignored.
#
# Guess:   subprocess.run reports the exit code of the program, or fails.
# True:    it reports 0 for every program, also for one that was killed. A shell's `trap '' CHLD`, or a parent that
#          ignores the signal, is inherited over exec; the kernel then keeps no status (wait(2)), waitpid says ECHILD, and
#          CPython takes that for exit code 0. `check=True` is silent. os.system
#          returns -1, also for a program that succeeded.
# Version: CPython 3.11, kernel 6.18. Date: 2026-11-30.
# Matters: a job of a service that was started so never fails: backups, migrations, health checks by a command.
source "$(dirname "$0")/support.bash"
need python3
echo "$(python3 --version), Linux $(uname -r)"
cat >jobs.py <<'PYTHON'
import os, signal, subprocess
print("failed", subprocess.run(["sh", "-c", "exit 3"]).returncode)
print("killed", subprocess.run(["sh", "-c", "kill -KILL $$"]).returncode)
try:
    subprocess.run(["false"], check=True)
    print("checked passed")
except subprocess.CalledProcessError:
    print("checked refused")
print("system", os.system("exit 3"))
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
print("default", subprocess.run(["sh", "-c", "exit 3"]).returncode)
PYTHON
bash -c "trap '' CHLD; exec python3 jobs.py" >seen
seen() { sed -n "s/^$1 //p" seen; }
expect "exit code of a program that ended with 3" 0 "$(seen failed)"
expect "exit code of a program that was killed" 0 "$(seen killed)"
expect "check=True of a program that failed" passed "$(seen checked)"
expect "os.system of a program that ended with 3" -1 "$(seen system)"
expect "exit code with SIGCHLD at its default" 3 "$(seen default)"
finish
