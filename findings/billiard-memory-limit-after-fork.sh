#!/usr/bin/env bash
# The memory limit of billiard's workers (celery's worker_max_memory_per_child).
#
# Guess:   max_memory_per_child limits the memory that the worker itself uses now.
# True:    billiard compares ru_maxrss, which is a peak. The kernel starts a forked child's peak at the resident size
#          of its parent, shared pages included. If the parent is larger than the limit, billiard replaces the worker
#          after every task, even if no task allocates anything.
# Version: billiard 4.3.2 on CPython 3.11.7. Date: 2026-11-29.
# Matters: loading data before the fork is a reason to fork at all, and here it causes endless recycling. Limit forked
#          workers by their current private size instead (Pss or Private_Dirty in smaps_rollup).
source "$(dirname "$0")/support.bash"
install_pip billiard==4.3.2
cat >pool.py <<'PYTHON'
import os
from billiard.pool import Pool

MIB = 1 << 20

def task(_):
    return os.getpid()

def workers_for_five_tasks():
    pool = Pool(1, max_memory_per_child=150 * MIB // 1024)
    seen = {pool.apply(task, (number,)) for number in range(5)}
    pool.close()
    pool.join()
    return len(seen)

if __name__ == "__main__":
    print("small parent:", workers_for_five_tasks())
    data = bytearray(b"\1") * (200 * MIB)
    print("parent with 200 MiB:", workers_for_five_tasks())
    del data
    print("parent that has freed them:", workers_for_five_tasks())
PYTHON
python3 pool.py >seen 2>log
number() { sed -n "s/^$1: //p" seen; }
expect "workers used for five tasks, limit 150 MiB, small parent" 1 "$(number "small parent")"
expect "the same, parent holds 200 MiB" 5 "$(number "parent with 200 MiB")"
expect "the same, parent has freed them" 1 "$(number "parent that has freed them")"
finish
