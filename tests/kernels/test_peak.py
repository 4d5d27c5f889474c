"""The loops that measure the peak of the CPU keep all accumulators, in registers: a
compiler that merges equal ones would measure a multiple of the peak."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release"))
ACCUMULATORS = 12
# function: what multiplies in it
LOOPS = {
    "multiply_avx512": r"vfn?madd\d+ps.*zmm",
    "multiply_avx2": r"vfn?madd\d+ps.*ymm",
    "multiply_baseline": r"\bmulps",
}


@pytest.mark.parametrize("name", LOOPS)
def test_every_accumulator_is_computed(name):
    if platform.machine() != "x86_64" or not shutil.which("objdump"):
        pytest.skip("needs x86-64 and objdump")
    if BUILD.name not in ("release", "clang"):
        pytest.skip(f"{BUILD.name} is not optimised")
    program = BUILD / "resnet"
    code = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", f"--disassemble={name}", program],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    steps = [line for line in code.splitlines() if re.search(LOOPS[name], line)]
    assert len(steps) % ACCUMULATORS == 0 and len(steps) >= ACCUMULATORS, code
    assert not any("rsp" in line or "rbp" in line for line in steps), code


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
