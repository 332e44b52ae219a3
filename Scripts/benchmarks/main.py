"""Runs rows and prints one table: medians, spread, ratio to nginx, target."""

import argparse
import os
import pathlib
import platform
import re
import subprocess
import sys

from rows import ROWS, Row, median

PEERS = ["nginx", "gunicorn", "tornado"]


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def cell(row: Row, name: str) -> str:
    values = row.figures.get(name)
    if not values:
        return "-"
    spread = f" ({number(min(values))}-{number(max(values))})" if len(values) > 1 else ""
    return f"{number(median(values))}{' ' + row.unit if row.unit else ''}{spread}"


def lines(rows: list[Row]) -> list[list[str]]:
    table = [["what", "prefork", "reuse-port", *PEERS, "prefork ÷ nginx", "target"]]
    for row in rows:
        nginx = row.figures.get("nginx")
        ratio = f"{median(row.figures['prefork']) / median(nginx):.2f}" if nginx and median(nginx) else "-"
        met = {None: "", True: " (met)", False: " (NOT met)"}[row.met]
        table.append([row.what, cell(row, "prefork"), cell(row, "prefork-reuseport"), *(cell(row, p) for p in PEERS),
                      ratio, f"{row.target}{met}" if row.target else ""])
    return table


def machine() -> str:
    def first(command: list[str]) -> str:
        result = subprocess.run(command, capture_output=True, text=True)
        return (result.stdout + result.stderr).strip().splitlines()[0]
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    versions = [first(["nginx", "-v"]).removeprefix("nginx version: "), first(["swift", "--version"])]
    import gunicorn
    import tornado
    return (f"{os.cpu_count()} × {cpu.group(1) if cpu else platform.machine()}, Linux {platform.release()}; "
            f"{'; '.join(versions)}; gunicorn {gunicorn.__version__}; tornado {tornado.version}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="Scripts/bench")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--markdown", metavar="FILE", help="write the table there, too")
    parser.add_argument("--list", action="store_true", help="name the rows")
    options = parser.parse_args()
    if options.list:
        return print("\n".join(f"{name:12}{row.__doc__}" for name, row in ROWS.items()))
    unknown = set(options.rows) - set(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    results: list[Row] = []
    for name in options.rows or ROWS:
        print(f"... {name}", file=sys.stderr, flush=True)
        results += ROWS[name](options.quick)
    table = lines(results)
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
    if options.markdown:
        rules = ["|".join(["", *("---" for _ in table[0]), ""])]
        body = ["| " + " | ".join(line) + " |" for line in table]
        text = "\n".join([body[0], *rules, *body[1:]])
        pathlib.Path(options.markdown).write_text(f"{text}\n\nMedians (minimum-maximum). {machine()}.\n")


main()
