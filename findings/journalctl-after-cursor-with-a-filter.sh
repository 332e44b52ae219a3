#!/usr/bin/env bash
# journalctl --after-cursor= together with a filter.
#
# Guess:   it shows every entry after the cursor that the filter lets through.
# True:    if the entry of the cursor itself does not match the filter, the first entry that matches is left out:
#          journalctl goes to the first match and skips it, as if it were that of the cursor. --since= has them all.
# Version: systemd 252.38 (Debian 12). Date: 2026-11-30.
# Matters: a monitor that remembers where it was, and asks for one unit or for warnings, misses the first of each batch:
#          all of them where there is one at a time.
source "$(dirname "$0")/support.bash"
in_systemd <<'COMMANDS'
systemctl start systemd-journald.socket systemd-journald.service
say() { echo "$2" | systemd-cat --identifier="$1"; journalctl --sync; }
say other before
cursor=$(journalctl --quiet --identifier=other --lines=1 --show-cursor | sed -n 's/^-- cursor: //p')
since=@$(date +%s.%6N)
say wanted first
say wanted second
list() { journalctl --quiet --output=cat "$@" | paste -sd' '; }
echo "filtered $(list --identifier=wanted --after-cursor="$cursor")"
echo "unfiltered $(list --after-cursor="$cursor" _TRANSPORT=stdout)"
echo "since $(list --identifier=wanted --since="$since")"
COMMANDS
seen() { sed -n "s/^$1 //p" seen; }
expect "after the cursor of another entry, filtered" second "$(seen filtered)"
expect "the same, by a filter that the cursor's entry matches" "first second" "$(seen unfiltered)"
expect "since the time, filtered" "first second" "$(seen since)"
finish
