"""Run every test there is and add up the results. tools/test starts it after installing
what it needs.

Each step builds a preset, runs ctest or pytest, and reads the JUnit file that these
write. A step's output goes to build/test-logs; what failed is shown. The last line is "N
passed, N failed, N skipped" over all steps.
"""

import argparse
import concurrent.futures
import functools
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "test-logs"
PYTHON = ROOT / "build" / "deps" / "venv" / "bin" / "python"
LOCALES = ROOT / "build" / "deps" / "locale"
FUZZ_MINUTES = 3  # of CPU time for each target
RANDOM_GRAPHS = 2000
NO_TESTS = 5  # pytest's exit status
# What calls the library most.
SANITIZED_PYTHON = [
    f"tests/python/test_{name}.py" for name in ("session", "model", "classify", "lens")
]
LONG_FILES = [
    f"tests/{name}.py"
    for name in (
        "oracle/test_lens",
        "python/test_ray",
        "cli/test_lesions",
        "cli/test_compare",
        "cli/test_compare_unusual",
        "python/test_wheel",
        "oracle/test_top1",
        "oracle/test_nets",
    )
]
# What one cmocka test prints about its end; a ctest test is a program of many of them.
CMOCKA_END = re.compile(r"^\[\s+(OK|FAILED|SKIPPED)\s+\] (\S+)$", re.MULTILINE)


class Results:
    def __init__(self):
        self.passed = 0
        self.failed = []  # names
        self.skipped = []  # (name, why)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def one_failure(name):
    results = Results()
    results.failed.append(name)
    return results


def one_skip(name, why):
    results = Results()
    results.skipped.append((name, why))
    return results


def run(name, command, log_name, environment=None, folder=ROOT, good=(0,)):
    """Run `command` with its output in a log file; true when it ended with an exit
    status in `good`."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with open(LOGS / f"{log_name}.log", "w") as log:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    if done.returncode not in good:
        lines = (LOGS / f"{log_name}.log").read_text(errors="replace").splitlines()
        print(
            f"---- {name}: exit status {done.returncode}; the end of build/test-logs/{log_name}.log:"
        )
        print("\n".join(lines[-60:]))
        print("----", flush=True)
    return done.returncode in good


def why_skipped(element):
    text = element.get("message") or element.text or "no reason given"
    return " ".join(text.split())[:200].removeprefix("Skipped: ")


def cmocka_results(program, output):
    """The tests within one program, or None where its output shows none."""
    ends = CMOCKA_END.findall(output)
    if not ends:
        return None
    results = Results()
    names = {"OK": set(), "FAILED": set(), "SKIPPED": set()}
    for end, test in ends:
        names[end].add(test)
    results.passed = len(names["OK"])
    results.failed = [f"{program}: {test}" for test in sorted(names["FAILED"])]
    results.skipped = [
        (f"{program}: {test}", why_in_output(output, test)) for test in sorted(names["SKIPPED"])
    ]
    return results


def why_in_output(output, test):
    """What a cmocka test printed between its start and its end."""
    found = re.search(
        r"^\[ RUN\s+\] " + re.escape(test) + r"\n(.*?)^\[  SKIPPED",
        output,
        re.MULTILINE | re.DOTALL,
    )
    why = " ".join(found.group(1).split())[:200] if found else ""
    return why.removeprefix("skipped: ") or "the test gives no reason"


def case_results(case, prefix):
    """The results of one <testcase> of a JUnit file."""
    name = prefix + "::".join(part for part in (case.get("classname"), case.get("name")) if part)
    output = case.findtext("system-out") or ""
    broken = case.find("failure") is not None or case.find("error") is not None
    within = cmocka_results(prefix + case.get("name", ""), output)
    if within is not None:
        if broken and not within.failed:
            within.failed.append(name)
        return within
    if broken:
        return one_failure(name)
    skipped = case.find("skipped")
    if skipped is not None:
        return one_skip(name, why_skipped(skipped))
    results = Results()
    results.passed = 1
    return results


def junit_results(path, prefix):
    results = Results()
    try:
        cases = xml.etree.ElementTree.parse(path).getroot().iter("testcase")
    except (OSError, xml.etree.ElementTree.ParseError) as problem:
        return one_failure(f"{prefix}no report that can be read: {problem}")
    for case in cases:
        results.add(case_results(case, prefix))
    return results


def reported(name, log_name, report, command, environment):
    """Run a command that writes a JUnit report, and read it. Ending badly without a
    failed test is a failure too, and so is a run without any test. Where a file is
    skipped as a whole, pytest's exit status is 5."""
    report.unlink(missing_ok=True)
    ended_well = run(name, command, log_name, environment, good=(0, NO_TESTS))
    results = junit_results(report, f"{name}: ")
    empty = not results.passed and not results.skipped
    if (not ended_well or empty) and not results.failed:
        results.failed.append(f"{name}: ended badly")
    return results


def step(name, function, *arguments):
    print(f"test: {name} ...", flush=True)
    start = time.monotonic()
    results = function(name, *arguments)
    print(f"test: {name}: {results} ({time.monotonic() - start:.0f} s)", flush=True)
    return results


def build(name, preset):
    return Results() if run(name, ["tools/build", preset], f"build-{preset}") else one_failure(name)


def ctest(name, preset):
    report = LOGS / f"ctest-{preset}.xml"
    command = [
        "ctest",
        "--test-dir",
        f"build/{preset}",
        "-j",
        os.cpu_count() or 1,
        "--timeout",
        900,
        "--output-on-failure",
        "--test-output-size-passed",
        1 << 20,
        "--test-output-size-failed",
        1 << 20,
        "--output-junit",
        report,
    ]
    # ThreadSanitizer's shadow memory does not fit every address that randomisation gives
    if preset == "tsan":
        command = ["setarch", "-R", *command]
    return reported(name, f"ctest-{preset}", report, command, test_environment(preset))


def test_environment(preset):
    data = os.environ.get("LIBRESNET_TEST_DATA") or ROOT.parent / "shared"
    environment = {
        "LIBRESNET_BUILD": str(ROOT / "build" / preset),
        "LIBRESNET_TEST_DATA": str(data),
    }
    if LOCALES.exists():
        environment["LOCPATH"] = str(LOCALES)
    return environment


@functools.cache
def has_pytest():
    return (
        PYTHON.exists()
        and subprocess.run([PYTHON, "-c", "import pytest"], stderr=subprocess.DEVNULL).returncode
        == 0
    )


def pytest(name, preset, target, more=None, marked=None):
    """Run one folder or file of tests, or those of it that a marker expression names."""
    if not has_pytest():
        return one_skip(name, "pytest is not in build/deps/venv: tools/deps could not install it")
    words = [
        "pytest",
        preset,
        *Path(target).with_suffix("").parts[1:],
        *re.findall(r"\w+", marked or ""),
    ]
    report = LOGS / ("-".join(words) + ".xml")
    command = [
        PYTHON,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        target,
        f"--junitxml={report}",
    ]
    if marked:
        command += ["-m", marked]
    results = reported(
        name, report.stem, report, command, {**test_environment(preset), **(more or {})}
    )
    measured = [
        line
        for line in (LOGS / f"{report.stem}.log").read_text(errors="replace").splitlines()
        if line.startswith("measured: ")
    ]
    if measured:
        print("\n".join(measured), flush=True)
    return results


def needs_quiet(file):
    """Tell whether a file holds tests with the mark `alone`: they measure, or want all
    CPUs to themselves."""
    return "@pytest.mark.alone" in (ROOT / file).read_text()


def start_order(file):
    """The files that take the longest come first, so that none of them is left over at
    the end."""
    return LONG_FILES.index(file) if file in LONG_FILES else len(LONG_FILES)


def side_by_side(name, preset, files, more=None):
    """Run a process for each file, as many at once as there are CPUs; then, one by one,
    the tests that are `alone`.

    `more` holds environments by folder. A build with a sanitizer runs no test that is
    `alone`: it takes a time of its own.
    """
    kinds = {file: file.split("/")[1] for file in files}
    quiet = [file for file in files if needs_quiet(file)]
    totals = {kind: [Results(), 0.0] for kind in kinds.values()}

    def one(file, marked):
        start = time.monotonic()
        kind = kinds[file]
        found = pytest(f"{kind}, {preset}", preset, file, (more or {}).get(kind), marked)
        totals[kind][0].add(found)
        totals[kind][1] += time.monotonic() - start
        return found

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = [
            pool.submit(one, file, "not alone" if file in quiet else None)
            for file in sorted(files, key=start_order)
        ]
        outcomes = [job.result() for job in jobs]
    if preset == "release":
        outcomes += [one(file, "alone") for file in quiet]
    else:
        outcomes += [
            one_skip(
                f"{file}, {preset}: those that are alone",
                "they measure time, which a sanitizer changes",
            )
            for file in quiet
        ]
    for kind, (found, seconds) in totals.items():
        print(f"test:   {kind}, {preset}: {found} ({seconds:.0f} s of one process)", flush=True)
    results = Results()
    for outcome in outcomes:
        results.add(outcome)
    return results


def test_files(*folders):
    return [
        str(path.relative_to(ROOT))
        for folder in folders
        for path in sorted((ROOT / "tests" / folder).glob("test_*.py"))
    ]


def sanitized(name, preset):
    """The program, hostile files, and the Python package in a Python that is not built
    with the sanitizer.

    Its run time has to be preloaded there. Python's own leaks are its own.
    """
    found = [
        subprocess.run(
            ["cc", f"-print-file-name={library}"], stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        for library in ("libasan.so", "libubsan.so")
    ]
    preloadable = all(map(os.path.isabs, found))
    files = test_files("cli", "hostile") + (SANITIZED_PYTHON if preloadable else [])
    environments = {"python": {"LD_PRELOAD": " ".join(found), "ASAN_OPTIONS": "detect_leaks=0"}}
    results = side_by_side(name, preset, files, environments)
    if not preloadable:
        results.add(one_skip(f"python, {preset}", "cc has no shared libasan and libubsan"))
    return results


def fuzz(name, preset):
    results = Results()
    command = [
        "python3",
        "tests/fuzz/run.py",
        "fuzz",
        "--minutes",
        FUZZ_MINUTES,
        "--jobs",
        os.cpu_count() or 1,
    ]
    if run(name, command, "fuzz"):
        results.passed = 1
    else:
        results.failed.append(f"{name}: what it found is in build/fuzz-work/TARGET/findings")
    print(
        "\n".join(
            line for line in (LOGS / "fuzz.log").read_text().splitlines() if line.startswith("|")
        ),
        flush=True,
    )
    return results


def many_graphs(name, preset):
    """The differential fuzzer in its long form."""
    return pytest(
        name,
        preset,
        "tests/oracle/test_random_graphs.py",
        {"LIBRESNET_RANDOM_GRAPHS": str(RANDOM_GRAPHS)},
    )


def bench(name, preset):
    results = Results()
    # The tests' own environment has onnxruntime, so nothing is installed. All peers:
    # tests/bench/peers.py alone.
    command = [
        PYTHON,
        "tests/bench/peers.py",
        "--venv",
        PYTHON.parent.parent,
        "--peers",
        "onnxruntime",
        "--work",
        "resnet50",
        "resnet18",
        "--opening-rounds",
        3,
        "-o",
        LOGS / "bench",
    ]
    if run(name, command, "bench", test_environment(preset)):
        results.passed = 1
        print((LOGS / "bench.log").read_text().rstrip())
    else:
        results.failed.append(name)
    return results


def steps(long):
    """What is done, in order: (name, function, arguments...)."""
    yield "build, release", build, "release"
    yield "unit tests, examples, install, corpus, release", ctest, "release"
    yield (
        "oracle, python, cli and others, release",
        side_by_side,
        "release",
        test_files(
            "kernels", "oracle", "python", "cli", "hostile", "models_tools", "docs", "bench"
        ),
    )
    yield "build, asan", build, "asan"
    yield "unit tests, corpus, asan", ctest, "asan"
    yield "cli, hostile, python, asan", sanitized, "asan"
    yield "build, tsan", build, "tsan"
    yield "unit tests, corpus, tsan", ctest, "tsan"
    if long:
        yield "build, fuzz", build, "fuzz"
        yield f"fuzzing, {FUZZ_MINUTES} CPU minutes each", fuzz, "fuzz"
        yield f"{RANDOM_GRAPHS:,} random graphs, release", many_graphs, "release"
        yield "benchmark against onnxruntime", bench, "release"


def summarise(results, seconds):
    reasons = {}
    for name, why in results.skipped:
        reasons.setdefault(why, []).append(name)
    for why, names in reasons.items():
        print(f"skipped, {why}: {len(names)} ({names[0]}{', ...' if len(names) > 1 else ''})")
    for name in results.failed:
        print(f"FAILED: {name}")
    print(f"test: all steps took {seconds:.0f} s; logs are in build/test-logs")
    print(results)


def main():
    parser = argparse.ArgumentParser(description="Run every test and add up the results.")
    parser.add_argument(
        "--long",
        action="store_true",
        help="add fuzzing, 2,000 random graphs and the benchmark against onnxruntime",
    )
    long = parser.parse_args().long
    start = time.monotonic()
    results = Results()
    unbuilt = set()
    for name, function, *arguments in steps(long):
        if arguments[0] in unbuilt:
            results.add(one_skip(name, "its preset did not build"))
            continue
        outcome = step(name, function, *arguments)
        if function is build and outcome.failed:
            unbuilt.add(arguments[0])
        results.add(outcome)
    summarise(results, time.monotonic() - start)
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
