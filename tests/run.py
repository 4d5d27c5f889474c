"""Run the tests of a tier and add up the results. tools/test starts this script after
installing what it needs.

Each step builds a preset, runs ctest or pytest, and reads the JUnit file that these
write. A step's output goes to build/test-logs; the end of a failed step's log is shown.
The last line is "N passed, N failed, N skipped" over all steps. docs/testing.md
describes the tiers.
"""

import argparse
import concurrent.futures
import functools
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from results import Results, junit_results, one_failure, one_skip

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "test-logs"
PYTHON = ROOT / "build" / "deps" / "venv" / "bin" / "python"
LOCALES = ROOT / "build" / "deps" / "locale"
FUZZ_MINUTES = 3  # of CPU time for each target
STRUCTURES = 100_000  # random models of extreme structure
RANDOM_GRAPHS = 2000
NO_TESTS = 5  # pytest's exit status
CLANG = "clang-16"  # the compiler of the clang preset
# The labels of the ctest tests in each tier, as a regular expression.
LABELS = {"quick": "^quick$", "full": "^(quick|full)$", "long": "^(quick|full|long)$"}
# The Python tests that call the library most.
SANITIZED_PYTHON = [
    f"tests/python/test_{name}.py"
    for name in (
        "classify",
        "model",
        "observe",
        "session",
        "session_observe",
        "session_skip",
        "session_threads",
    )
]
# Started first, so that no long file is left over at the end.
LONG_FILES = [
    f"tests/{name}.py"
    for name in (
        "oracle/test_lens",
        "python/test_ray",
        "cli/test_ablation",
        "cli/test_compare",
        "cli/test_compare_unusual",
        "python/test_wheel",
        "oracle/test_top1",
        "oracle/test_nets",
    )
]


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
        print(f"---- {name}: exit status {done.returncode}; ", end="")
        print(f"the end of build/test-logs/{log_name}.log:")
        print("\n".join(lines[-60:]))
        print("----", flush=True)
    return done.returncode in good


def reported(name, log_name, report, command, environment):
    """Run a command that writes a JUnit report, and read it. A bad exit status without
    a failed test is a failure, and so is a run without any test. pytest's exit status is
    5 where a file is skipped as a whole."""
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


def check(name):
    """Check layout, names and language, where tools/check exists."""
    if not (ROOT / "tools" / "check").exists():
        return one_skip(name, "there is no tools/check")
    results = Results()
    if run(name, ["tools/check"], "check"):
        results.passed = 1
    else:
        results.failed.append(name)
    return results


def ctest(name, preset, tier, rounds="full"):
    """Run the ctest tests of a tier, with all rounds of random inputs or a few."""
    report = LOGS / f"ctest-{preset}.xml"
    command = [
        "ctest",
        "--test-dir",
        f"build/{preset}",
        "-j",
        os.cpu_count() or 1,
        "-L",
        LABELS[tier],
        "--timeout",
        1800,
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
    environment = {**test_environment(preset), "LIBRESNET_TEST_ROUNDS": rounds}
    return reported(name, f"ctest-{preset}", report, command, environment)


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
    """Run a folder or file of tests, or those that a marker expression chooses."""
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


def has_alone(file):
    """Return whether a file has tests marked `alone`, which measure or want all CPUs."""
    return "@pytest.mark.alone" in (ROOT / file).read_text()


def is_slow(file):
    """Return whether all tests of a file are marked `slow`."""
    return "\npytestmark = pytest.mark.slow\n" in (ROOT / file).read_text()


def start_order(file):
    return LONG_FILES.index(file) if file in LONG_FILES else len(LONG_FILES)


def kind_of(file):
    """Return the name of the file's folder below tests/."""
    return file.split("/")[1]


def in_parallel(preset, files, marked, environments):
    """Run a pytest process for each file, as many at once as there are CPUs. `marked`
    returns the marker expression for a file, or None. Print the results of each folder
    and return those of each file."""

    def one(file):
        start = time.monotonic()
        kind = kind_of(file)
        found = pytest(f"{kind}, {preset}", preset, file, environments.get(kind), marked(file))
        return kind, found, time.monotonic() - start

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        outcomes = list(pool.map(one, sorted(files, key=start_order)))
    for kind in sorted({kind_of(file) for file in files}):
        results, seconds = Results(), 0.0
        for of_kind, found, lasted in outcomes:
            if of_kind == kind:
                results.add(found)
                seconds += lasted
        print(f"test:   {kind}, {preset}: {results} ({seconds:.0f} s of one process)", flush=True)
    return [found for _, found, _ in outcomes]


def quick_files(name, preset, files):
    """Run the fast tests of the files that have any, with no test that measures."""
    results = Results()
    fast = [file for file in files if not is_slow(file)]
    for outcome in in_parallel(preset, fast, lambda file: "not slow and not alone", {}):
        results.add(outcome)
    return results


def all_files(name, preset, files, environments=None):
    """Run the tests of the files in parallel, then, one by one, those marked `alone`.

    `environments` holds environments by folder. A build with a sanitizer runs no test
    marked `alone`, because sanitizers change the time that they measure.
    """
    with_alone = [file for file in files if has_alone(file)]

    def marked(file):
        return "not alone" if file in with_alone else None

    outcomes = in_parallel(preset, files, marked, environments or {})
    for file in with_alone:
        if preset == "release":
            outcomes.append(pytest(f"{kind_of(file)}, {preset}", preset, file, None, "alone"))
        else:
            why = "they measure time, which a sanitizer changes"
            outcomes.append(one_skip(f"{file}, {preset}: tests marked alone", why))
    results = Results()
    for outcome in outcomes:
        results.add(outcome)
    return results


def test_files(folder="*"):
    """Return the files of Python tests in a folder below tests/, or in all of them."""
    return [
        str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests").glob(f"{folder}/test_*.py"))
    ]


def sanitized(name, preset):
    """Test the program, hostile files and the Python package with a sanitizer.

    Python itself is not built with the sanitizer, whose run-time library is therefore
    preloaded. Leak detection is off there, because Python leaks.
    """
    found = [
        subprocess.run(
            ["cc", f"-print-file-name={library}"], stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        for library in ("libasan.so", "libubsan.so")
    ]
    preloadable = all(map(os.path.isabs, found))
    files = test_files("cli") + test_files("hostile") + (SANITIZED_PYTHON if preloadable else [])
    environments = {"python": {"LD_PRELOAD": " ".join(found), "ASAN_OPTIONS": "detect_leaks=0"}}
    results = all_files(name, preset, files, environments)
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
        results.failed.append(f"{name}: the findings are in build/fuzz-work/TARGET/findings")
    print(
        "\n".join(
            line for line in (LOGS / "fuzz.log").read_text().splitlines() if line.startswith("|")
        ),
        flush=True,
    )
    return results


def structures(name, preset):
    """Open random models of extreme structure that the ordinary tests do not try."""
    results = Results()
    command = [ROOT / "build" / preset / "tests" / "fuzz_structure", 2000, STRUCTURES]
    if run(name, command, "structures"):
        results.passed = 1
    else:
        results.failed.append(f"{name}: the model is in structure-NUMBER.onnx")
    return results


def many_graphs(name, preset):
    """Compare many random graphs with onnxruntime."""
    return pytest(
        name,
        preset,
        "tests/oracle/test_random_graphs.py",
        {"LIBRESNET_RANDOM_GRAPHS": str(RANDOM_GRAPHS)},
    )


def bench(name, preset):
    results = Results()
    # The tests' environment already has onnxruntime. Without these options peers.py
    # installs and measures all peers.
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


def quick_steps():
    yield "build, release", build, "release"
    yield "layout, names, language", check  # needs a generated header
    yield "quick tests, release", ctest, "release", "quick", "quick"
    yield "fast Python tests, release", quick_files, "release", test_files()


def clang_steps():
    if shutil.which(CLANG) is None:
        yield "unit tests, clang", one_skip, f"{CLANG} is not installed"
        return
    yield "build, clang", build, "clang"
    yield "unit tests, corpus, clang", ctest, "clang", "quick"


def full_steps(tier="full"):
    yield "build, release", build, "release"
    yield "layout, names, language", check  # needs a generated header
    yield "unit tests, examples, install, corpus, release", ctest, "release", tier
    yield "Python tests, release", all_files, "release", test_files()
    yield from clang_steps()
    yield "build, asan", build, "asan"
    yield "unit tests, corpus, asan", ctest, "asan", "full"
    yield "cli, hostile, python, asan", sanitized, "asan"
    yield "build, tsan", build, "tsan"
    # races do not depend on the random inputs that more rounds bring
    yield "unit tests, corpus, tsan", ctest, "tsan", "full", "quick"


def long_steps():
    yield from full_steps("long")
    yield "build, fuzz", build, "fuzz"
    yield f"fuzzing, {FUZZ_MINUTES} CPU minutes each", fuzz, "fuzz"
    yield f"{STRUCTURES:,} models of extreme structure, release", structures, "release"
    yield f"{RANDOM_GRAPHS:,} random graphs, release", many_graphs, "release"
    yield "benchmark against onnxruntime", bench, "release"


# What each tier does, in order: (name, function, its arguments, a preset first).
STEPS = {"quick": quick_steps, "full": full_steps, "long": long_steps}


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


def run_steps(steps):
    """Run the steps in order. Skip those whose preset did not build."""
    results = Results()
    unbuilt = set()
    for name, function, *arguments in steps:
        if unbuilt.intersection(arguments[:1]):
            results.add(one_skip(name, "its preset did not build"))
            continue
        outcome = step(name, function, *arguments)
        if function is build and outcome.failed:
            unbuilt.add(arguments[0])
        results.add(outcome)
    return results


def chosen_tier():
    parser = argparse.ArgumentParser(description="Run the tests of a tier and add up the results.")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--quick",
        action="store_true",
        help="run only tests labelled quick and fast Python files, in the release build",
    )
    choice.add_argument(
        "--long",
        action="store_true",
        help="add fuzzing, 2,000 random graphs and the benchmark against onnxruntime",
    )
    options = parser.parse_args()
    return "quick" if options.quick else "long" if options.long else "full"


def main():
    tier = chosen_tier()
    start = time.monotonic()
    results = run_steps(STEPS[tier]())
    if tier == "quick":
        print("test: quick leaves out slow tests, tests that measure, and sanitizers: tools/test")
    summarise(results, time.monotonic() - start)
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
