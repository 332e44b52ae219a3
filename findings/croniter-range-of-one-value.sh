#!/usr/bin/env bash
# A range of one value in a cron schedule, as croniter reads it.
#
# Guess:   `0 9-9 * * *` means nine o'clock, once a day, as in Vixie's cron: a generated schedule may have equal bounds.
# True:    croniter takes equal bounds for the whole circle: every hour, and for `1-1` every weekday or every day of the
#          month. There is no error and no warning. cronsim and APScheduler read nine o'clock.
# Version: croniter 7.0.0, cronsim 2.7, APScheduler 3.11.1 on CPython 3.11.7. Date: 2026-12-01.
# Matters: schedules move from a crontab, or from one scheduler beside a pre-forked server to another, and then run
#          twenty-four times as often. A service's own schedules must be compared by their next times, not by their text.
source "$(dirname "$0")/support.bash"
install_pip croniter==7.0.0 cronsim==2.7 apscheduler==3.11.1
cat >times.py <<'PYTHON'
import datetime
import sys

from apscheduler.triggers.cron import CronTrigger
from croniter import croniter
from cronsim import CronSim

reader, schedule = sys.argv[1:]
start = datetime.datetime(2026, 1, 1, 0, 30, tzinfo=datetime.timezone.utc)
times = []
if reader == "croniter":
    iterator = croniter(schedule, start)
    times = [iterator.get_next(datetime.datetime) for _ in range(3)]
elif reader == "cronsim":
    iterator = CronSim(schedule, start)
    times = [next(iterator) for _ in range(3)]
else:
    trigger = CronTrigger.from_crontab(schedule, datetime.timezone.utc)
    for _ in range(3):
        times.append(trigger.get_next_fire_time(None, start))
        start = times[-1] + datetime.timedelta(seconds=1)
print(", ".join(time.strftime("%d %H:%M") for time in times))
PYTHON

for reader in cronsim apscheduler; do
    expect "$reader, 0 9-9 * * *" "01 09:00, 02 09:00, 03 09:00" "$(python times.py "$reader" "0 9-9 * * *")"
done
expect "croniter, 0 9 * * *" "01 09:00, 02 09:00, 03 09:00" "$(python times.py croniter "0 9 * * *")"
expect "croniter, 0 9-9 * * *" "01 01:00, 01 02:00, 01 03:00" "$(python times.py croniter "0 9-9 * * *")"
expect "croniter, 0 0 1-1 * *" "02 00:00, 03 00:00, 04 00:00" "$(python times.py croniter "0 0 1-1 * *")"
finish
