"""Counts what the Autobahn test suite says of a server. Ends with 1 if a case failed."""
import collections
import json
import sys

with open(sys.argv[1]) as file:
    cases = next(iter(json.load(file).values()))
for kind in ("behavior", "behaviorClose"):
    counts = collections.Counter(case[kind] for case in cases.values())
    print(f"Autobahn, {len(cases)} cases, {kind}: " + ", ".join(f"{n} {k}" for k, n in sorted(counts.items())))
bad = [f"{name}: {case['behavior']}/{case['behaviorClose']}" for name, case in cases.items()
       if case["behavior"] not in ("OK", "NON-STRICT", "INFORMATIONAL") or case["behaviorClose"] not in
       ("OK", "INFORMATIONAL")]
print("\n".join(bad))
sys.exit(1 if bad else 0)
