"""models/plot_training.py: curves match the logs' numbers, and logs that cannot be drawn
are named."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLOT = ROOT / "models" / "plot_training.py"
SVG = "{http://www.w3.org/2000/svg}"
NETS = ["plain20", "plain56", "resnet20", "resnet56"]
HEADER = "epoch,size,learning_rate,train_loss,train_error,test_error,seconds\n"


def write_logs(folder: Path, rows: list[tuple[int, int, float, float]]) -> None:
    for name in NETS:
        lines = [
            f"{epoch},{size},0.1,1.0,{train},{test},50.0\n" for epoch, size, train, test in rows
        ]
        (folder / f"cifar10-{name}.csv").write_text(HEADER + "".join(lines))


def plot(folder: Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, PLOT, "--logs", folder, "-o", folder / "out.svg"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    return done.stderr


def drawing(folder: Path) -> xml.etree.ElementTree.Element:
    return xml.etree.ElementTree.parse(folder / "out.svg").getroot()


def points(line: xml.etree.ElementTree.Element) -> list[tuple[float, float]]:
    return [tuple(map(float, point.split(","))) for point in line.get("points").split()]


ROWS = [(1, 16, 80.0, 70.0), (2, 16, 60.0, 50.0), (3, 32, 40.0, 30.0), (4, 32, 10.0, 20.0)]


def test_curves_lie_where_the_numbers_say(tmp_path: Path) -> None:
    write_logs(tmp_path, ROWS)
    plot(tmp_path)
    lines = drawing(tmp_path).findall(f"{SVG}polyline")
    assert len(lines) == 8
    assert [line.get("class") for line in lines[:4]] == [
        "curve train few",
        "curve test few",
        "curve train many",
        "curve test many",
    ]
    train, test = points(lines[0]), points(lines[1])
    # In four short epochs no error has settled: the plot shows all, up to 80 %.
    per_percent = 270 / 80
    for (x, y), (epoch, _, error, _) in zip(train, ROWS, strict=True):
        assert (x, y) == pytest.approx(
            (62 + 345 * epoch / 4, 64 + 270 - per_percent * error), abs=0.06
        )
    assert test[3][1] == pytest.approx(64 + 270 - per_percent * 20, abs=0.06)
    titles = [line.find(f"{SVG}title").text for line in lines]
    assert (
        titles[0] == "plain20, training error: 10.00 % at the end"
        and titles[7] == "resnet56, test error: 20.00 % at the end"
    )


def test_the_change_of_size_is_marked_between_its_epochs(tmp_path: Path) -> None:
    write_logs(tmp_path, ROWS)
    plot(tmp_path)
    marks = [
        line for line in drawing(tmp_path).findall(f"{SVG}line") if line.get("class") == "change"
    ]
    assert len(marks) == 2 and float(marks[0].get("x1")) == pytest.approx(
        62 + 345 * 2 / 4, abs=0.06
    )
    texts = [text.text for text in drawing(tmp_path).findall(f"{SVG}text")]
    assert texts.count("16 x 16") == texts.count("32 x 32") == 2


def test_one_size_has_no_mark(tmp_path: Path) -> None:
    write_logs(tmp_path, [(epoch, 32, train, test) for epoch, _, train, test in ROWS])
    plot(tmp_path)
    assert not [
        line for line in drawing(tmp_path).findall(f"{SVG}line") if line.get("class") == "change"
    ]


def test_labels_of_equal_curves_do_not_lie_upon_each_other(tmp_path: Path) -> None:
    write_logs(tmp_path, ROWS)
    plot(tmp_path)
    heights = [
        float(text.get("y"))
        for text in drawing(tmp_path).findall(f"{SVG}text")
        if (text.text or "").endswith("layers")
    ]
    assert len(heights) == 4 and heights[1] - heights[0] >= 13 and heights[3] - heights[2] >= 13


def test_first_epochs_may_leave_at_the_top(tmp_path: Path) -> None:
    write_logs(tmp_path, [(epoch, 32, 90.0 if epoch < 5 else 25.0, 20.0) for epoch in range(1, 11)])
    plot(tmp_path)
    numbers = [
        text.text
        for text in drawing(tmp_path).findall(f"{SVG}text")
        if text.get("text-anchor") == "end"
    ]
    assert "30" in numbers and "40" not in numbers


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        HEADER,
        "epoch,train_error\n1,2\n",
        HEADER + "1,32,0.1,1,abc,2,3\n",
        HEADER + "1,32,0.1,1,nan,2,3\n",
        HEADER + "1,32\n",
    ],
)
def test_a_log_that_is_none_is_named_and_nothing_written(tmp_path: Path, text: str | None) -> None:
    write_logs(tmp_path, ROWS)
    path = tmp_path / "cifar10-plain56.csv"
    path.unlink() if text is None else path.write_text(text)
    complaint = plot(tmp_path, code=1)
    assert str(path) in complaint and "train.py" in complaint and len(complaint.splitlines()) == 1
    assert not (tmp_path / "out.svg").exists()
