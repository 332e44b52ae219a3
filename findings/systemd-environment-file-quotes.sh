#!/usr/bin/env bash
# A shell's way to write an apostrophe, in a file of EnvironmentFile=.
#
# Guess:   a file of assignments that a shell can source has the same values as EnvironmentFile=. systemd.exec(5) says
#          that quotes work as in a shell.
# True:    'it'\''s', the usual way to quote an apostrophe for a shell, is it''s' to systemd: it takes what follows an
#          escaped character outside of quotes as it stands, quotes included. In double quotes both read the same.
# Version: systemd 252.38 (Debian 12), dash. Date: 2026-11-30.
# Matters: a generated environment file changes passwords and names silently. Write "..." with \" \\ \` \$.
source "$(dirname "$0")/support.bash"
cat >assignments <<'FILE'
SINGLE='it'\''s'
JOINED='a'"b"'c'
DOUBLE="it's \"so\" \$HOME \\ \`x\`"
LINES="one
two"
FILE
in_systemd <<'COMMANDS'
cat >/run/systemd/system/reader.service <<'UNIT'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
EnvironmentFile=/run/finding/assignments
ExecStart=/usr/bin/env -0
StandardOutput=truncate:/run/finding/variables
UNIT
systemctl daemon-reload
systemctl start reader
echo done
COMMANDS
by_systemd() { tr '\n\0' '|\n' <variables | sed -n "s/^$1=//p"; }
by_shell() { sh -c '. ./assignments; eval "printf %s \"\$'"$1"'\""' | tr '\n' '|'; }
expect "'it'\\''s' to a shell" "it's" "$(by_shell SINGLE)"
expect "'it'\\''s' to systemd" "it''s'" "$(by_systemd SINGLE)"
expect "'a'\"b\"'c' to both" "abc abc" "$(by_shell JOINED) $(by_systemd JOINED)"
expect "double quotes to a shell" "it's \"so\" \$HOME \\ \`x\`" "$(by_shell DOUBLE)"
expect "double quotes to systemd" "it's \"so\" \$HOME \\ \`x\`" "$(by_systemd DOUBLE)"
expect "two lines in double quotes to both" "one|two one|two" "$(by_shell LINES) $(by_systemd LINES)"
finish
