"""wrk, run and read."""

import re
import subprocess


def wrk(port: int, connections: int, seconds: int, threads: int = 1, target: str = "/", close: bool = False,
        tolerant: bool = False) -> dict:
    """Requests per second and latencies in milliseconds. Raises when a request failed, or counts it if `tolerant`."""
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if close:
        command += ["-H", "Connection: close"]
    text = subprocess.run([*command, f"http://127.0.0.1:{port}{target}"], capture_output=True, text=True,
                          timeout=seconds + 30, check=True).stdout
    trouble = re.search(r"Socket errors: .*|Non-2xx.*", text)
    if trouble and not tolerant:
        raise RuntimeError(f"wrk: {trouble.group(0)}")
    errors = sum(int(number) for number in re.findall(r"\d+", trouble.group(0))) if trouble else 0
    return {"errors": errors,
            "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
            "p50": milliseconds(re.search(r"^ +50% +(\S+)$", text, re.M).group(1)),
            "p99": milliseconds(re.search(r"^ +99% +(\S+)$", text, re.M).group(1))}


def milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
