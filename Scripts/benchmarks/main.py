"""Runs rows and prints one table: medians, spread, ratio to nginx, target."""

import argparse
import os
import pathlib
import platform
import re
import subprocess
import sys

import blocking_rows
import channel_rows
import handover_rows
import http_rows
import hummingbird_rows
import memory_rows
import metrics_rows
import operations_rows
import profile_rows
import publish_rows
import request_rows
import rows
import service_rows
import store_rows
import subprocess_rows
from rows import Row, median


class Table:
    """Rows with the same columns. Ratios are against `base`."""

    def __init__(self, rows: dict, columns: list[str], base: str, prepare=lambda: None):
        self.rows, self.columns, self.base, self.prepare = rows, columns, base, prepare


TABLES = [
    Table(rows.ROWS, ["prefork", "reuse-port", "nginx", "gunicorn", "tornado"], "nginx"),
    Table(operations_rows.OPERATIONS_ROWS, operations_rows.COLUMNS, "nginx", operations_rows.prepare),
    Table(subprocess_rows.SUBPROCESS_ROWS, subprocess_rows.COLUMNS, "C", subprocess_rows.prepare),
    Table(store_rows.STORE_ROWS, ["prefork", "C"], "C", store_rows.prepare),
    Table(store_rows.PEER_ROWS, store_rows.COLUMNS, "C", store_rows.prepare_peers),
    Table(channel_rows.CHANNEL_ROWS, channel_rows.COLUMNS, "C", channel_rows.prepare),
    Table(service_rows.SERVICE_ROWS, ["prefork"], "C", service_rows.prepare),
    Table(request_rows.REQUEST_ROWS, request_rows.COLUMNS, "without", request_rows.prepare),
    Table(profile_rows.PROFILE_ROWS, profile_rows.COLUMNS, "without", profile_rows.prepare),
    Table(metrics_rows.METRICS_ROWS, metrics_rows.COLUMNS, "prometheus_client", metrics_rows.prepare),
    Table(http_rows.HTTP_ROWS, http_rows.COLUMNS, "nginx", http_rows.prepare),
    Table(http_rows.SOCKET_ROWS, http_rows.SOCKET_COLUMNS, "ws", http_rows.prepare_sockets),
    Table(handover_rows.HANDOVER_ROWS, handover_rows.COLUMNS, "nginx", handover_rows.prepare),
    Table(blocking_rows.BLOCKING_ROWS, blocking_rows.COLUMNS, "without", blocking_rows.prepare),
    Table(hummingbird_rows.HUMMINGBIRD_ROWS, hummingbird_rows.COLUMNS, "threads", hummingbird_rows.prepare),
    Table(memory_rows.MEMORY_ROWS, memory_rows.COLUMNS, "plain", memory_rows.prepare),
    Table(publish_rows.PUBLISH_ROWS, publish_rows.COLUMNS, "C", publish_rows.prepare),
]
ROWS = {name: row for table in TABLES for name, row in table.rows.items()}


def number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.02 else f"{value:.4f}"


def cell(row: Row, name: str) -> str:
    values = row.figures.get(name)
    if not values:
        return "-"
    spread = f" ({number(min(values))}-{number(max(values))})" if len(values) > 1 else ""
    return f"{number(median(values))}{' ' + row.unit if row.unit else ''}{spread}"


def lines(table: Table, rows: list[Row]) -> list[list[str]]:
    text = [["what", *table.columns, f"prefork ÷ {table.base}", "target"]]
    for row in rows:
        base = row.figures.get(table.base)
        ratio = f"{median(row.figures['prefork']) / median(base):.2f}" if base and median(base) else "-"
        met = {None: "", True: " (met)", False: " (NOT met)"}[row.met]
        text.append([row.what, *(cell(row, name) for name in table.columns), ratio,
                     f"{row.target}{met}" if row.target else ""])
    return text


def show(text: list[list[str]]) -> None:
    widths = [max(len(line[i]) for line in text) for i in range(len(text[0]))]
    for line in text:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def markdown(text: list[list[str]]) -> str:
    body = ["| " + " | ".join(line) + " |" for line in text]
    return "\n".join([body[0], "|".join(["", *("---" for _ in text[0]), ""]), *body[1:]])


RESULTS = pathlib.Path(__file__).resolve().parent / "RESULTS.md"


def put_into(page: pathlib.Path, text: list[list[str]]) -> list[str]:
    """Writes rows over those of the same name in the page's table with the same columns, new ones at its end. Returns
    what the page has no table for."""
    head, rule, *rows = markdown(text).splitlines()
    lines = page.read_text().splitlines()
    starts = [at for at, line in enumerate(lines) if line == head]
    if not starts: return rows
    for row in rows:
        end = starts[-1]
        for start in starts:
            end = next((at for at in range(start, len(lines)) if not lines[at].startswith("|")), len(lines))
            same = next((at for at in range(start, end) if lines[at].split(" | ")[0] == row.split(" | ")[0]), None)
            if same is not None: break
        if same is None: lines.insert(end, row)
        else: lines[same] = row
    page.write_text("\n".join(lines) + "\n")
    return []


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
    parser.add_argument("--write", action="store_true", help=f"write the rows into {RESULTS.name}, too")
    parser.add_argument("--list", action="store_true", help="name the rows")
    options = parser.parse_args()
    if options.list:
        return print("\n".join(f"{name:12}{row.__doc__}" for name, row in ROWS.items()))
    unknown = set(options.rows) - set(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    wanted, parts = options.rows or list(ROWS), []
    for table in TABLES:
        names = [name for name in wanted if name in table.rows]
        if not names:
            continue
        table.prepare()
        results: list[Row] = []
        for name in names:
            print(f"... {name}", file=sys.stderr, flush=True)
            results += table.rows[name](options.quick)
        text = lines(table, results)
        show(text)
        parts.append(markdown(text))
        if options.write:
            for row in put_into(RESULTS, text): print(f"{RESULTS.name} has no table for: {row}", file=sys.stderr)
    if options.markdown:
        text = "\n\n".join(parts)
        pathlib.Path(options.markdown).write_text(f"{text}\n\nMedians (minimum-maximum). {machine()}.\n")


main()
