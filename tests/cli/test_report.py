"""The report of resnet compare, from made-up numbers (tests/unit/report): the page in a
browser, the files, and their places."""

from __future__ import annotations

import csv
import json
import re
import resource
import shutil
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import BUILD, ROOT, resnet, run

pytestmark = pytest.mark.slow

DUMP = BUILD / "tests" / "report_dump"
ALL = "prPR"  # plain20, resnet20, plain56, resnet56
SIZES = {"desktop": (1280, 900), "phone": (390, 844), "small": (360, 640)}
MOST_BYTES = 2_000_000
SVG = "{http://www.w3.org/2000/svg}"
# Plots of the page with all four models; the numbers are those of models.
PLOTS = [
    "cost",
    "layers-in-order",
    "layers-sorted",
    "ratios",
    "lesions",
    "removals-plot",
    "shortcut-times-1",
    "shortcut-times-3",
    "shortcut-bytes-1",
    "shortcut-bytes-3",
    "confusion-0",
    "confusion-1",
    "confusion-2",
    "confusion-3",
    "reliability",
]
ROWS = {
    "nets": 4,
    "blocks": 9 + 9 + 27 + 27,
    "removals": 5 + 5 + 10 + 10,
    "shortcuts": 9 + 27,
    "confusions": 3 * 15 + 14,
    "calibration": 4 * 15,
    "pairs": 6,
    "layers": 20 + 20 + 56 + 56,
    "models": 4,
}


def dump(
    options: str, page="-", tables="-", *images, code: int = 0, **more
) -> subprocess.CompletedProcess:
    """Write the report of a fixture: see report_dump.c."""
    result = run(DUMP, options, page, tables, *images, **more)
    assert result.returncode == code, result.stderr
    return result


@pytest.fixture(scope="module", autouse=True)
def program() -> None:
    """Skip if the program is missing."""
    if not DUMP.exists():
        pytest.skip(f"{DUMP} is not there: tools/build makes it")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Return ten class folders of 20 images: most of 32 x 32 pixels, some larger than a
    thumbnail, and one file that is no image."""
    np = pytest.importorskip("numpy", reason="NumPy is not installed")
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(200):
        folder = root / f"class{number // 20:02}"
        folder.mkdir(exist_ok=True)
        size = (300, 90) if number % 5 == 0 else (32, 32)
        pixels = rng.integers(0, 256, (*size[::-1], 3), np.uint8)
        image.fromarray(pixels).save(folder / f"{number:04}.png")
    (root / "class00" / "0001.png").write_bytes(b"no image")
    return root


@pytest.fixture(scope="module")
def pages(tmp_path_factory, photos) -> dict[str, Path]:
    """Return pages by what is in them."""
    root = tmp_path_factory.mktemp("pages")
    made = {
        "all": (ALL, photos),
        "hostile": (ALL + "!",),
        "one": ("R0",),
        "plain": ("pP",),
        "many": (ALL + "#",),
    }
    for name, (options, *images) in made.items():
        dump(options, root / f"{name}.html", "-", *images)
    return {name: root / f"{name}.html" for name in made}


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    """Return files of a comparison with hostile names."""
    folder = tmp_path_factory.mktemp("tables") / "made"
    dump(ALL + "!", "-", folder)
    return folder


# ---- the page as text


class Outline(HTMLParser):
    """Headings, references, ids and images of a page; checks how elements nest."""

    VOID = {"meta", "img", "br", "link", "input"}

    def __init__(self):
        super().__init__()
        self.open, self.headings, self.references, self.ids, self.scripts, self.images = (
            [],
            [],
            [],
            [],
            [],
            [],
        )
        self.unlabelled, self.text = [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.references += [
            value for name, value in attrs if name in ("src", "href", "data", "action", "poster")
        ]
        self.ids += [given["id"]] if "id" in given else []
        self.scripts += [tag] if tag == "script" else []
        self.images += [given] if tag == "img" else []
        if tag == "svg" and not (given.get("role") == "img" and given.get("aria-labelledby")):
            self.unlabelled.append(given)
        assert not any(name.startswith("on") for name in given), given

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("name", ["all", "hostile", "one", "plain", "many"])
def test_page_is_well_formed_and_self_contained(pages, name):
    text = pages[name].read_text("utf-8")
    assert len(text.encode()) < MOST_BYTES
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(outline.headings, outline.headings[1:]))
    assert all(
        reference.startswith(("#", "data:image/png;base64,")) for reference in outline.references
    )
    assert len(set(outline.ids)) == len(outline.ids)
    assert {reference[1:] for reference in outline.references if reference[0] == "#"} <= set(
        outline.ids
    )
    assert len(outline.scripts) == 1 and not outline.unlabelled
    assert all(image.get("alt") for image in outline.images)
    assert text.count("<table") == text.count("<caption")
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)


def test_hostile_names_are_text(pages):
    text = pages["hostile"].read_text("utf-8")
    assert "<script>alert" not in text and "\u202e" not in text and "\x01" not in text
    assert (
        "resnet56&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;"
        "&quot;&#39;&amp;\ufffd\ufffd=1+1,\ufffd" in text
    )


def test_images_are_shown_small_and_counted(pages, photos):
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    import base64
    import io

    text = pages["all"].read_text("utf-8")
    found = [
        pillow.open(io.BytesIO(base64.b64decode(data)))
        for data in re.findall(r'base64,([^"]+)"', text)
    ]
    assert {image.size for image in found} == {(32, 32), (64, 19)}
    assert re.search(r"12 of \d+ images; --tables lists all of them", text)
    small = re.search(
        r'<img alt="Image (\d+)" width="32" height="32" src="data:image/png;base64,([^"]+)"', text
    )
    original = pillow.open(sorted(photos.glob("*/*"))[int(small[1]) - 1])
    assert (
        pillow.open(io.BytesIO(base64.b64decode(small[2]))).tobytes()
        == original.convert("RGB").tobytes()
    )


def test_images_are_of_all_classes_and_the_surest_come_first(tmp_path, photos):
    """Folders are in order: the first twelve images would be of one class or two."""
    dump(ALL, tmp_path / "page.html", tmp_path / "tables", photos)
    with open(tmp_path / "tables" / "differences.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    text = (tmp_path / "page.html").read_text("utf-8")
    lists = re.findall(r"<h4>Only (\w+) is right</h4>(.*?)</ul>", text, re.DOTALL)
    order = [("plain20", "resnet20"), ("plain20", "plain56"), ("plain20", "resnet56")]
    order += [("resnet20", "plain56"), ("resnet20", "resnet56"), ("plain56", "resnet56")]
    pairs = [turned for a, b in order for turned in ((a, b), (b, a))]
    assert [title for title, _ in lists] == [right for right, _ in pairs]
    for (right, wrong), (_, images) in zip(pairs, lists):
        own = [row for row in rows if (row["right_net"], row["wrong_net"]) == (right, wrong)]
        classes = re.findall(r"<b>(class\d\d)</b>", images)
        assert set(classes) == {row["truth"] for row in own} and len(classes) == min(12, len(own))
        sure = [int(number) for number in re.findall(r"&#10003; (\d+)&nbsp;%", images)]
        assert sure == sorted(sure, reverse=True) and len(sure) == len(classes)
        surest = max(float(row["right_confidence"]) for row in own)
        assert sure[0] == pytest.approx(100 * surest, abs=0.51)


def test_papers_time_and_machine_are_named(pages):
    text = " ".join(re.sub("<[^>]*>", "", pages["all"].read_text("utf-8")).split())
    for said in (
        "K. He, X. Zhang, S. Ren, J. Sun (2016): “Deep Residual Learning for Image Recognition”",
        "A. Veit, M. Wilber, S. Belongie (2016): “Residual Networks Behave Like Ensembles of "
        "Relatively Shallow Networks”",
        "1970-01-01T00:00:00Z · 45.6&nbsp;s",
        "45.6 s for the whole command; 12.3 s of it for the evaluation of all images",
        "Machine",
    ):
        assert said in text, said


def test_points_stay_at_their_place(tmp_path):
    """Models of the same depth have the same cost: their points are above each other."""
    dump(ALL, "-", tmp_path / "made")
    root = ElementTree.parse(tmp_path / "made" / "cost.svg").getroot()
    places = {}
    for group in root.iter(f"{SVG}g"):
        for path in group.findall(f"{SVG}path"):
            if path.findtext(f"{SVG}title"):
                x = re.match(r"translate\((\S+) ", path.get("transform"))[1]
                places[path.findtext(f"{SVG}title").split(",")[0]] = x
    assert len(places) == 4
    assert places["plain20"] == places["resnet20"] != places["plain56"] == places["resnet56"]


def test_two_runs_write_the_same(tmp_path, photos):
    for name in ("a", "b"):
        dump(ALL, tmp_path / f"{name}.html", tmp_path / name, photos)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_pages_of_many_nets_stay_small(tmp_path, photos):
    dump("RRRRRRRRPPPPppp", tmp_path / "page.html", "-", photos)
    assert 1_000_000 < (tmp_path / "page.html").stat().st_size < MOST_BYTES - 300_000
    text = (tmp_path / "page.html").read_text()
    for said in (
        "Plots are shown for the first 8 of 15 models",
        "Images are shown for the first 10 of 105 pairs",
        "The first 600 of 732 rows",
    ):
        assert said in text


MEASURED = re.compile(r'<(td|p|figure|dt|dd) class="(?:[^"]* )?measured"[^>]*>.*?</\1>', re.DOTALL)


def test_two_comparisons_differ_in_what_is_measured_alone(tmp_path, images):
    written = []
    for _ in range(2):
        result = resnet(
            "compare",
            ROOT / "models" / "cifar10-resnet20.onnx",
            "--data",
            images,
            "--report",
            tmp_path / "page.html",
            "--tables",
            tmp_path / "tables",
            "--quiet",
        )
        assert result.returncode == 0, result.stderr
        files = {file.name: file.read_bytes() for file in (tmp_path / "tables").iterdir()}
        page = MEASURED.sub("", (tmp_path / "page.html").read_text())
        written.append(
            (
                page,
                {
                    name: text
                    for name, text in files.items()
                    if not name.startswith(("measured-", "comparison"))
                },
            )
        )
    assert written[0] == written[1]
    assert f"--data {images} --report {tmp_path}/page.html" in written[0][0]
    assert len(json.loads((tmp_path / "tables" / "comparison.json").read_text())["models"]) == 1


# ---- files


def test_csv_files_are_whole_tables_without_formulas(tables):
    files = sorted(tables.glob("*.csv"))
    assert [file.stem for file in files] == sorted(
        [
            "nets",
            "measured-nets",
            "layers",
            "blocks",
            "removals",
            "shortcuts",
            "measured-shortcuts",
            "confusion",
            "calibration",
            "pairs",
            "differences",
        ]
    )
    for file in files:
        with open(file, newline="", encoding="utf-8", errors="surrogateescape") as stream:
            rows = list(csv.reader(stream))
        assert len(rows) > 1 and len({len(row) for row in rows}) == 1, file
        assert len(set(rows[0])) == len(rows[0])
        for cell in (cell for row in rows for cell in row):
            assert not cell or cell[0] not in "=+@\t\r" and (cell[0] != "-" or float(cell) < 0), (
                file,
                cell,
            )
    with open(
        tables / "layers.csv", newline="", encoding="utf-8", errors="surrogateescape"
    ) as stream:
        assert len(list(csv.DictReader(stream))) == ROWS["layers"]
    json.loads((tables / "comparison.json").read_text())


def test_svg_files_stand_alone(tables):
    files = sorted(tables.glob("*.svg"))
    names = {
        re.sub(
            r"-(\d+)$", lambda found: f"-{int(found[1]) - 1}", file.stem.removeprefix("measured-")
        )
        for file in files
    }
    assert names == set(PLOTS)
    for file in files:
        root = ElementTree.parse(file).getroot()
        assert root.tag == f"{SVG}svg" and root.get("role") == "img"
        assert "prefers-color-scheme: dark" in root.findtext(f"{SVG}style")
        assert root.findtext(f"{SVG}title") and root.findtext(f"{SVG}desc")
        assert not root.findall(f".//{SVG}script")


def test_ablations_are_drawn_over_the_error_of_the_whole_net(tmp_path):
    dump(ALL, "-", tmp_path / "made")
    root = ElementTree.parse(tmp_path / "made" / "lesions.svg").getroot()
    ticks = [
        (float(t.get("y")) - 4.5, float(t.text))
        for t in root.iter(f"{SVG}text")
        if t.get("class") == "tick end"
    ]
    (low, zero), (high, hundred) = ticks[0], ticks[-1]
    assert (zero, hundred) == (0, 100)
    found = {}
    for line in (
        path
        for path in root.iter(f"{SVG}path")
        if path.get("class").startswith("level") and len(path)
    ):
        name, error = re.fullmatch("(.+), whole model: (.+)", line.findtext(f"{SVG}title")).groups()
        y = float(re.fullmatch(r"M\S+ (\S+)H\S+", line.get("d"))[1])
        assert 100 * (low - y) / (low - high) == pytest.approx(float(error), abs=0.05)
        found[name] = float(error), "dashed" in line.get("class")
    assert found == {
        "plain20": (20, True),
        "resnet20": (18, False),
        "plain56": (32, True),
        "resnet56": (10, False),
    }


def test_nothing_is_left_of_a_page_that_cannot_be_written(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("old")

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    result = dump(ALL, page, code=1, preexec_fn=small_disk)
    assert result.stderr.decode() == f"resnet: {page}: cannot be written: File too large\n"
    assert page.read_text() == "old" and list(tmp_path.iterdir()) == [page]


def test_places_that_cannot_be_written_are_named(tmp_path):
    for options, message in [
        ((tmp_path, "-"), f"{tmp_path}: exists and is not a regular file; name a file to write"),
        (
            (tmp_path / "no" / "page.html", "-"),
            f"{tmp_path}/no/page.html: cannot be created: No such file or directory",
        ),
        (
            ("-", tmp_path / "no" / "tables"),
            f"{tmp_path}/no/tables: cannot be created: No such file or directory",
        ),
    ]:
        assert dump("R", *options, code=1).stderr.decode() == f"resnet: {message}\n"
    assert list(tmp_path.iterdir()) == []


def test_killed_at_any_time_the_old_page_or_the_new_one_is_there(tmp_path):
    page, whole = tmp_path / "page.html", tmp_path / "whole.html"
    start = time.monotonic()
    dump(ALL, whole)
    lasts = time.monotonic() - start
    for attempt in range(24):
        page.write_text("old")
        process = subprocess.Popen([DUMP, ALL, page, "-"])
        time.sleep(lasts * 1.2 * attempt / 24)
        process.kill()
        process.wait()
        assert page.read_bytes() in (b"old", whole.read_bytes())


# ---- in a browser


@pytest.fixture(scope="module")
def browser():
    """Return headless Chromium, which logs its requests and its console."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-dev-shm-usage",
        "disable-background-networking",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    yield found
    found.quit()


def show(browser, page: Path, size: tuple[int, int], scheme: str = "light") -> None:
    """Open the page at that size. Fail on any message in the console and on any request
    but that for the page."""
    browser.get_log("performance")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 500},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    browser.get(page.as_uri())
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert {url for url in asked if not url.startswith("data:")} <= {page.as_uri()}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["all", "hostile", "one", "plain", "many"])
def test_nothing_overflows(browser, pages, name, size):
    show(browser, pages[name], SIZES[size])
    assert browser.execute_script(
        "return [document.documentElement.scrollWidth <= innerWidth, innerWidth]"
    ) == [True, SIZES[size][0]]
    # Only boxes that scroll may hold what is wider than they are.
    wide = browser.execute_script("""
      return [...document.querySelectorAll("body *")].filter((e) => !e.closest(".wide, svg")
        && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline")
        .map((e) => e.outerHTML.slice(0, 200))""")
    assert wide == []


TEXT_OUTSIDE = """
  const outside = [];
  for (const svg of [...document.querySelectorAll("svg")].filter((s) => s.clientWidth)) {
    const box = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll("text")) {
      const t = text.getBoundingClientRect();
      const content = text.textContent;
      if (t.width === 0 && content.trim()) outside.push([svg.id, content, "empty"]);
      if (t.left < box.left - 1 || t.right > box.right + 1
          || t.top < box.top - 1 || t.bottom > box.bottom + 1)
        outside.push([svg.id, content, t.left - box.left, t.right - box.right, t.top - box.top]);
    }
  }
  return outside;"""

TEXT_OVERLAPPING = """
  const found = [];
  for (const svg of [...document.querySelectorAll("svg")].filter((s) => s.clientWidth)) {
    const boxes = [...svg.querySelectorAll("text")]
      .filter((t) => !/-(45|90)/.test(t.getAttribute("transform") || ""))
      .map((t) => [t.textContent, t.getBoundingClientRect()]);
    for (let i = 0; i < boxes.length; i++)
      for (let j = i + 1; j < boxes.length; j++) {
        const a = boxes[i][1], b = boxes[j][1];
        if (a.left < b.right - 1 && b.left < a.right - 1
            && a.top < b.bottom - 3 && b.top < a.bottom - 3)
          found.push([svg.id, boxes[i][0], boxes[j][0]]);
      }
  }
  return found;"""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["all", "hostile", "one", "plain"])
def test_text_of_plots_is_within_them_and_apart(browser, pages, name, size):
    show(browser, pages[name], SIZES[size])
    assert browser.execute_script(TEXT_OUTSIDE) == []
    assert browser.execute_script(TEXT_OVERLAPPING) == []


@pytest.mark.parametrize("size", SIZES)
def test_plots_and_tables_are_there(browser, pages, size):
    show(browser, pages["all"], SIZES[size])
    boxes = browser.execute_script("""
      const marks = ".line, .bar, .cell, .filled, .hollow";
      const shown = [...document.querySelectorAll("svg")].filter((s) => s.clientWidth);
      return Object.fromEntries(shown.map((s) => [
        s.id, [s.getBoundingClientRect().width, s.getBoundingClientRect().height,
               s.querySelectorAll(marks).length]]))""")
    narrow = "" if size == "desktop" else "-narrow"
    assert set(boxes) == {f"{plot}{narrow}" for plot in PLOTS}
    assert all(
        width > 300 and height > 200 and marks > 3 for width, height, marks in boxes.values()
    ), boxes
    rows = browser.execute_script("""
      return Object.fromEntries([...document.querySelectorAll("table")].map(
        (t) => [t.id, t.tBodies[0].rows.length]))""")
    assert rows == ROWS


@pytest.mark.parametrize("size", SIZES)
def test_plots_fit_the_screen_and_are_legible(browser, pages, size):
    """No plot has to be scrolled, and no letter is smaller than 11 pixels."""
    show(browser, pages["all"], SIZES[size])
    found = browser.execute_script("""
      const shown = [...document.querySelectorAll("svg")].filter((s) => s.clientWidth);
      return shown.map((s) => {
        const scale = s.getBoundingClientRect().width / s.viewBox.baseVal.width;
        const letters = [...s.querySelectorAll("text")].map(
          (t) => parseFloat(getComputedStyle(t).fontSize) * scale);
        const frame = s.closest(".wide");
        return [s.id, frame.scrollWidth - frame.clientWidth, Math.min(...letters)];
      })""")
    assert len(found) == len(PLOTS)
    assert [plot for plot in found if plot[1] > 1 or plot[2] < 11] == []


def test_one_net_draws_what_it_can(browser, pages):
    show(browser, pages["one"], SIZES["desktop"])
    found = browser.execute_script(
        'return [...document.querySelectorAll("svg.broad")].map((s) => s.id)'
    )
    assert found == ["ratios", "confusion-0", "reliability"]
    text = browser.execute_script("return document.body.innerText")
    for sentence in (
        "There is no other model to compare it with",
        "Layer responses were not observed",
        "No blocks were left out",
        "There is only one model, so there is no pair to compare",
    ):
        assert sentence in text


def test_a_thousand_classes_are_listed_not_drawn(browser, pages):
    show(browser, pages["many"], SIZES["desktop"])
    assert (
        browser.execute_script('return document.querySelectorAll("svg[id^=confusion]").length') == 0
    )
    assert (
        browser.execute_script(
            'return document.getElementById("confusions").tBodies[0].rows.length'
        )
        == 60
    )


def column(browser, table: str, index: int) -> list[str]:
    """Return the cells of a column, as a user reads them."""
    return browser.execute_script(
        """
      return [...document.getElementById(arguments[0]).tBodies[0].rows].map(
        (r) => r.cells[arguments[1]].textContent)""",
        table,
        index,
    )


def test_tables_sort_by_click_and_by_key(browser, pages):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(browser, pages["all"], SIZES["desktop"])
    headings = browser.find_elements(By.CSS_SELECTOR, "#blocks th[scope=col]")
    names = [heading.text.split("\xa0")[0] for heading in headings]
    ratio = names.index("Ratio")
    button = headings[ratio].find_element(By.TAG_NAME, "button")
    browser.execute_script("arguments[0].click()", button)
    assert headings[ratio].get_attribute("aria-sort") == "ascending"
    numbers = [float(text) for text in column(browser, "blocks", ratio) if text != "–"]
    assert numbers == sorted(numbers) and len(numbers) == 36
    assert column(browser, "blocks", ratio)[-36:] == ["–"] * 36  # plain models have none
    button.send_keys(Keys.ENTER)
    assert headings[ratio].get_attribute("aria-sort") == "descending"
    assert [float(text) for text in column(browser, "blocks", ratio)[:36]] == numbers[::-1]
    assert column(browser, "blocks", ratio)[-36:] == ["–"] * 36
    headings[0].find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert (
        headings[0].get_attribute("aria-sort") == "ascending"
        and headings[ratio].get_attribute("aria-sort") is None
    )
    assert (
        column(browser, "blocks", 0)
        == ["plain20"] * 9 + ["plain56"] * 27 + ["resnet20"] * 9 + ["resnet56"] * 27
    )


def luminance(colour: str) -> float:
    """Return the relative luminance (WCAG 2.2) of "rgb(r, g, b)"."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_stand_out(browser, pages, scheme):
    show(browser, pages["all"], SIZES["desktop"], scheme)
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (luminance(paper) < 0.1) == (scheme == "dark")
    for selector, least in [
        ("body", 7),
        (".note", 4.5),
        (".plot .tick", 4.5),
        (".plot .colour-0", 3),
        (".plot .colour-1", 3),
    ]:
        colour = browser.execute_script(
            """
          const style = getComputedStyle(document.querySelector(arguments[0]));
          return arguments[0].includes("tick") ? style.fill : style.color""",
            selector,
        )
        assert contrast(colour, paper) >= least, (selector, colour, paper)


def test_without_its_script_the_page_says_the_same(browser, pages):
    show(browser, pages["all"], SIZES["desktop"])
    read = "return document.querySelector('main').innerText.replace(/\\s+/g, ' ')"
    with_script = browser.execute_script(read)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(pages["all"].as_uri())
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert browser.execute_script("return document.querySelectorAll('th button').length") == 0
    assert browser.execute_script(read) == with_script


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_svg_files_are_drawn(browser, tables, scheme):
    for file in sorted(tables.glob("*.svg")):
        show(browser, file, SIZES["desktop"], scheme)
        assert browser.execute_script(TEXT_OUTSIDE) == [], file
        paper = browser.execute_script(
            "return getComputedStyle(document.querySelector('.paper')).fill"
        )
        assert (luminance(paper) < 0.1) == (scheme == "dark")
