"""tools/deps, with an apt that fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APT = """\
#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
indextargets*) echo "Debian http://mirror.invalid/debian" ;;
*update*) exit 100 ;;
esac
"""


def test_lists_that_could_not_be_read_are_read_again(tmp_path: Path) -> None:
    """A machine that was offline the first time must not keep half a list."""
    tools, programs = tmp_path / "tools", tmp_path / "programs"
    tools.mkdir()
    programs.mkdir()
    shutil.copy(ROOT / "tools" / "deps", tools)
    packages = re.search(r"^packages=\((.*?)^\)", (tools / "deps").read_text(), re.M | re.S)[1]
    installed = "".join(f"ii  {name}\\n" for name in packages.split())
    for name, text in (("apt-get", APT), ("dpkg-query", f"#!/bin/sh\nprintf '{installed}'\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    calls = tmp_path / "calls"
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "CALLS": str(calls)}
    for _ in range(2):
        calls.write_text("")
        command = [tools / "deps", "build"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 1 and "cannot read the package lists" in done.stderr
        assert "update" in calls.read_text()
