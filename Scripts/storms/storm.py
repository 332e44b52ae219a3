"""The storm: its parts in order, and the report."""

import argparse
import random
import sys
import time

import storm_common
import storm_crashes
import storm_deploys
import storm_endurance
import storm_half_open
import storm_handover
import storm_hostile
import storm_http
import storm_metrics
import storm_once
import storm_own
from storm_watch import Report, table


def main() -> None:
    parser = argparse.ArgumentParser(prog="Scripts/storm")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--only", default="", help="of deploys: cells whose name has this, as `call, busy, stop`")
    parser.add_argument("--times", type=int, default=1, help="of deploys: how often each of those")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("parts", nargs="*")
    options = parser.parse_args()
    storm_deploys.ONLY, storm_deploys.TIMES = options.only, options.times
    hostile = storm_half_open.PARTS | storm_hostile.PARTS
    own = storm_own.PARTS | storm_crashes.PARTS | storm_deploys.PARTS | storm_endurance.PARTS | storm_http.PARTS | hostile
    own |= storm_metrics.PARTS | storm_once.PARTS | storm_handover.PARTS
    served = storm_common.PARTS | storm_own.SERVED
    known = [*served, *own]
    if options.list:
        print("\n".join(known))
        return
    if unknown := set(options.parts) - set(known):
        sys.exit(f"storm: no such part: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    print(f"scale {options.scale:g}, seed {options.seed}", flush=True)
    reports = []
    # Who names hostile means all that are: clients, and workers.
    parts = [part for name in options.parts for part in ([name, *hostile] if name == "hostile" else [name])]
    for part in dict.fromkeys(parts or known):
        # Each part by itself can be repeated with the same seed.
        servers = ["prefork"]
        if part in served:
            servers = storm_common.OWN + (storm_common.PEERS if options.peers and part in storm_common.PARTS else [])
        for name in servers:
            dice = random.Random(f"{options.seed} {part}")
            begin = time.monotonic()
            try:
                if part in served:
                    report = served[part](name, options.scale, dice)
                else:
                    report = own[part](options.scale, dice)
            except (Exception, SystemExit) as error:
                # The others are to be seen all the same.
                report = Report(part, name, isGood=False, note=f"broken off: {str(error).splitlines()[0][:80]}")
            print(f"{' · '.join(cell for cell in report.cells() if cell)} ({time.monotonic() - begin:.0f} s)", flush=True)
            reports.append(report)
    print()
    print(table(reports))
    # Peers are compared, not judged.
    sys.exit(0 if all(report.isGood for report in reports if report.server in storm_common.OWN) else 1)


main()
