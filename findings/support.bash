# What every finding needs. Sourced, never run: a temporary folder, pinned packages, waiting, comparing, cleaning up.
# A finding exits with 0 while the behaviour holds, with 1 when it has changed, with 2 when it cannot run here.
set -euo pipefail

folder=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
changed=0

# Ends every process that works in the folder. Programs run there, and their children inherit the directory, so this
# reaches daemons and workers that have left the process group or the session.
clean_up() {
    local process
    for _ in 1 2 3; do
        for process in /proc/[0-9]*; do
            if [[ $(readlink "$process/cwd" 2>/dev/null) == "$folder"* ]] && [[ ${process#/proc/} != "$$" ]]; then
                kill -KILL "${process#/proc/}" 2>/dev/null || true
                wait "${process#/proc/}" 2>/dev/null || true # Keeps the shell from reporting the kill.
            fi
        done
    done
    cd /
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$folder"
# Variables of the caller that servers read.
unset PORT WEB_CONCURRENCY GUNICORN_CMD_ARGS LISTEN_FDS LISTEN_PID NOTIFY_SOCKET XDG_RUNTIME_DIR
export HOME=$folder

unable() { echo "cannot run here: $*" >&2; exit 2; }

need() { # COMMAND ...
    local command
    for command in "$@"; do command -v "$command" >/dev/null || unable "$command is missing"; done
}

# Installs packages from PyPI into a virtual environment and puts its programs first on PATH.
install_pip() { # NAME==VERSION ...
    need python3 curl
    python3 -m venv venv
    venv/bin/pip install --quiet --disable-pip-version-check "$@" >pip.log 2>&1 || { cat pip.log >&2; unable "pip"; }
    PATH=$folder/venv/bin:$PATH
    echo "$* on $(python3 --version), Linux $(uname -r)"
}

# Unpacks Debian packages into the folder; nothing is installed.
unpack_deb() { # NAME=VERSION ...
    need apt-get dpkg-deb
    local package
    for package in "$@"; do
        apt-get download -qq "$package" >apt.log 2>&1 || { cat apt.log >&2; unable "Debian has no $package"; }
    done
    for package in ./*.deb; do dpkg-deb -x "$package" root; done
    PATH=$folder/root/usr/bin:$folder/root/usr/sbin:$PATH
    export LD_LIBRARY_PATH=$folder/root/usr/lib/x86_64-linux-gnu
    echo "$* on Linux $(uname -r)"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

within() { # SECONDS COMMAND ...: runs the command until it succeeds; fails when the time is over.
    local end=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}
eventually() { within 30 "$@" || { echo "never came true: $*" >&2; return 1; }; }

ask() { curl --silent --max-time 2 "$@"; }        # Exit codes: 7 refused, 28 no answer in time, 52 closed, 56 reset.
serves() { ask "http://127.0.0.1:$1/"; }          # PORT
gone() { ! kill -0 "$1"; }                        # PID
state() { awk '/^State:/ { print $2 }' "/proc/$1/status"; }
children() { pgrep -P "$1" || true; }
count_children() { children "$1" | wc -l; }
code() { local status=0; "$@" >/dev/null 2>&1 || status=$?; echo "$status"; }

expect() { # WHAT EXPECTED SEEN
    if [ "$2" = "$3" ]; then
        echo "  $1: $3"
    else
        echo "  $1: $3   <- CHANGED, was: $2"
        changed=1
    fi
}

finish() {
    if [ "$changed" -eq 0 ]; then echo "holds"; else echo "no longer holds"; fi
    exit "$changed"
}
