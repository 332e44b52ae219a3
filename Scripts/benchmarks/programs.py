"""Programs that measure one thing a run and print it as a line of JSON: built, and run in turn."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "Scripts/benchmarks"
BINARIES = ROOT / ".build-bench"
OURS = ROOT / ".build-static/release/store-measurement"

Program = list[str | pathlib.Path]
Programs = dict[str, Program]
Words = tuple[str | int | float, ...]
# For each of what was run, the figures of each program's runs.
Results = dict[Words, dict[str, list[dict[str, float]]]]


def run(program: Program, words: Words) -> dict[str, float]:
    command = [*program, *(str(word) for word in words)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if result.returncode != 0:
        raise RuntimeError(f"{command}: {result.returncode}, {result.stderr[-1000:]}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def in_turn(programs: Programs, count: int, *variants: Words) -> Results:
    """`count` runs of each variant by each program; neighbours in time are what is compared."""
    results: Results = {words: {name: [] for name in programs} for words in variants}
    for _ in range(count):
        for words in variants:
            for name, program in programs.items():
                results[words][name].append(run(program, words))
    return results


def pick(results: dict[str, list[dict[str, float]]], key: str) -> dict[str, list[float]]:
    return {name: [one[key] for one in runs] for name, runs in results.items()}


def quotients(above: dict[str, list[float]], below: dict[str, list[float]]) -> dict[str, list[float]]:
    """Of runs that were neighbours."""
    return {name: [a / b for a, b in zip(above[name], below[name])] for name in above}


def compile_c(source: str, *libraries: str) -> pathlib.Path:
    """`source`: below Scripts/benchmarks."""
    os.makedirs(BINARIES, exist_ok=True)
    binary = BINARIES / pathlib.Path(source).stem
    subprocess.run(["clang", "-O2", "-Wall", "-Wextra", "-o", binary, BENCHMARKS / source,
                    *(f"-l{library}" for library in libraries)], check=True)
    return binary


def build_ours() -> None:
    """As a server is deployed: release, statically linked."""
    subprocess.run(["swift", "build", "-c", "release", "--static-swift-stdlib", "--package-path", ROOT,
                    "--scratch-path", ROOT / ".build-static", "--product", "store-measurement"],
                   check=True, stdout=sys.stderr)


def install(package: str, has: str) -> bool:
    """Installs a Debian package unless the command or file `has` is there; false where there is no such package."""
    def there() -> bool:
        return pathlib.Path(has).exists() if has.startswith("/") else shutil.which(has) is not None

    if not there():
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", package], **quiet,
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    if not there():
        print(f"... without {package}, which cannot be installed here", file=sys.stderr)
    return there()
