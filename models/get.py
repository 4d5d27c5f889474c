#!/usr/bin/env python3
"""Fetch the pretrained models that manifest.json lists, and verify them. Needs nothing
but Python.

An interrupted download continues from NAME.onnx.part. A file gets its name only after it
was verified, and an existing file is never overwritten. Where the manifest has no SHA-256
the file cannot be verified: its hash is printed, so that it can be given as --sha256 the
next time (trust on first use). PyTorch weights are exported to ONNX where torch, onnx
and the model's library are installed (export_weights.py).

Without internet: serve a folder that get.py has filled elsewhere, with python3 -m
http.server, and give its address as --mirror. SHA-256 is verified all the same.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import http.client
import json
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from arguments import integer

HERE = Path(__file__).resolve().parent
EXAMPLE = (
    "example: python models/get.py zoo-resnet50-v1-12 -o /tmp && "
    "resnet classify -m /tmp/zoo-resnet50-v1-12.onnx photo.jpg"
)
SUFFIXES = {
    "onnx": ".onnx",
    "onnx.gz": ".onnx.gz",
    "pytorch": ".pth",
    "safetensors": ".safetensors",
}
LARGEST = 2 << 30  # bytes: the library's default limit
TIMEOUT = 30  # seconds without a byte
TRIES = 4  # of an address that breaks off
REDIRECTS = 5
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
HASH = re.compile(r"[0-9a-f]{64}\Z")


class Failure(Exception):
    """Why a model is not there, and what to do: one line for the user."""


class Broken(Failure):
    """The connection ended early. What has arrived is kept, and another try continues
    from there."""


class Wrong(Failure):
    """The bytes are not those of the manifest."""


@dataclass(frozen=True)
class Wanted:
    """What a downloaded file must be."""

    name: str
    sha256: str | None
    starts: str | None
    size: int | None

    def check(self, digest: str, size: int) -> None:
        """Raise Wrong, with what was found and what was expected, unless this is the
        file."""
        if self.size is not None and size != self.size:
            raise Wrong(f"{size:,} bytes were found, {self.size:,} are expected")
        if digest != (self.sha256 or digest) or not digest.startswith(self.starts or ""):
            raise Wrong(
                f"SHA-256 {digest} was found, {self.sha256 or self.starts + '...'} is expected"
            )

    def verdict(self, digest: str) -> str:
        """Say what was verified, for a file that passed."""
        if self.sha256:
            return f"SHA-256 verified: {digest}"
        known = (
            f"only its first digits, {self.starts}, could be compared"
            if self.starts
            else "it could not be verified"
        )
        return (
            f"the manifest has no SHA-256: {known}; found {digest}. "
            f"To demand it from now on: --sha256 {digest}"
        )


# ---- the manifest


def read_manifest(path: Path) -> dict[str, dict]:
    """Return the entries by name."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["models"]
        models = {entry["name"]: entry for entry in entries}
        for name, entry in models.items():
            if (
                not NAME.match(name)
                or entry["format"] not in SUFFIXES
                or entry["sha256"]
                and not HASH.match(entry["sha256"])
            ):
                raise ValueError(f"entry {name!r} has an invalid name, format or SHA-256")
    except (OSError, ValueError, KeyError, TypeError, UnicodeDecodeError) as problem:
        raise Failure(
            f"{path}: no manifest: {type(problem).__name__}: {problem}; see models/manifest.json"
        ) from None
    return models


def print_list(models: dict[str, dict]) -> None:
    """Print the table of --list."""
    rows = [("NAME", "FORMAT", "MB", "OPSET", "INPUT", "TOP-1", "SHA-256", "LICENCE", "WHAT")]
    for entry in models.values():
        size = f"{entry['bytes'] / 1e6:.1f}" if entry["bytes"] else "?"
        top1 = f"{entry['accuracy']['top1']:.2f}" if entry["accuracy"] else "?"
        known = (
            entry["sha256"][:8]
            if entry["sha256"]
            else f"{entry['sha256_starts']}?"
            if entry["sha256_starts"]
            else "?"
        )
        side = "x".join(map(str, entry["input"][1:]))
        what = (
            entry["format"],
            size,
            str(entry["opset"] or "?"),
            side,
            top1,
            known,
            entry["licence"],
            entry["what"],
        )
        rows.append((entry["name"], *what))
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def wanted(entry: dict, demanded: str | None) -> Wanted:
    """Return what the entry and --sha256 together require of the file."""
    stated = entry["sha256"]
    if demanded and stated and demanded != stated:
        raise Failure(
            f"--sha256 {demanded} is demanded, the manifest says {stated}; "
            "leave one out or correct it"
        )
    return Wanted(entry["name"], demanded or stated, entry["sha256_starts"], entry["bytes"])


# ---- downloading


def check_address(url: str, plain_hosts: set[str], origin: str | None = None) -> None:
    """Refuse any address but https, and http of these hosts."""
    try:
        parts = urlsplit(url)
        local = parts.hostname in plain_hosts and (
            origin is None or urlsplit(origin).hostname in plain_hosts
        )
    except ValueError as problem:
        raise Failure(f"no address: {problem}") from None
    if parts.scheme == "https" or (parts.scheme == "http" and local):
        return
    how = "leads to" if origin else "is"
    raise Failure(f"{how} {url}, which is not https; nothing else is followed: correct the address")


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leave redirects to open_address, which checks each."""

    def redirect_request(self, *_: object) -> None:
        return None


def open_address(
    url: str, headers: dict[str, str], plain_hosts: set[str]
) -> http.client.HTTPResponse:
    """Return the response behind all redirects. Raise HTTPError for any status but 200
    and 206."""
    opener = urllib.request.build_opener(NoRedirects)
    check_address(url, plain_hosts)
    for _ in range(REDIRECTS + 1):
        try:
            return opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
        except urllib.error.HTTPError as status:
            target = status.headers.get("Location")
            if status.code not in (301, 302, 303, 307, 308) or not target:
                raise
            status.close()
            following = urljoin(url, target)
            check_address(following, plain_hosts, url)
            url = following
    raise Failure(
        f"more than {REDIRECTS} redirects, the last to {url}; look at the address in a browser"
    )


class Download:
    """A download in progress: `part` is the unfinished file, `tag` the server's ETag.
    Hosts in `plain_hosts` may use http."""

    def __init__(self, part: Path, want: Wanted, largest: int, plain_hosts: set[str]) -> None:
        self.part = part
        self.plain_hosts = plain_hosts
        self.tag = part.with_name(part.name + ".etag")
        self.want = want
        self.largest = largest if want.size is None else want.size

    @property
    def have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def forget(self) -> None:
        """Start from nothing the next time."""
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)

    def headers(self) -> dict[str, str]:
        """Ask for the rest only where a hash or a tag can detect a mixture of two
        files."""
        headers = {"User-Agent": "libresnet-get/1", "Accept-Encoding": "identity"}
        tag = self.tag.read_text(encoding="latin-1") if self.tag.exists() else None
        if self.have and (tag or self.want.sha256):
            headers["Range"] = f"bytes={self.have}-"
            if tag:
                headers["If-Range"] = tag
        return headers

    def fetch(self, url: str) -> bool:
        """Receive the file, or the rest of it, and return whether it was a rest. Raise
        Broken where it ends early."""
        headers = self.headers()
        try:
            with open_address(url, headers, self.plain_hosts) as response:
                resumed = "Range" in headers and response.status == 206
                total = self.begin(response, resumed)
                self.receive(response, total)
        except urllib.error.HTTPError as status:
            status.close()
            if status.code != 416:  # 416: there is no rest
                raise Failure(
                    f"the server answers {status.code} {status.reason}; "
                    "look at the address in a browser"
                ) from None
            if self.want.size != self.have:
                self.forget()
                raise Broken("the server has no such rest; starting anew") from None
            resumed = True
        except (http.client.HTTPException, OSError) as problem:
            # a file of ours, not the connection
            if isinstance(problem, OSError) and problem.filename:
                raise Failure(f"{problem.filename}: {problem.strerror}") from None
            reason = getattr(problem, "reason", None) or problem
            raise Broken(
                f"{type(problem).__name__}: {reason}; {self.have:,} bytes have come"
            ) from None
        return resumed

    def begin(self, response: http.client.HTTPResponse, resumed: bool) -> int | None:
        """Check the headers, and return the file's whole length if the server sends
        it."""
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise Failure(
                f"the server sends the file packed ({encoding}), though asked not to; "
                "its hash cannot be compared"
            )
        if not resumed:
            self.forget()
        length = response.headers.get("Content-Length", "")
        total = int(length) + self.have if length.isdecimal() else None
        if resumed and not re.match(
            rf"bytes {self.have}-\d+/", response.headers.get("Content-Range", "")
        ):
            self.forget()
            raise Broken("the server sends another part than was asked for; starting anew")
        if total is not None and total > self.largest:
            raise Failure(self.too_large(total))
        tag = response.headers.get("ETag", "")
        if tag.startswith('"'):  # a weak one does not promise the same bytes
            self.tag.write_text(tag, encoding="latin-1")
        return total

    def too_large(self, size: int) -> str:
        if self.want.size is not None:
            return (
                f"{size:,} bytes or more are sent, {self.want.size:,} are expected; "
                "is it the right address?"
            )
        return (
            f"{size:,} bytes or more are sent, {self.largest:,} are accepted; "
            "raise --max-bytes if that is right"
        )

    def receive(self, response: http.client.HTTPResponse, total: int | None) -> None:
        """Append the body to the part."""
        progress = Progress(self.want.name, self.have, total or self.want.size)
        with self.part.open("ab") as file:
            while block := response.read(1 << 16):
                if file.tell() + len(block) > self.largest:
                    raise Failure(self.too_large(file.tell() + len(block)))
                file.write(block)
                progress.show(file.tell())
            done = file.tell()
        progress.end()
        if done < (total or self.want.size or done):
            raise Broken(f"cut off after {done:,} of {total or self.want.size:,} bytes")


class Progress:
    """A line on standard error, if that is a terminal: share, rate, time left."""

    def __init__(self, name: str, done: int, total: int | None) -> None:
        self.name, self.start, self.total = name, done, total
        self.began = self.shown = time.monotonic()
        self.visible = sys.stderr.isatty()

    def show(self, done: int) -> None:
        now = time.monotonic()
        if not self.visible or now - self.shown < 0.1:
            return
        self.shown = now
        rate = (done - self.start) / max(now - self.began, 1e-6)
        text = f"{self.name}: {done / 1e6:.1f} MB"
        if self.total:
            left = (self.total - done) / max(rate, 1)
            text += (
                f" of {self.total / 1e6:.1f}, {100 * done / self.total:.0f} %, {left:.0f} s left"
            )
        print(f"\r\033[K{text}, {rate / 1e6:.1f} MB/s", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.visible:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def file_hash(path: Path) -> str:
    """Return the SHA-256 in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fetch_until_whole(download: Download, url: str) -> str:
    """Retry an address until the file is complete and right; return its SHA-256."""
    for left in reversed(range(TRIES)):
        try:
            resumed = download.fetch(url)
        except Broken as problem:
            if not left:
                raise Broken(
                    f"{problem}; gave up after {TRIES} tries: the same command goes on from there"
                ) from None
            continue
        digest = file_hash(download.part)
        try:
            download.want.check(digest, download.have)
            return digest
        except Wrong:
            download.forget()
            # the old part may have been the beginning of another file
            if not (resumed and left):
                raise
    raise AssertionError("unreachable")


def download_file(
    urls: list[str], target: Path, want: Wanted, largest: int, mirror: str | None = None
) -> str:
    """Fetch `target` from the first address that has it, or from the mirror; return its
    SHA-256."""
    plain_hosts = set(LOOPBACK)
    if mirror:
        urls = [f"{mirror.rstrip('/')}/{target.name}"]
        if want.sha256:  # which finds any change on the way
            plain_hosts |= {urlsplit(mirror).hostname or ""}
    part = target.with_name(target.name + ".part")
    download = Download(part, want, largest, plain_hosts)
    problems = []
    for url in urls:
        try:
            digest = fetch_until_whole(download, url)
        except Failure as problem:
            problems.append(f"{url}: {problem}")
            continue
        os.replace(download.part, target)
        download.tag.unlink(missing_ok=True)
        return digest
    raise Failure("; ".join(problems) or "the manifest has no address of it")


# ---- one entry


def copy_shipped(entry: dict, source: Path, target: Path, want: Wanted) -> str:
    """Verify a model of this repository in its place, then copy it."""
    digest = file_hash(source)
    try:
        want.check(digest, source.stat().st_size)
    except Wrong as problem:
        raise Failure(f"{source}: {problem}; restore it from the repository") from None
    temporary = target.with_name(target.name + ".tmp")
    shutil.copyfile(source, temporary)
    os.replace(temporary, target)
    return digest


def present(target: Path, want: Wanted) -> str:
    """Return the SHA-256 of an existing file. Fail if it is not the wanted one, and leave
    it alone."""
    digest = file_hash(target)
    try:
        want.check(digest, target.stat().st_size)
    except Wrong as problem:
        raise Failure(
            f"{target} is already there, but {problem}; it was left as it is: "
            "move it away to fetch anew"
        ) from None
    return digest


def obtain(entry: dict, options: argparse.Namespace) -> Iterator[str]:
    """Make sure that the entry's file is in the folder; return lines for the user."""
    want = wanted(entry, options.sha256)
    target = options.output / (entry["name"] + SUFFIXES[entry["format"]])
    source = options.manifest.parent / entry["file"] if entry["file"] else None
    if target.exists():
        yield f"{target} is already there. {want.verdict(present(target, want))}"
    elif source and source.exists():
        verdict = want.verdict(copy_shipped(entry, source, target, want))
        yield f"copied {source} to {target}. {verdict}"
    else:
        digest = download_file(entry["urls"], target, want, options.max_bytes, options.mirror)
        yield f"fetched {target} ({target.stat().st_size:,} bytes). {want.verdict(digest)}"
    if entry["export"]:
        yield from export(entry, target)
    else:
        yield how_to_run(entry, target)


def export(entry: dict, weights: Path) -> Iterator[str]:
    """Write PyTorch weights as ONNX, or say what that needs."""
    target = weights.with_suffix(".onnx")
    if target.exists():
        yield f"{target} is already there"
        return
    needs = ("torch", "onnx", entry["export"]["library"])
    try:
        from export_weights import export_weights
    except ImportError as missing:
        command = f"pip install {' '.join(needs)}"
        yield (
            f"{weights} are PyTorch weights, and {missing.name} is missing to make {target} of "
            f"them: {command} (docs/bring-your-own-model.md has the small build for CPUs), then "
            "the same again"
        )
        return
    try:
        export_weights(entry, weights, target)
    except ImportError as missing:
        yield (
            f"{weights}: {missing.name} is missing to make {target} of it: "
            f"pip install {' '.join(needs)}, then the same again"
        )
        return
    except Exception as problem:
        raise Failure(
            f"{weights}: cannot be exported: {type(problem).__name__}: "
            f"{' '.join(str(problem).split())[:300]}"
        ) from None
    yield (
        f"exported {target}; labels and preprocessing are inside: resnet classify -m {target} PHOTO"
    )


def how_to_run(entry: dict, target: Path) -> str:
    """Return the command that runs the model on what it was trained for."""
    if entry["file"]:  # its files contain the preprocessing
        return f"run it: resnet classify -m {target} PHOTO"
    resize = f" --resize {entry['resize']}" if entry["resize"] else ""
    return f"run it: resnet classify -m {target} --preprocess {entry['preprocess']}{resize} PHOTO"


# ---- the command line


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="get.py",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="nets to fetch")
    add(
        "-o",
        "--output",
        type=Path,
        default=Path("."),
        metavar="DIR",
        help="where to (default: here)",
    )
    add("--list", action="store_true", help="print what there is")
    add(
        "--manifest",
        type=Path,
        default=HERE / "manifest.json",
        metavar="FILE",
        help="another manifest",
    )
    add(
        "--mirror",
        default=os.environ.get("LIBRESNET_MIRROR"),
        metavar="URL",
        help="fetch NAME.onnx from below this address, e.g. http://10.0.0.1:8000; http needs a "
        "known SHA-256 (default: the environment's LIBRESNET_MIRROR)",
    )
    add("--sha256", metavar="HASH", help="demand this SHA-256 of the one file named")
    add(
        "--max-bytes",
        type=integer(1, 2**63 - 1),
        default=LARGEST,
        metavar="N",
        help="largest file of unknown size (default: 2 GiB)",
    )
    options = parser.parse_args()
    if not options.list and not options.names:
        parser.error("name a net, or use --list")
    if options.sha256 is not None:
        options.sha256 = options.sha256.lower()
        if len(options.names) != 1 or not HASH.match(options.sha256):
            parser.error("--sha256 takes 64 hexadecimal digits, for one net")
    return options


def unknown(names: list[str], models: dict[str, dict]) -> str | None:
    """Return the message for a name that is not in the manifest."""
    for name in names:
        if name not in models:
            near = difflib.get_close_matches(name, models, 3, 0.5)
            return (
                f"no net {name!r} in the manifest"
                + (f"; near: {', '.join(near)}" if near else "")
                + "; see --list"
            )
    return None


def fail(text: str, code: int) -> int:
    print(f"get.py: {text}", file=sys.stderr)
    return code


def main() -> int:
    """Return 0 if all models are there, 1 if one is missing, 2 for wrong usage."""
    options = parse_arguments()
    try:
        models = read_manifest(options.manifest)
    except Failure as problem:
        return fail(str(problem), 1)
    if complaint := unknown(options.names, models):
        return fail(complaint, 2)
    if options.list:
        print_list(models)
    code = 0
    for name in options.names:
        try:
            options.output.mkdir(parents=True, exist_ok=True)
            for line in obtain(models[name], options):
                print(f"{name}: {line}", flush=True)
        except Failure as problem:
            code = fail(f"{name}: {problem}", 1)
        except OSError as problem:
            code = fail(
                f"{name}: {problem.filename or options.output}: {problem.strerror or problem}", 1
            )
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nget.py: stopped; the same command goes on from there", file=sys.stderr)
        sys.exit(130)
