"""Run every command and program of README.md and docs/, and compare what they print.

    python tests/docs/test_snippets.py --write [PAGE...]    renew the shown output

The blocks of a page run in order, in a temporary folder that looks like a checkout:
  - The project's folders are there, and build/release is the build under test.
  - `resnet`, `python3`, the Python package and pkg-config's `resnet` come from the build.
  - photo.jpg is a sample image of a cat, and resnet50.onnx a small ResNet-50 with random
    weights; small_models.py writes them, and a model of each kind of input and output.
  - photos/ holds all sample images as <class>/<image>.

Words after the language of a code block:
  skip=REASON   the block cannot run in a test; the rest of the line says why
  needs=MODULE  the block runs where this Python module is installed, e.g. torch
  exit=STATUS   the expected exit status, if it is not 0
  file=NAME     write the block to this file, so that later blocks can use it

A `text` block right after a block is its output, standard error included. In it, a line
"..." matches any number of lines, and "[...]" matches any text within a line.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import markdown
import small_models
from markdown import PAGES, ROOT, Block

pytestmark = pytest.mark.slow

BUILD = Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release")).resolve()
SAMPLES = ROOT / "models" / "samples"
FOLDERS = ("bindings", "cmake", "docs", "include", "loader", "models", "runtime", "tests", "tools")
RUN = ("sh", "c", "python")
SHOWN = ("text", "cmake", "json")  # "text" also holds drawings
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic")
MAX_SKIPPED = 16
PKG_CONFIG = """\
Name: resnet
Description: the build under test
Version: 0
Cflags: -I{root}/include
Libs: -L{build} -lresnet -Wl,-rpath,{build}
"""


# ---- the folder that commands run in ----


def make_folder(folder: Path) -> None:
    for name in FOLDERS:
        (folder / name).symlink_to(ROOT / name)
    (folder / "build").mkdir()
    (folder / "build" / "release").symlink_to(BUILD)
    small_models.write_files(folder)
    for image in sorted([*SAMPLES.glob("*.jpg"), *SAMPLES.glob("*.png")]):
        kind = folder / "photos" / image.name.partition("-")[0]
        kind.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, kind)
    programs = folder / "build" / "programs"
    programs.mkdir()
    (programs / "resnet").symlink_to(BUILD / "resnet")
    (programs / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python3").chmod(0o755)
    (programs / "resnet.pc").write_text(PKG_CONFIG.format(root=ROOT, build=BUILD))


def environment(folder: Path) -> dict[str, str]:
    programs = str(folder / "build" / "programs")
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PKG_CONFIG_PATH": programs,
        "PYTHONPATH": str(ROOT / "bindings" / "python"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LIBRESNET_LIBRARY": str(BUILD / "libresnet.so"),
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "80",
    }


# ---- running a block ----


def command_of(block: Block, folder: Path) -> list[str]:
    """Write the block to a file and return the command that runs it."""
    suffix = {"sh": "sh", "c": "c", "python": "py"}[block.language]
    path = folder / block.option("file", f"block-{block.line}.{suffix}")
    path.write_text(block.text)
    if block.language == "sh":
        return ["bash", "-euo", "pipefail", path.name]
    if block.language == "python":
        return [sys.executable, path.name]
    compiled = f"cc {' '.join(WARNINGS)} {path.name} $(pkg-config --cflags --libs resnet)"
    if not re.search(r"\bmain\(", block.text):
        return ["bash", "-c", f"{compiled} -shared -fPIC -o {path.stem}.so"]
    return ["bash", "-c", f"{compiled} -o {path.stem} && ./{path.stem}"]


def run_block(block: Block, folder: Path) -> str:
    """Return what the block prints; fail if its exit status is not the expected one."""
    command = command_of(block, folder)
    if block.language == "c" and block.option("file"):
        command[-1] = command[-1].partition(" && ")[0]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == int(block.option("exit", "0")), (
        f"{block.place}: exit status {done.returncode}:\n{done.stdout}"
    )
    return done.stdout


def matches(expected: str, found: str) -> bool:
    """Compare line by line, without space at the ends of lines."""
    pattern = ""
    for line in expected.rstrip().splitlines():
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += r"[^\n]*".join(map(re.escape, line.rstrip().split("[...]"))) + r"\n"
    lines = [line.rstrip() for line in found.rstrip().splitlines()]
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def output_block(blocks: list[Block], index: int, text: str) -> Block | None:
    """Return the `text` block that follows block `index` directly, or None."""
    if index + 1 == len(blocks) or blocks[index + 1].language != "text":
        return None
    block, shown = blocks[index], blocks[index + 1]
    end = block.line + block.text.count("\n") + 1
    between = text.splitlines()[end : shown.line - 1]
    return None if any(line.strip() for line in between) else shown


def has_module(block: Block) -> bool:
    """Return whether the module that a block needs is installed."""
    needed = block.option("needs")
    return not needed or importlib.util.find_spec(needed) is not None


def run_page(page: Path, folder: Path) -> list[tuple[Block, str]]:
    """Run the blocks of a page; return each `text` block with what was printed."""
    make_folder(folder)
    text = page.read_text()
    blocks = markdown.read_blocks(page, text)
    outputs = []
    for index, block in enumerate(blocks):
        if block.language not in RUN or block.skip or not has_module(block):
            continue
        found = run_block(block, folder)
        shown = output_block(blocks, index, text)
        if shown:
            outputs.append((shown, found))
    return outputs


# ---- tests ----

needs_build = pytest.mark.skipif(
    not (BUILD / "resnet").exists(), reason=f"{BUILD / 'resnet'} is not there: tools/build makes it"
)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@needs_build
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_programs_do_what_the_page_shows(page, tmp_path):
    for shown, found in run_page(page, tmp_path):
        assert matches(shown.text, found), (
            f"{shown.place} shows:\n{shown.text}\nwhat was printed:\n{found}\n"
            "python tests/docs/test_snippets.py --write renews it"
        )


# How the two parts of the second example begin: a function, then statements.
ADDED = ("static void show(", "ok = ok && ")


def examples_in_the_header():
    """Return the first program, the two commands that build and run it, and what the
    second example adds to the program: a function and statements."""
    lines = (ROOT / "include" / "resnet.h").read_text().splitlines()
    shown = [line.removeprefix(" *     ") for line in lines if line.startswith(" *     ")]
    end = shown.index("}") + 1
    program = "\n".join(shown[shown.index("#include <resnet.h>") : end]) + "\n"
    start, stop = (next(i for i, x in enumerate(shown) if x.startswith(at)) for at in ADDED)
    function_end = shown.index("}", start) + 1
    statements = shown[stop : 1 + next(i for i in range(stop, len(shown)) if shown[i][-1] == ";")]
    return program, shown[end : end + 2], shown[start:function_end], statements


def run_in_the_header(program, commands, folder):
    make_folder(folder)
    compiling, running = commands
    assert compiling.startswith("cc ") and running.startswith("./label ")
    block = Block(ROOT / "include" / "resnet.h", 1, "sh", "", f"{compiling}\n{running}\n")
    (folder / "label.c").write_text(program)
    return run_block(block, folder)


@needs_build
def test_the_program_in_the_header_runs(tmp_path):
    program, commands, _, _ = examples_in_the_header()
    printed = run_in_the_header(program, commands, tmp_path)
    assert re.fullmatch(r"class \d+, probability 0\.\d{3}\n", printed)


@needs_build
def test_the_second_example_in_the_header_runs(tmp_path):
    program, commands, function, statements = examples_in_the_header()
    for place, added in (("int main", [*function, ""]), ("  if (ok) printf", statements)):
        assert program.count(place) == 1
        program = program.replace(place, "\n".join([*added, place]))
    printed = run_in_the_header(program, commands, tmp_path)
    assert re.fullmatch(r"(layer \d+ \(.+\): -?\d+\.\d{3}\n)+class \d+, .+\n", printed)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_names_a_language_that_is_known(page):
    for block in markdown.read_blocks(page):
        assert block.language in (*RUN, *SHOWN), f"{block.place}: {block.language!r}"
    indented = [
        f"{name_of(page)}:{line}" for line, text in markdown.prose(page) if text.startswith("    ")
    ]
    assert not indented, f"commands belong into fenced blocks: {', '.join(indented)}"


def test_few_blocks_are_skipped_and_each_says_why(capsys):
    blocks = [block for page in PAGES for block in markdown.read_blocks(page)]
    skipped = [block for block in blocks if "skip" in block.options]
    run = [block for block in blocks if block.language in RUN and not block.skip]
    ran = sum(has_module(block) for block in run)
    with capsys.disabled():
        print(f"\n{ran} blocks are run, {len(skipped)} are not:")
        for block in skipped:
            print(f"  {block.place}: {block.skip}")
        for block in run:
            if not has_module(block):
                print(f"  {block.place}: {block.option('needs')} is not installed")
    assert all(block.skip and len(block.skip.split()) > 1 for block in skipped)
    assert len(skipped) <= MAX_SKIPPED and ran > 2 * len(skipped)


def test_the_comparison_sees_differences():
    assert matches("a\n...\nd [x]*\n", "a\nb\nc\nd [x]*\n")
    assert matches("a \n", "a\n\n") and matches("...\nb\n", "b\n")
    assert not matches("a\n...\nd\n", "a\nb\n")
    assert not matches("a\n", "a\nb\n") and not matches("a\nb\n", "a\n")
    assert not matches("d [x]\n", "d x\n") and not matches("a?\n", "ab\n")
    assert matches("a [...] c\n", "a b c\n") and not matches("a [...] c\n", "a b\nx c\n")


@needs_build
def test_a_wrong_block_fails(tmp_path):
    page = tmp_path / "page.md"
    folder = tmp_path / "folder"
    folder.mkdir()
    block = Block(ROOT / "README.md", 1, "sh", "", "false\n")
    with pytest.raises(AssertionError, match="exit status 1"):
        run_block(block, folder)
    unused = Block(ROOT / "README.md", 2, "c", "", "int main(void) { int unused; return 0; }\n")
    (folder / "build").mkdir()
    with pytest.raises(AssertionError, match="unused"):
        run_block(unused, folder)
    page.write_text("```sh\necho b\n```\n\n```text\na\n```\n")
    (shown, found), *_ = run_page(page, make_empty(tmp_path / "other"))
    assert found == "b\n" and not matches(shown.text, found)


def make_empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


# ---- renewing ----


def renewed(shown: str, found: str) -> str | None:
    """Return the output to show: all of it, or as many lines around "..." as before.

    Keep lines with "[...]". Return None if the result would not match the output.
    """
    lines = [line.rstrip() for line in found.rstrip().splitlines()]
    old = shown.splitlines()
    if "..." in old:
        first = old.index("...")
        last = len(old) - first - 1
        lines = [*lines[:first], "...", *(lines[-last:] if last else [])]
    if "[...]" in shown and len(lines) == len(old):
        lines = [a if "[...]" in a else b for a, b in zip(old, lines, strict=True)]
    text = "".join(f"{line}\n" for line in lines)
    return text if matches(text, found) else None


def renew(page: Path) -> None:
    """Write what was printed in place of what is shown."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = run_page(page, Path(folder))
    lines = page.read_text().splitlines()
    for shown, found in reversed(outputs):
        if matches(shown.text, found):
            continue
        text = renewed(shown.text, found)
        if text is None:
            print(f"{shown.place}: edit by hand, since it omits parts; the output is:\n{found}")
            continue
        lines[shown.line : shown.line + shown.text.count("\n")] = text.splitlines()
        print(f"{shown.place}: renewed")
    page.write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    if sys.argv[1:2] != ["--write"]:
        sys.exit(__doc__)
    for chosen in [Path(name).resolve() for name in sys.argv[2:]] or PAGES:
        renew(chosen)
