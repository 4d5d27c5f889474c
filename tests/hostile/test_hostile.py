"""Every file of the hostile corpus ends in its named error: within a memory budget, in
seconds, never in a crash.

Without a sanitiser the process may not map more than the budget and what a program needs
anyway.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="making the corpus needs onnx: tools/deps installs it")
pytest.importorskip("PIL", reason="making the corpus needs Pillow: tools/deps installs it")

import corpus  # noqa: E402
import make  # noqa: E402
import runner  # noqa: E402


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not runner.TRY_MODEL.exists():
        pytest.skip(f"{runner.TRY_MODEL} is not built: build the library, or set LIBRESNET_BUILD")
    folder = tmp_path_factory.mktemp("hostile")
    make.write(folder)
    return folder


@pytest.mark.parametrize("case", corpus.CASES, ids=lambda case: case.name)
def test_hostile_file_ends_in_its_named_error(files: Path, case: corpus.Case) -> None:
    if not runner.program_of(case).exists():
        pytest.skip(f"{runner.program_of(case)} is not built")
    status, message = runner.outcome(case, files)
    assert status == case.status, message
    assert case.fragment.lower() in message.lower()
    if status != "RESNET_OK":
        assert f"{case.name}{case.suffix}" in message, "the message does not name the file"


def test_every_line_of_the_list_has_a_file_that_is_refused() -> None:
    refused = {case.line for case in corpus.CASES if case.status != "RESNET_OK"}
    assert set(corpus.LINES) - refused == set()


def test_no_two_files_have_one_name() -> None:
    names = [case.name for case in corpus.CASES]
    assert len(names) == len(set(names))
