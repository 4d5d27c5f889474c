"""tools/demo: what the first screen of a newcomer says, and that its advice works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from conftest import PROGRAM, ROOT, resnet_json

DEMO = ROOT / "tools" / "demo"
SAMPLES = sorted(
    path for path in (ROOT / "models/samples").iterdir() if path.suffix in (".jpg", ".png")
)


def demo(*arguments: object, code: int = 0) -> str:
    """Run the demo with the program under test and return what it printed."""
    result = subprocess.run(
        [DEMO, *map(str, arguments)],
        env=os.environ | {"RESNET": str(PROGRAM)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == code, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def printed(labels) -> str:
    return demo()


def test_wrong_answers_are_marked_beside_them(printed):
    """An answer is wrong if it is not the label in the file's name."""
    document = resnet_json("classify", *SAMPLES)
    answers = {
        Path(image["file"]).name: image["predictions"][0]["label"] for image in document["results"]
    }
    assert len(answers) == 10
    wrong = {name for name, label in answers.items() if label != name.split("-")[0]}
    marked = {}
    for line in printed.splitlines():
        if found := re.match(r"models/samples/(\S+)", line):
            name = found[1]
        if found := re.search(r"%  (\w+)   <- wrong: the sample shows the class (\w+)$", line):
            marked[name] = found.groups()
    assert marked == {name: (answers[name], name.split("-")[0]) for name in wrong}
    assert f"\n{10 - len(wrong)} of 10 samples are labelled rightly.\n" in printed


def test_the_commands_at_the_end_work(printed, tmp_path):
    for name in ("models", "build"):
        if (ROOT / name).exists():
            (tmp_path / name).symlink_to(ROOT / name)
    _, advice = printed.split("\nTry next:\n")
    commands = [line.strip() for line in advice.splitlines() if not line.startswith("  #")]
    assert len(commands) == 3
    for command in commands:
        done = subprocess.run(shlex.split(command), cwd=tmp_path, capture_output=True, timeout=120)
        assert done.returncode == 0 and done.stdout, (command, done.stderr)
    assert (tmp_path / "cam.png").read_bytes().startswith(b"\x89PNG")


def test_own_photos_are_labelled_without_marks(printed, tmp_path):
    photo = tmp_path / "cat-that-is-a-dog.jpg"
    photo.write_bytes((ROOT / "models/samples/dog-retriever.jpg").read_bytes())
    text = demo(photo)
    assert str(photo) in text and "wrong" not in text and "Try next" not in text
    demo(tmp_path / "absent.jpg", code=1)
