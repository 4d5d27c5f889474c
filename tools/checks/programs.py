"""Gates that other programs decide: formatters, the compiler, shellcheck, git."""

import concurrent.futures
import os
import re
import shutil
import subprocess

from checks.layout import is_header
from checks.tree import Place, count, skip

RULES_SINCE = "9c697ee"  # subjects of older commits followed other rules
LAST_COMMITS = 50  # where that commit is unknown
LONGEST_SUBJECT = 72
SUBJECT = re.compile(r"[a-z][\w./-]*(, [a-z][\w./-]*)*: ([a-z][\w-]*)( |$)")
NOT_VERBS = {"a", "an", "the", "no", "new", "more", "all", "some", "this", "that", "it", "also"}
NOT_VERB_ENDINGS = ("ed", "ing")
VERBS = {"bring", "embed", "exceed", "feed", "need", "proceed", "ring", "seed", "shed", "speed"}
PLACE = re.compile(r"^(?P<path>[^:\n]+):(?P<line>\d+):(?:\d+:)? *(?P<text>.*)$")
INTERNAL = ("include/", "loader/", "runtime/", "bindings/")
WORKERS = 2 * (os.cpu_count() or 1)


def tool(tree, *names):
    """Return the first of these programs, or None. The checkout's own come first."""
    folder = tree.root / "build" / "deps" / "venv" / "bin"
    for name in names:
        if os.access(folder / name, os.X_OK):
            return str(folder / name)
    return next((found for name in names if (found := shutil.which(name))), None)


def run(tree, command):
    done = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, errors="replace")
    return done.returncode, done.stdout + done.stderr


def read_places(tree, output):
    """Return the places in output whose lines are `path:line:column: text`."""
    places = []
    for line in output.splitlines():
        match = PLACE.match(line)
        if match:
            path = os.path.relpath(tree.root / match["path"], tree.root)
            places.append(Place(path, int(match["line"]), match["text"]))
    return places


def tool_gate(tree, gate, programs, arguments, paths):
    """Run a program over `paths`. The gate fails where it lists places or fails."""
    paths = tree.chosen(paths)
    program = tool(tree, *programs)
    if not program:
        return skip(gate, f"{programs[0]} is not installed (tools/deps test)")
    if not paths:
        return count(gate, [])
    status, output = run(tree, [program, *arguments, *paths])
    found = read_places(tree, output)
    places = tree.keep(gate, found)
    if status and not found:
        text = (output.strip().splitlines() or ["no output"])[-1]
        places = [Place(paths[0], 1, f"{programs[0]} failed: {text}")]
    return count(gate, places)


def clang_format(tree):
    names = ("clang-format-16", "clang-format")
    arguments = ["--dry-run", "--style=file"]
    return tool_gate(tree, "clang-format", names, arguments, c_files(tree))


def c_files(tree):
    return [path for path in tree.files("c") if not path.endswith(".def")]


def ruff(tree):
    arguments = ["check", "--output-format=concise", "--no-cache", "--quiet", "--force-exclude"]
    return tool_gate(tree, "ruff", ["ruff"], arguments, tree.files("python"))


def ruff_format(tree):
    """Refuse files that `ruff format` would change."""
    arguments = ["format", "--check", "--output-format=concise", "--no-cache", "--force-exclude"]
    return tool_gate(tree, "ruff-format", ["ruff"], arguments, tree.files("python"))


def shellcheck(tree):
    arguments = ["--format=gcc", "--severity=style", "--shell=bash"]
    return tool_gate(tree, "shellcheck", ["shellcheck"], arguments, tree.files("shell"))


def codespell(tree):
    arguments = [f"--ignore-words={tree.config / 'spelling.txt'}"]
    paths = [p for p in tree.files() if not p.startswith("tests/bench/results/")]
    return tool_gate(tree, "codespell", ["codespell"], arguments, paths)


def headers(tree):
    """Compile each header alone with the build's folders, and resnet.h as C++ too."""
    gate, compiler = "headers", shutil.which("cc")
    generated = tree.root / "build" / "release" / "generated"
    if not compiler:
        return skip(gate, "no C compiler")
    if not (generated / "onnx.pb-c.h").exists():
        return skip(gate, "build/release/generated/onnx.pb-c.h is missing (tools/build release)")
    flags = ["-I.", "-Iinclude", f"-I{generated}", "-D_POSIX_C_SOURCE=200809L", "-DRESNET_STATIC"]
    flags += ["-isystem", str(tree.root / "build" / "deps" / "prefix" / "include"), "-Wall"]
    flags += ["-Wextra", "-Werror", "-Wno-unused"]
    paths = [p for p in tree.chosen(tree.files("c", under=INTERNAL)) if is_header(p)]
    commands = [(p, [compiler, "-std=c11", *flags, *bindings_flags(p)]) for p in paths]
    for path in paths:
        if path.startswith("include/") and (cxx := shutil.which("c++")):
            commands.append((path, [cxx, "-std=c++11", *flags]))
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        found = pool.map(lambda pair: compile_alone(tree, *pair), commands)
        places = [place for some in found for place in some]
    return count(gate, tree.keep(gate, places))


def bindings_flags(path):
    if not path.startswith("bindings/"):
        return []
    return ["-Ibindings", "-Ibindings/cli", "-Ibindings/support", f"-I{os.path.dirname(path)}"]


def compile_alone(tree, path, command):
    source = f'#include "{path}"\n'
    language = "c++" if "-std=c++11" in command else "c"
    done = subprocess.run(
        [*command, "-fsyntax-only", "-x", language, "-"],
        cwd=tree.root,
        input=source,
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return []
    errors = [p for p in read_places(tree, done.stderr) if "error" in p.text]
    text = f"{errors[0]}" if errors else done.stderr.strip()[:200]
    return [Place(path, 1, f"as {language.upper()}: {text}")]


def commits(tree):
    """Check the form of subjects: `room: verb ...` or `room, room: verb ...`."""
    if not (tree.root / ".git").exists() or not shutil.which("git"):
        return skip("commits", "no history of git here")
    base = tree.base or RULES_SINCE
    known = run(tree, ["git", "merge-base", "--is-ancestor", base, "HEAD"])[0] == 0
    if not known and tree.base:
        raise SystemExit(f"tools/check: --base {base}: no ancestor of HEAD")
    span = [f"{base}..HEAD"] if known else ["-n", str(LAST_COMMITS), "HEAD"]
    status, output = run(tree, ["git", "log", "--no-merges", "--format=%h %s", *span])
    if status:
        return skip("commits", "no history of git here")
    lines = [line.split(" ", 1) for line in output.splitlines()]
    bad = [(name, why) for name, subject in lines if (why := subject_fault(subject))]
    return count("commits", [Place(name, 1, why) for name, why in bad])


def subject_fault(subject):
    """Return what is wrong with a commit's subject, or None."""
    if len(subject) > LONGEST_SUBJECT:
        return f"{len(subject)} characters, at most {LONGEST_SUBJECT}: {subject}"
    match = SUBJECT.match(subject)
    if not match:
        return f"does not begin with `room: verb`: {subject}"
    verb = match.group(2)
    if verb in NOT_VERBS or verb.endswith(NOT_VERB_ENDINGS) and verb not in VERBS:
        return f"`{verb}` is not a verb in the imperative: {subject}"
    return None


def clang_tidy(tree):
    """Run .clang-tidy's checks over the library and its bindings, not over the tests."""
    gate, program = "clang-tidy", tool(tree, "clang-tidy-16", "clang-tidy")
    commands = tree.root / "build" / "release" / "compile_commands.json"
    if not program:
        return skip(gate, "clang-tidy-16 is not installed (tools/deps long)")
    if not commands.exists():
        return skip(gate, "build/release/compile_commands.json is missing (tools/build release)")
    paths = tree.chosen(path for path in tree.files("c", under=INTERNAL) if path.endswith(".c"))
    text = commands.read_text()
    paths = [path for path in paths if f'"{tree.root / path}"' in text]
    base = [program, "--quiet", "-p", str(commands.parent)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        outputs = list(pool.map(lambda path: run(tree, [*base, path])[1], paths))
    found = {str(p): p for out in outputs for p in read_places(tree, out) if "note:" not in p.text}
    return count(gate, tree.keep(gate, list(found.values())))
