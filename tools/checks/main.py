"""The command line of tools/check."""

import argparse
from pathlib import Path

from checks import language, layout, programs, sizes
from checks.tree import HERE, Place, Tree, count

SHOWN = 10  # places of each gate that fails, without --list

GATES = {
    "declarations": layout.declarations,
    "circles": layout.circles,
    "circles-across": layout.circles_across,
    "folder-circles": layout.folder_circles,
    "layers": layout.layers,
    "prefixes": layout.prefixes,
    "type-prefixes": layout.type_prefixes,
    "functions": sizes.functions,
    "files": sizes.files,
    "readme": sizes.readme,
    "columns": sizes.columns,
    "phrases": language.phrases,
    "words": language.words,
    "words-tests": language.words_tests,
    "sentences": language.sentences,
    "commits": programs.commits,
    "headers": programs.headers,
    "clang-format": programs.clang_format,
    "ruff": programs.ruff,
    "ruff-format": programs.ruff_format,
    "shellcheck": programs.shellcheck,
    "codespell": programs.codespell,
}
SLOW_GATES = {"clang-tidy": programs.clang_tidy}


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        prog="tools/check",
        description="Check layout, names, sizes and language. Exit status: 0 when all is well, "
        "1 when a gate fails, 2 for wrong usage.",
    )
    every = sorted([*GATES, *SLOW_GATES])
    parser.add_argument("files", nargs="*", help="report only these files or folders")
    parser.add_argument(
        "--root", default=HERE.parent.parent, help="the checkout (default: this one)"
    )
    parser.add_argument(
        "--list", choices=every, metavar="GATE", help="show every place of one gate"
    )
    parser.add_argument(
        "--gate",
        action="append",
        choices=every,
        metavar="GATE",
        help="run this gate only; repeatable",
    )
    parser.add_argument(
        "--base", metavar="REVISION", help="check the subjects of commits since then"
    )
    parser.add_argument("--tidy", action="store_true", help="run clang-tidy too: about 4 minutes")
    parser.add_argument(
        "--config", default=HERE, help="folder of the tables (default: tools/checks)"
    )
    parser.add_argument(
        "--message",
        metavar="FILE",
        help="check the subject in a commit's message, and nothing else",
    )
    return parser.parse_args(arguments)


def choose_gates(options):
    every = {**GATES, **SLOW_GATES}
    if options.list:
        return {options.list: every[options.list]}
    if options.gate:
        return {name: every[name] for name in options.gate}
    return every if options.tidy else GATES


def print_table(results):
    width = max(len(r.gate) for r in results)
    found = max(len("found"), *(len(r.found) for r in results))
    limit = max(len("limit"), *(len(r.limit) for r in results))
    print(f"{'gate':{width}}  {'found':>{found}}  {'limit':>{limit}}  ok")
    for r in results:
        state = {True: "yes", False: "NO", None: "-"}[r.ok]
        line = f"{r.gate:{width}}  {r.found:>{found}}  {r.limit:>{limit}}  {state}"
        print(f"{line}   {r.note}" if r.note else line)


def print_places(results, everything):
    for r in results:
        if r.places and (everything or r.ok is False):
            shown = r.places if everything else r.places[:SHOWN]
            print(f"\n{r.gate}:")
            for place in shown:
                print(f"  {place}")
            if len(shown) < len(r.places):
                print(f"  ... and {len(r.places) - len(shown)} more: tools/check --list {r.gate}")


def stale_exceptions(tree, results):
    """Refuse exceptions of allow.txt that allow nothing in the gates that ran."""
    unused = tree.allowed.unused([r.gate for r in results if r.found != "skipped"])
    places = [
        Place("tools/checks/allow.txt", 1, f"unused: {gate} | {glob}") for gate, glob in unused
    ]
    return count("exceptions", places)


def check_message(path):
    lines = path.read_text(encoding="utf-8").splitlines() or [""]
    fault = None if lines[0].startswith("Merge ") else programs.subject_fault(lines[0])
    if fault:
        print(f"tools/check: {fault}")
    return 1 if fault else 0


def main(arguments=None):
    options = parse_arguments(arguments)
    if options.message:
        return check_message(Path(options.message))
    tree = Tree(options.root, options.files, options.config)
    tree.base = options.base
    gates = choose_gates(options)
    results = [gate(tree) for gate in gates.values()]
    if len(gates) >= len(GATES) and not options.files and tree.root / "tools/checks" == tree.config:
        results.append(stale_exceptions(tree, results))
    print_table(results)
    print_places(results, everything=bool(options.list))
    return 1 if any(r.ok is False for r in results) else 0
