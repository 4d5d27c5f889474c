"""CONTRIBUTING.md's checklists name the files that an operator and a kernel touch."""

from __future__ import annotations

import re

from markdown import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
OPS = (ROOT / "loader" / "graph" / "ops.def").read_text()
KERNELS = (ROOT / "runtime" / "plan" / "kernels.def").read_text()
# Added with the checklists in hand; its name is in no other feature.
EXAMPLE = re.compile(r"leaky_relu|LeakyRelu", re.IGNORECASE)


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def operator_rows() -> list[list[str]]:
    rows = re.findall(r"^GRAPH_OP\(([^()]*)\)", OPS, re.MULTILINE)
    return [[cell.strip() for cell in row.split(",")] for row in rows]


def kernel_rows() -> dict[str, str]:
    return dict(re.findall(r"^PLAN_KERNEL\((\w+), (\w+)\)", KERNELS, re.MULTILINE))


def defined(pattern: str, *folders: str) -> bool:
    """Return whether a C source of the folders has a line that begins so."""
    sources = [path for folder in folders for path in (ROOT / folder).glob("*.c")]
    return any(re.search(f"^{pattern}", path.read_text(), re.MULTILINE) for path in sources)


def test_no_row_of_an_operator_is_empty():
    rows = operator_rows()
    assert len(rows) == len(re.findall(r"^GRAPH_OP\(", OPS, re.MULTILINE)) >= 17
    for name, reference, inputs, fields, check, kernel in rows:
        assert inputs in ("0", "1", "2") and fields.startswith("GRAPH_USES_"), name
        assert defined(rf"static resnet_status check_{check}\(", "loader/graph"), name
        assert defined(rf"static double reference_{reference}\(", "tests/unit"), name
        assert kernel in kernel_rows(), name


def test_each_kernel_has_one_row():
    rows = kernel_rows()
    assert len(rows) == len(re.findall(r"^PLAN_KERNEL\(", KERNELS, re.MULTILINE)) >= 21
    for name in rows.values():
        assert defined(rf"const kernel kernel_{name} = ", "runtime/kernels"), name


def test_checklists_name_each_file_that_an_operator_touches():
    named = section("An operator of ONNX") + section("A kernel")
    touched = [
        path.relative_to(ROOT)
        for folder in ("loader", "runtime", "tests/unit")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".c", ".h", ".def") and EXAMPLE.search(path.read_text())
    ]
    assert len(touched) >= 9
    for path in touched:
        # A source is named for its header, a pattern or folder for a file of a kind.
        words = (path.name, f"{path.stem}.c", f"{path.parent}/`", f"{path.parent}/test_loader*.c")
        assert any(word in named for word in words), f"CONTRIBUTING.md does not name {path}"


def test_named_files_exist():
    made_by_the_first_finding = "tests/fuzz/regressions"
    for path in re.findall(r"`((?:loader|runtime|tests|docs|tools|cmake)/[\w./]+)`", PAGE):
        assert (ROOT / path).exists() or path == made_by_the_first_finding, path
