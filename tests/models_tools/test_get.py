"""models/get.py against a server on loopback: what it fetches, what it refuses, and which
files it leaves."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from server import Server

pytestmark = pytest.mark.slow

GET = Path(__file__).resolve().parents[2] / "models" / "get.py"
DATA = bytes(range(256)) * 1000
GOOD = hashlib.sha256(DATA).hexdigest()
OTHER = hashlib.sha256(b"another file").hexdigest()


class Place:
    """A folder to download to, a manifest of one model, and a server that has it."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.entry = {
            "name": "net",
            "what": "a net",
            "file": None,
            "urls": [server.url("/net")],
            "format": "onnx",
            "export": None,
            "sha256": GOOD,
            "sha256_starts": None,
            "bytes": len(DATA),
            "opset": 13,
            "input": [3, 32, 32],
            "preprocess": "imagenet",
            "resize": 235,
            "classes": 10,
            "accuracy": None,
            "licence": "MIT",
            "source": "here",
            "notes": "",
        }
        self.target = folder / "out" / "net.onnx"
        self.part = folder / "out" / "net.onnx.part"
        server.files["/net"] = DATA

    def get(
        self, *arguments: object, code: int = 0, environment: dict[str, str] | None = None
    ) -> str:
        """Run get.py and return what it printed; if it failed, its one line on standard
        error."""
        manifest = self.folder / "manifest.json"
        manifest.write_text(json.dumps({"models": [self.entry]}))
        words = [
            sys.executable,
            GET,
            "--manifest",
            manifest,
            "-o",
            self.target.parent,
            *(arguments or ["net"]),
        ]
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.lower().endswith("_proxy") and key != "LIBRESNET_MIRROR"
        }
        done = subprocess.run(
            list(map(str, words)),
            capture_output=True,
            text=True,
            timeout=60,
            env=inherited | (environment or {}),
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        if code == 1:
            assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("get.py: net: "), (
                done.stderr
            )
        return done.stderr if code else done.stdout

    def put(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    def left(self) -> list[str]:
        return sorted(path.name for path in self.target.parent.iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    server = Server()
    yield Place(tmp_path, server)
    server.close()


def test_a_file_is_fetched_verified_and_named(place: Place) -> None:
    text = place.get()
    assert place.target.read_bytes() == DATA
    assert place.left() == ["net.onnx"]
    assert f"SHA-256 verified: {GOOD}" in text
    assert f"resnet classify -m {place.target} --preprocess imagenet --resize 235" in text


def test_a_file_that_is_there_is_verified_and_not_fetched_again(place: Place) -> None:
    place.get()
    assert "already there" in place.get()
    assert len(place.server.requests) == 1


def test_another_file_of_that_name_is_left_alone(place: Place) -> None:
    place.put(place.target, b"mine")
    text = place.get(code=1)
    assert place.target.read_bytes() == b"mine" and place.server.requests == []
    assert "already there" in text and "move it away" in text


def test_a_wrong_hash_is_refused_with_what_was_found_and_expected(place: Place) -> None:
    place.server.files["/net"] = DATA[:-1] + b"!"
    found = hashlib.sha256(place.server.files["/net"]).hexdigest()
    text = place.get(code=1)
    assert found in text and GOOD in text and place.server.url("/net") in text
    assert place.left() == []


def test_a_wrong_length_is_refused(place: Place) -> None:
    place.server.files["/net"] = DATA[:-1]
    text = place.get(code=1)
    assert f"{len(DATA) - 1:,}" in text and f"{len(DATA):,}" in text
    assert not place.target.exists()


def test_the_first_digits_alone_are_compared_where_no_more_is_known(place: Place) -> None:
    place.entry |= {"sha256": None, "sha256_starts": GOOD[:8]}
    assert f"only its first digits, {GOOD[:8]}, could be compared" in place.get()
    place.target.unlink()
    place.entry |= {"sha256_starts": OTHER[:8]}
    assert f"{OTHER[:8]}... is expected" in place.get(code=1)
    assert place.left() == []


def test_an_unknown_hash_is_said_and_can_be_demanded(place: Place) -> None:
    place.entry |= {"sha256": None, "bytes": None}
    text = place.get()
    assert "could not be verified" in text and f"--sha256 {GOOD}" in text
    place.target.unlink()
    assert "verified: " + GOOD in place.get("net", "--sha256", GOOD.upper())
    place.target.unlink()
    assert OTHER in place.get("net", "--sha256", OTHER, code=1)
    assert not place.target.exists()


def test_a_demand_that_contradicts_the_manifest_fetches_nothing(place: Place) -> None:
    text = place.get("net", "--sha256", OTHER, code=1)
    assert OTHER in text and GOOD in text and place.server.requests == []


def test_a_connection_that_is_cut_off_goes_on_from_there(place: Place) -> None:
    place.server.behaviour["/net"] = {"cut once"}
    place.get()
    assert place.target.read_bytes() == DATA
    assert [asked for _, asked in place.server.requests] == [None, f"bytes={len(DATA) // 2}-"]


def test_what_has_come_is_kept_for_the_next_run(place: Place) -> None:
    place.server.behaviour["/net"] = {"cut always"}
    text = place.get(code=1)
    kept = place.part.stat().st_size
    assert (
        len(DATA) // 2 < kept < len(DATA)
        and f"{kept:,} of {len(DATA):,}" in text
        and "goes on" in text
    )
    place.server.behaviour.clear()
    place.server.requests.clear()
    place.get()
    assert place.target.read_bytes() == DATA and place.left() == ["net.onnx"]
    assert place.server.requests == [("/net", f"bytes={kept}-")]


def test_a_beginning_of_another_file_does_not_stay(place: Place) -> None:
    place.put(place.part, b"x" * 1000)
    place.get()
    assert place.target.read_bytes() == DATA
    assert [asked for _, asked in place.server.requests] == ["bytes=1000-", None]


@pytest.mark.parametrize("size", [len(DATA), len(DATA) + 5])
def test_a_part_that_has_all_or_more_ends_well(place: Place, size: int) -> None:
    place.put(place.part, (DATA + b"12345")[:size])
    place.get()
    assert place.target.read_bytes() == DATA and place.left() == ["net.onnx"]


def test_without_a_hash_a_beginning_is_used_only_with_the_servers_tag(place: Place) -> None:
    place.entry |= {"sha256": None, "bytes": None}
    place.put(place.part, b"x" * 1000)
    place.get()
    assert place.target.read_bytes() == DATA and place.server.requests == [("/net", None)]


def test_without_a_hash_a_file_that_changed_meanwhile_is_fetched_anew(place: Place) -> None:
    place.entry |= {"sha256": None, "bytes": None}
    place.server.tags["/net"] = '"one"'
    place.server.behaviour["/net"] = {"cut always"}
    place.get(code=1)
    changed = DATA[::-1]
    place.server.files["/net"], place.server.tags["/net"] = changed, '"two"'
    place.server.behaviour.clear()
    place.get()
    assert place.target.read_bytes() == changed and place.left() == ["net.onnx"]
    assert place.server.requests[-1][1] is not None


@pytest.mark.parametrize("behaviour", ["no ranges", "another part", "no length"])
def test_servers_that_resume_badly(place: Place, behaviour: str) -> None:
    place.put(place.part, DATA[:1000])
    place.server.behaviour["/net"] = {behaviour}
    place.get()
    assert place.target.read_bytes() == DATA and place.left() == ["net.onnx"]


def test_not_found(place: Place) -> None:
    place.server.files.clear()
    text = place.get(code=1)
    assert "404" in text and place.server.url("/net") in text and "browser" in text
    assert place.left() == []


def test_the_next_address_is_tried(place: Place) -> None:
    place.entry["urls"].insert(0, place.server.url("/gone"))
    place.get()
    assert [path for path, _ in place.server.requests] == ["/gone", "/net"]


def test_a_redirect_is_followed(place: Place) -> None:
    place.entry["urls"] = [place.server.url("/old")]
    place.server.redirects["/old"] = "/net"
    place.get()
    assert place.target.read_bytes() == DATA


def test_a_redirect_loop_ends(place: Place) -> None:
    place.server.redirects |= {"/net": "/again", "/again": "/net"}
    assert "redirects" in place.get(code=1)
    assert len(place.server.requests) == 6


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/net", "http://example.invalid/net", "data:,x"]
)
def test_a_redirect_to_anything_but_https_is_refused(place: Place, target: str) -> None:
    place.server.redirects["/net"] = target
    text = place.get(code=1)
    assert target in text and "not https" in text
    assert place.left() == []


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "http://example.invalid/net", "net.onnx", "https//x", "http://[::1"],
)
def test_an_address_that_is_not_https_is_refused(place: Place, address: str) -> None:
    place.entry["urls"] = [address]
    assert address in place.get(code=1)


def test_a_mirror_stands_for_every_address(place: Place) -> None:
    """A folder that get.py filled, behind a file server, fills another one."""
    place.server.files = {"/mirror/net.onnx": DATA}
    place.entry["urls"] = ["https://example.invalid/some/where.onnx"]
    for mirror in ("/mirror", "/mirror/"):
        text = place.get("net", "--mirror", place.server.url(mirror))
        assert place.target.read_bytes() == DATA and f"SHA-256 verified: {GOOD}" in text
        place.target.unlink()
    text = place.get(environment={"LIBRESNET_MIRROR": place.server.url("/mirror")})
    assert place.target.read_bytes() == DATA and f"SHA-256 verified: {GOOD}" in text


def test_what_a_mirror_sends_is_verified(place: Place) -> None:
    place.server.files = {"/net.onnx": DATA[:-1] + b"!"}
    assert GOOD in place.get("net", "--mirror", place.server.url(""), code=1)
    assert place.left() == []
    assert "404" in place.get("net", "--mirror", place.server.url("/no"), code=1)


def test_a_mirror_on_another_machine_may_use_http_with_a_hash_only(place: Place) -> None:
    mirror = "http://mirror.invalid"
    text = place.get("net", "--mirror", mirror, code=1)
    assert f"{mirror}/net.onnx" in text and "not https" not in text
    place.entry["sha256"] = None
    assert "not https" in place.get("net", "--mirror", mirror, code=1)


@pytest.mark.parametrize("behaviour", [set(), {"no length"}])
def test_more_than_is_expected_is_not_taken(place: Place, behaviour: set[str]) -> None:
    place.server.files["/net"] = DATA + b"more"
    place.server.behaviour["/net"] = behaviour
    text = place.get(code=1)
    assert f"{len(DATA):,} are expected" in text
    assert not place.target.exists()


def test_a_file_of_unknown_size_has_a_limit(place: Place) -> None:
    place.entry |= {"sha256": None, "bytes": None}
    text = place.get("net", "--max-bytes", 1000, code=1)
    assert "1,000 are accepted" in text and "--max-bytes" in text
    assert not place.target.exists()


def test_a_packed_body_is_refused(place: Place) -> None:
    place.server.behaviour["/net"] = {"packed"}
    assert "gzip" in place.get(code=1)
    assert not place.target.exists()


def test_a_server_that_is_not_there(place: Place) -> None:
    place.entry["urls"] = ["http://127.0.0.1:9/net"]
    assert "http://127.0.0.1:9/net" in place.get(code=1)


def test_a_folder_that_cannot_be_written(place: Place) -> None:
    place.target.parent.write_text("a file")
    assert str(place.target.parent) in place.get(code=1)


def test_a_shipped_net_is_copied_and_verified(place: Place) -> None:
    place.entry |= {"file": "shipped.onnx", "urls": []}
    (place.folder / "shipped.onnx").write_bytes(DATA)
    assert "verified" in place.get() and place.target.read_bytes() == DATA
    place.target.unlink()
    (place.folder / "shipped.onnx").write_bytes(b"damaged")
    assert "shipped.onnx" in place.get(code=1)
    assert not place.target.exists()


def test_weights_keep_their_kind_and_say_what_makes_onnx_of_them(place: Place) -> None:
    """These bytes are no weights. With torch they are refused; without it, get.py says
    what to install."""
    place.entry |= {
        "format": "pytorch",
        "export": {"library": "torchvision", "architecture": "resnet18", "opset": 17},
    }
    try:
        import onnx  # noqa: F401
        import torch  # noqa: F401
        import torchvision  # noqa: F401
    except ImportError:
        assert "pip install torch onnx torchvision" in place.get()
    else:
        assert "cannot be exported" in place.get(code=1)
    assert place.left() == ["net.pth"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nte"],
        ["--bogus"],
        ["--sha256", GOOD],
        ["net", "--sha256", "abc"],
        ["net", "net", "--sha256", GOOD],
        ["--max-bytes", "x"],
    ],
)
def test_wrong_usage_is_2(place: Place, arguments: list[str]) -> None:
    place.get(*arguments, code=2)
    assert place.server.requests == []


def test_an_unknown_name_gets_a_near_one(place: Place) -> None:
    assert re.search(r"'nett'.*near: net;", place.get("nett", code=2))


@pytest.mark.parametrize("name", ["../net", "/tmp/net", ".net", "a b", ""])
def test_names_that_leave_the_folder_are_refused(place: Place, name: str) -> None:
    place.entry["name"] = name
    manifest = place.folder / "bad.json"
    manifest.write_text(json.dumps({"models": [place.entry]}))
    done = subprocess.run(
        [sys.executable, GET, "--manifest", manifest, name or "x"],
        capture_output=True,
        text=True,
        cwd=place.folder,
    )
    assert done.returncode == 1 and "bad.json" in done.stderr and place.server.requests == []


@pytest.mark.parametrize("text", ["", "[]", '{"models": 3}', '{"models": [{}]}', "\xff"])
def test_a_manifest_that_is_none(place: Place, text: str) -> None:
    manifest = place.folder / "bad.json"
    manifest.write_text(text, encoding="latin-1")
    done = subprocess.run(
        [sys.executable, GET, "--manifest", manifest, "net"], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.startswith("get.py: ") and "bad.json" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_list_has_a_row_for_each_net(place: Place) -> None:
    lines = place.get("--list").splitlines()
    assert len(lines) == 2 and lines[1].split()[:2] == ["net", "onnx"]
