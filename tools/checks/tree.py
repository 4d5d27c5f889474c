"""The files of a checkout, and what a gate reports about them."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
KINDS = {
    ".c": "c",
    ".h": "c",
    ".def": "c",
    ".py": "python",
    ".sh": "shell",
    ".bash": "shell",
    ".cmake": "cmake",
    ".md": "markdown",
    ".1": "man",
}
TEXT = {".js", ".css", ".toml", ".ini", ".yaml", ".yml", ".in", ".map", ".proto", ".html"}
TEXT_NAMES = {"CMakePresets.json", "requirements.txt", ".editorconfig", ".clang-tidy"}


@dataclass
class Place:
    path: str
    line: int
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text}"


@dataclass
class Result:
    """What one gate found. `ok` is None for a gate that was skipped or only informs."""

    gate: str
    found: str
    limit: str
    ok: bool | None
    places: list = field(default_factory=list)
    note: str = ""


def count(gate, places):
    """Return the result of a gate that allows no place."""
    places = sorted(places, key=lambda place: (place.path, place.line))
    return Result(gate, str(len(places)), "0", not places, places)


def skip(gate, why):
    return Result(gate, "skipped", "", None, note=why)


def read_table(path):
    """Return the lines of a configuration file without comments and blank lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


class Allowed:
    """The exceptions of allow.txt."""

    def __init__(self, path):
        self.rows = []
        self.used = set()
        for line in read_table(path) if path.exists() else ():
            gate, glob, pattern, reason = (part.strip() for part in line.split(" | "))
            if not reason:
                raise SystemExit(f"{path}: this exception needs a reason: {line}")
            self.rows.append((gate, glob, re.compile(pattern)))

    def allows(self, gate, path, line):
        for i, (its_gate, glob, pattern) in enumerate(self.rows):
            if its_gate == gate and matches(path, glob) and pattern.search(line):
                self.used.add(i)
                return True
        return False

    def unused(self, gates):
        rows = enumerate(self.rows)
        return [(gate, glob) for i, (gate, glob, _) in rows if i not in self.used and gate in gates]


def matches(path, glob):
    """Return whether `path` fits `glob`, whose ** at the end covers all folders below."""
    if glob.endswith("**"):
        return path.startswith(glob[:-2])
    return Path(path).match(glob)


class Tree:
    def __init__(self, root, only=(), config=HERE):
        self.root = Path(root).resolve()
        self.config = Path(config)
        self.only = [os.path.relpath(Path(p).resolve(), self.root) for p in only]
        self.allowed = Allowed(self.config / "allow.txt")
        self.cache = {}
        paths = [p for p in list_files(self.root) if (self.root / p).is_file()]
        self.kinds = {path: kind for path in paths if (kind := self.kind_of(path))}

    def kind_of(self, path):
        name, suffix = os.path.basename(path), os.path.splitext(path)[1]
        if path.startswith("tools/checks/") and suffix == ".txt":
            return None
        if name == "CMakeLists.txt":
            return "cmake"
        if suffix in KINDS:
            return KINDS[suffix]
        if suffix in TEXT or name in TEXT_NAMES:
            return "text"
        if not suffix or path.startswith(".ci/"):
            with open(self.root / path, "rb") as file:
                first = file.readline(80)
            if first.startswith(b"#!"):
                return "python" if b"python" in first else "shell"
        return None

    def files(self, *kinds, under=()):
        """Return the paths of these kinds (none: all) that begin with one of `under`."""
        return [
            path
            for path, kind in sorted(self.kinds.items())
            if (not kinds or kind in kinds) and (not under or path.startswith(tuple(under)))
        ]

    def chosen(self, paths):
        """Return those of `paths` that the command line asked for."""
        if not self.only or "." in self.only:
            return list(paths)
        return [p for p in paths if any(p == o or p.startswith(o + "/") for o in self.only)]

    def read(self, path):
        return self.once(("read", path), lambda: self.load(path))

    def load(self, path):
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def lines(self, path):
        return self.once(("lines", path), lambda: self.read(path).split("\n"))

    def line(self, path, number):
        lines = self.lines(path)
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def once(self, key, make):
        if key not in self.cache:
            self.cache[key] = make()
        return self.cache[key]

    def keep(self, gate, places):
        """Return the places in files that were asked for, but for allowed ones."""
        wanted = set(self.chosen({place.path for place in places}))
        return [
            p
            for p in places
            if p.path in wanted
            and not self.allowed.allows(gate, p.path, f"{self.line(p.path, p.line)} {p.text}")
        ]


def list_files(root):
    """Return the paths that git tracks or would track. Without git: all but build/."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others"]
    try:
        done = subprocess.run([*command, "--exclude-standard"], capture_output=True, text=True)
        top = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--show-toplevel"], capture_output=True, text=True
        )
        if done.returncode == 0 and Path(top.stdout.strip()) == root:
            return sorted(set(filter(None, done.stdout.split("\0"))))
    except FileNotFoundError:
        pass
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in ("build", ".git", "__pycache__")]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(found)
