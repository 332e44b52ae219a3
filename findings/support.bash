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

# Runs commands of the standard input as a service of Debian's systemd, which is process 1 of namespaces of its own over a
# copy of this root that is gone afterwards. The commands' folder is /run/finding, which is this one.
in_systemd() {
    [ "$(id -u)" -eq 0 ] || unable "needs root, for namespaces"
    need unshare systemctl
    [ -x /lib/systemd/systemd ] || unable "systemd is missing"
    local hierarchy group
    hierarchy=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
    [ -n "$hierarchy" ] || unable "no cgroup2 hierarchy"
    group=$hierarchy/$(basename "$folder")
    mkdir "$group" machine
    { echo 'set -euo pipefail'; cat; } >commands
    cat >boot <<'BOOT'
set -euo pipefail
folder=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$folder/machine"
cd "$folder/machine"
mkdir upper work root
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
cd root
mkdir -p old
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
for name in null zero random urandom; do touch "dev/$name"; mount --bind "/dev/$name" "dev/$name"; done
ln -s /proc/self/fd dev/fd
for name in dev/shm run tmp; do mount -t tmpfs -o mode=1777 tmpfs "$name"; done
mkdir -p run/finding
mount --bind "$folder" run/finding
cat >etc/systemd/system/finding.service <<'UNIT'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
TimeoutStartSec=120
WorkingDirectory=/run/finding
ExecStart=/bin/bash /run/finding/commands
StandardOutput=append:/run/finding/seen
StandardError=append:/run/finding/seen
ExecStopPost=/bin/systemctl --no-block --force exit 0
UNIT
printf '' >etc/fstab
pivot_root . old
umount -l old
exec env -i container=finding PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=finding.service --show-status=false --log-target=null </dev/null
BOOT
    : >seen
    # In the group before it has a cgroup namespace, whose root the group becomes.
    bash -c 'echo $$ >"$1/cgroup.procs" && exec timeout 180 unshare --pid --mount --cgroup --uts --ipc --net --fork \
        --kill-child bash "$2/boot" "$2"' bash "$group" "$folder" >boot.log 2>&1 || true
    for _ in {1..50}; do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
        [ -d "$group" ] || break
        sleep 0.1
    done
    [ -s seen ] || { cat boot.log >&2; unable "systemd did not boot"; }
    echo "$(/lib/systemd/systemd --version | head -1), Linux $(uname -r)"
}
