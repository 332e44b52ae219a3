"""A real Prometheus, promtool and prometheus_client's parser read the metrics of a pool."""

import argparse
import contextlib
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

from servers import free_port, wait_until
from storm_common import kill
from storm_metrics import NAME, Metered, Senders

INTERVAL = 1


class Prometheus:
    """A server of its own, which scrapes each second."""

    def __init__(self, folder: pathlib.Path, target: int):
        self.port, self.log = free_port(), folder / "prometheus.log"
        configuration = folder / "prometheus.yml"
        configuration.write_text(
            f"global: {{scrape_interval: {INTERVAL}s, scrape_timeout: {INTERVAL}s}}\n"
            f"scrape_configs: [{{job_name: pool, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]\n")
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdout=output, stderr=output)
        wait_until(lambda: self.value("up") == 1, "Prometheus scrapes", self.log, 60)

    def ask(self, query: str, at: float | None = None) -> list[dict]:
        words = urllib.parse.urlencode({"query": query, **({"time": at} if at else {})})
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{words}", timeout=10) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []

    def value(self, query: str, at: float | None = None) -> float | None:
        result = self.ask(query, at)
        return float(result[0]["value"][1]) if result else None


def parsers(running: Metered) -> list[str]:
    """What promtool and prometheus_client say of the page in both formats."""
    found = []
    text = running.page()
    if shutil.which("promtool"):
        check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        complaints = (check.stdout + check.stderr).strip()
        if check.returncode != 0 or complaints: found.append(f"promtool: {complaints}")
    else:
        print("promtool is not installed: left out")
    try:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_parser
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        print("prometheus_client is not installed: left out")
        return found
    names = [{sample.name for family in parse(page) for sample in family.samples}
             for parse, page in ((text_string_to_metric_families, text),
                                 (open_parser, running.page("application/openmetrics-text; version=1.0.0")))]
    if NAME not in names[0] or NAME not in names[1]: found.append("prometheus_client does not find the program's counter")
    if not any(name.endswith("_created") for name in names[1]): found.append("no _created in OpenMetrics")
    print(f"promtool and prometheus_client: {len(names[0])} and {len(names[1])} names of samples, complaints: {len(found)}")
    return found


def scraped(running: Metered, seconds: int) -> list[str]:
    if not shutil.which("prometheus"):
        print("prometheus is not installed: left out")
        return []
    found = []
    with tempfile.TemporaryDirectory(prefix="prefork-prometheus-") as folder:
        server = Prometheus(pathlib.Path(folder), running.metricsPort)
        try:
            time.sleep(4 * INTERVAL)
            first = server.value(NAME)
            begin = time.time()
            senders, dice = Senders(running.port, 4), random.Random(1)
            crash = 'sum(prefork_restarts_total{cause="signal"})'
            time.sleep(3)
            kill(running.children[0])
            time.sleep(5 * INTERVAL)
            crashes = server.value(f'increase(prefork_restarts_total{{cause="signal"}}[{int(time.time() - begin) + 3}s])')
            if not crashes or crashes <= 0: found.append(f"increase() does not see the first crash: {crashes}")
            kill(running.process.pid, signal.SIGUSR2)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                with contextlib.suppress(IndexError): kill(dice.choice(running.children))
                time.sleep(dice.random() * 0.2)
            kill(running.process.pid, signal.SIGUSR2)
            time.sleep(2)
            sent, answered = senders.stop()
            time.sleep(4 * INTERVAL)
            last, end = server.value(NAME), time.time()
            span = int(end - begin) + 2
            # What a killed worker had in hand was counted or was not.
            if not answered <= last - first <= sent: found.append(f"{answered} ≤ {last} - {first} ≤ {sent} does not hold")
            if running.sum() != last: found.append(f"the page says {running.sum()}, Prometheus {last}")
            # By name: resets() leaves the names out, and would mix up series of several metrics. What has a label
            # `slot` is one process's own.
            names = [row["metric"]["__name__"] for row in
                     server.ask('count by (__name__) ({__name__=~"(prefork|fixture)_.+_(total|count|bucket|sum)",slot=""})')]
            each = {name: server.value(f'sum(resets({name}{{slot=""}}[{span}s]))') for name in names}
            resets = sum(value or 0 for value in each.values())
            if resets != 0 or len(names) < 20: found.append(f"resets() of {len(names)} metrics: {each}")
            increase = server.value(f"increase({NAME}[{span}s])")
            ratio = increase / (last - first)
            if abs(ratio - 1) > 0.01: found.append(f"increase() is {ratio:.4f} of last - first")
            print(f"answered {answered} ≤ last - first {last - first:.0f} ≤ sent {sent}; resets() of {len(names)} metrics: {resets:.0f}; "
                  f"increase() {ratio:.4f} of it; increase() of the first crash {crashes:.2f}; "
                  f"crashes {server.value(crash):.0f}")
        finally:
            server.process.terminate()
            server.process.wait(20)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="Scripts/prometheus")
    parser.add_argument("--seconds", type=int, default=30, help="how long workers are killed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prefork-prometheus-") as folder:
        running = Metered(pathlib.Path(folder), isTCP=True)
        try:
            found = parsers(running) + scraped(running, options.seconds)
        finally:
            running.end()
    print("\n".join(found) or "all holds")
    sys.exit(1 if found else 0)


main()
