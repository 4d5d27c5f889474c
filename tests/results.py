"""Read the reports of ctest and pytest, and add them up."""

import re
import xml.etree.ElementTree

# The last line that a cmocka test prints. One ctest test is a program of many of these.
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


def why_skipped(element):
    text = element.get("message") or element.text or "no reason given"
    return " ".join(text.split())[:200].removeprefix("Skipped: ")


def cmocka_results(program, output):
    """Return the results of the tests in one program, or None if its output has none."""
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
    """Return what a cmocka test printed between its start and its end."""
    found = re.search(
        r"^\[ RUN\s+\] " + re.escape(test) + r"\n(.*?)^\[  SKIPPED",
        output,
        re.MULTILINE | re.DOTALL,
    )
    why = " ".join(found.group(1).split())[:200] if found else ""
    return why.removeprefix("skipped: ") or "the test gives no reason"


def case_results(case, prefix):
    """Return the results of one <testcase> of a JUnit file."""
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
        return one_failure(f"{prefix}no readable report: {problem}")
    for case in cases:
        results.add(case_results(case, prefix))
    return results
