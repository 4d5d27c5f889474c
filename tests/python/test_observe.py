"""Model.observe: its numbers are the program's to the bit, and NumPy's; ablations;
anything that can be iterated over."""

from __future__ import annotations

import pickle
import queue
import sys
import threading

import labelled
import numpy as np
import pytest
from conftest import ROOT, resnet_json

import libresnet
from libresnet import _observe

pytestmark = pytest.mark.slow

# A tile's float sums are good to some 1e-6 of its spread (responses.h), and tiles of 256
# pixels are merged in double.
TOLERANCE = 2e-6
NETS = ("plain20", "resnet20")


def net(name):
    return ROOT / "models" / f"cifar10-{name}.onnx"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return labelled.make(tmp_path_factory.mktemp("lens") / "data")


@pytest.fixture(scope="module")
def files(data):
    return labelled.files(data)


@pytest.fixture(scope="module")
def documents(data):
    return {
        name: resnet_json("compare", net(name), "--data", data, "--lesions", 0)["models"][0]
        for name in NETS
    }


@pytest.fixture
def pixels(files):
    return np.stack([libresnet.read_image(file) for file in files])


def same_bits(a, b):
    return a.array.dtype == b.array.dtype and a.array.tobytes() == b.array.tobytes()


def still_running():
    return [thread for thread in threading.enumerate() if thread.name == "libresnet.observe"]


# ---- the numbers ----


@pytest.mark.parametrize(
    "options", [{"threads": 1}, {"threads": 2}, {"threads": 5, "batch": 3}, {}]
)
@pytest.mark.parametrize("name", NETS)
def test_numbers_are_the_programs(name, options, files, documents):
    responses = libresnet.Model(net(name)).observe(files, **options)
    expected = documents[name]["responses"]
    assert responses.images == len(files) == 70 and len(responses) == len(expected)
    renamed = {
        "values": "values",
        "mean": "mean",
        "std": "std",
        "min": "min",
        "max": "max",
        "negative": "negative",
    }
    renamed.update(
        op="op",
        name="name",
        tensor="tensor",
        point="point",
        channels="channels",
        dead_channels="dead",
    )
    for row, printed in zip(responses, expected):
        for theirs, ours in renamed.items():
            assert row[ours] == printed[theirs], (theirs, printed)
        assert row["layer"] == (printed["layer"] or 0) and row["block"] == (printed["block"] or "")
        assert [row[f"p{rank}"] for rank in (1, 25, 50, 75, 99)] == list(
            printed["percentiles"].values()
        )


def test_shapes_are_the_plans(model, files):
    responses = model.observe(files[0])
    for row in responses:
        op = model.plan[int(row["op"])]
        assert (row["height"], row["width"], row["channels"]) == (op.height, op.width, op.channels)
        assert row["kernel"] == op.kernel and row["values"] == op.height * op.width * op.channels


def test_numbers_are_numpys(model):
    x = np.random.default_rng(1).standard_normal((11, *model.input_shape), np.float32)
    received = {}

    def note(response):
        received.setdefault((response.op.index, response.point), []).append(response.data)

    with model.session(threads=1, batch=4) as session:
        session.observe(note)
        session.run(x, layout="NHWC")
    responses = model.observe(x, layout="NHWC", everything=True)
    assert [(row["op"], row["point"]) for row in responses] == list(received)
    for row, parts in zip(responses, received.values()):
        values = np.concatenate(parts).astype(np.float64)
        assert (
            row["values"] == values.size
            and row["min"] == values.min()
            and row["max"] == values.max()
        )
        assert row["mean"] == pytest.approx(values.mean(), abs=TOLERANCE * values.std())
        assert row["std"] == pytest.approx(values.std(), rel=TOLERANCE)
        assert row["negative"] == np.mean(values <= 0)
        assert row["dead"] == np.sum(values.reshape(-1, values.shape[-1]).max(0) <= 0)
        # else percentiles are of a sample
        if row["height"] * row["width"] * row["channels"] <= 1024:
            ranks = np.percentile(values, (1, 25, 50, 75, 99), method="inverted_cdf")
            for exact, rank in zip(ranks, (1, 25, 50, 75, 99)):
                assert abs(row[f"p{rank}"] - exact) <= abs(exact) / 64 + 1e-3


def test_everything_has_the_usual(model, files):
    usual, everything = model.observe(files), model.observe(files, everything=True)
    assert set(everything["point"]) == {"response", "shortcut", "output", "class map"}
    assert len(everything) > len(usual)
    rows = {(row["op"], row["point"]): row for row in everything}
    for row in usual:
        assert all(
            row[name] == rows[row["op"], row["point"]][name]
            for name in ("values", "std", "p50", "dead")
        )


# ---- what may be observed ----


class Lazy:
    """Knows its length, and nothing of lists."""

    def __init__(self, images):
        self._images = images

    def __len__(self):
        return len(self._images)

    def __iter__(self):
        return iter(self._images)


def test_any_kind_of_images(model, files, pixels):
    expected = model.observe(files)
    assert same_bits(expected, model.observe([str(file) for file in files]))
    assert same_bits(expected, model.observe(pixels))
    assert same_bits(expected, model.observe(tuple(pixels)))
    assert same_bits(expected, model.observe([file.read_bytes() for file in files]))
    assert same_bits(expected, model.observe(Lazy(pixels)))
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    assert same_bits(expected, model.observe(bgr, pixels="BGR"))


def test_generators_differ_by_rounding_only(model, files):
    """Their number is not known, and with it how they are cut into chunks."""
    listed, generated = model.observe(files), model.observe(file for file in files)
    assert generated.images == len(files)
    for name in ("mean", "std"):
        np.testing.assert_allclose(generated[name], listed[name], rtol=1e-12, atol=1e-12)
    for name in ("values", "min", "max", "p1", "p50", "p99", "negative", "dead"):
        assert (generated[name] == listed[name]).all()


def test_little_is_held_at_once(model, pixels, monkeypatch):
    """Pixels that come one by one are run before there are too many, with the same
    numbers."""
    expected = model.observe(pixels)
    monkeypatch.setattr(_observe, "_HELD_BYTES", 3 * pixels[0].nbytes)
    assert max(len(sub_batch.images) for sub_batch in _observe._sub_batches(iter(pixels), 8)) == 3
    assert same_bits(expected, model.observe(Lazy(pixels), threads=2))
    assert same_bits(expected, model.observe(Lazy(pixels), threads=1))


def test_sub_batches_mark_their_chunks():
    for count in (0, 1, 7, 8, 9, 16, 70):
        cut = list(_observe._sub_batches([b""] * count, 8))
        assert sum(len(sub_batch.images) for sub_batch in cut) == count
        assert [sub_batch.start for sub_batch in cut if sub_batch.first] == list(range(0, count, 8))
        assert sum(sub_batch.last for sub_batch in cut) == -(-count // 8)


def test_one_image_and_none(model, files):
    one, none = model.observe(files[0]), model.observe([])
    assert one.images == 1 and same_bits(one, model.observe([files[0]]))
    assert none.images == 0 and len(none) == len(one)
    assert np.isnan(none["std"]).all() and (none["values"] == 0).all()


def test_an_iterable_that_fails(model, files):
    def failing():
        yield from files
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        model.observe(failing(), threads=2)
    assert not still_running()


def test_ctrl_c_while_threads_start(model, files, monkeypatch):
    """What starting takes is mostly waiting for the thread."""
    start = threading.Thread.start

    def interrupted(thread):
        start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(_observe._Worker, "start", interrupted)
        model.observe(files, threads=2)
    assert not still_running()
    assert model.observe(files, threads=2).images == len(files)


def test_ctrl_c_when_all_is_handed_out(model, files, monkeypatch):
    """While the caller waits until it can tell the workers that there is no more."""
    put, ended = queue.Queue.put, []

    def interrupted(self, item, **options):
        if item is None and not ended:
            ended.append(self)
            raise KeyboardInterrupt
        put(self, item, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(queue.Queue, "put", interrupted)
        model.observe((file for file in files), threads=2)
    assert ended and not still_running()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_broken_image(model, files, tmp_path, threads):
    broken = tmp_path / "broken.png"
    broken.write_bytes(files[0].read_bytes()[:-20])
    with pytest.raises(libresnet.ImageError, match="truncated") as raised:
        model.observe([*files[:30], broken, *files[30:]], threads=threads)
    assert raised.value.path == str(broken)
    assert not still_running()


def test_refusals(model):
    for bad in (7, np.zeros((4, 4), np.int64), ["a", 5], np.float32(1)):
        with pytest.raises((libresnet.ArgumentError, libresnet.ImageError)):
            model.observe(bad)
    for options in ({"threads": 257}, {"threads": -1}, {"batch": -1}):
        with pytest.raises(libresnet.ArgumentError):
            model.observe([], **options)
    model.close()
    with pytest.raises(libresnet.ArgumentError, match="closed"):
        model.observe([])


# ---- ablations ----


def test_ablations_are_observed(model, files):
    whole = model.observe(files)
    with model.skip("stage1.block2"):
        one = model.observe(files)
        with model.skip("stage2.block3"):
            both = model.observe(files)
        assert same_bits(one, model.observe(files))
    assert same_bits(whole, model.observe(files))
    rows = {(row["name"], row["point"]): row for row in whole}
    left_out = {op.name for op in model.plan if op.block == 1 and op.layer}
    assert left_out.isdisjoint(one["name"][one["point"] == "response"])
    assert len(both) < len(one) < len(whole)
    first, last = one[0], one[one["layer"] == 20][0]
    assert first["std"] == rows[first["name"], "response"]["std"]
    assert last["std"] != rows[last["name"], "response"]["std"]


def test_ablations_end_with_an_exception(model, files):
    whole = model.observe(files)
    with pytest.raises(ZeroDivisionError), model.skip(0), model.skip(1, "shortcut"):
        raise ZeroDivisionError
    assert same_bits(whole, model.observe(files))


def test_ablations_are_the_programs(data, files):
    """Accuracy without each block, as resnet compare has it."""
    printed = resnet_json("compare", net("resnet20"), "--data", data, "--lesions", len(files))[
        "models"
    ][0]
    truth = [file.parent.name for file in files]
    with libresnet.Model(net("resnet20")) as model:
        for block in printed["blocks"]:
            if not block["can_skip"]:
                continue
            with model.skip(block["name"]):
                right = sum(
                    best[0].label == name for best, name in zip(model.classify(files, k=1), truth)
                )
            assert right / len(files) == block["skipped_top1"]


# ---- what is made of it ----


def test_layers(model, files):
    layers = model.observe(files[0]).layers
    assert list(layers["layer"]) == list(range(1, 21)) and set(layers["point"]) == {"response"}


def test_looks(model, files):
    responses = model.observe(files[:3])
    assert "40 responses over 3 images" in repr(responses)
    html = responses._repr_html_()
    assert html.startswith("<table>") and html.count("<tr>") == 1 + len(responses)
    assert same_bits(responses, pickle.loads(pickle.dumps(responses)))
    assert np.asarray(responses)["std"].dtype == np.float64 and responses[0]["layer"] == 1


def test_pandas(model, files):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    responses = model.observe(files[:3])
    table = responses.to_pandas()
    assert isinstance(table, pandas.DataFrame) and list(table.columns) == list(
        responses.array.dtype.names
    )
    assert (
        table["std"].tolist() == responses["std"].tolist()
        and table["name"].tolist() == responses["name"].tolist()
    )


def test_plot(model, files, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    responses = model.observe(files[:3])
    figure = responses.plot()
    in_order, sorted_down = figure.axes
    stds = responses.layers["std"].tolist()[:-1]  # without the fully connected layer
    assert len(stds) == 19
    assert list(in_order.lines[0].get_ydata()) == stds
    assert list(sorted_down.lines[0].get_ydata()) == sorted(stds, reverse=True)
    figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("library, method", [("pandas", "to_pandas"), ("matplotlib", "plot")])
def test_without_what_it_needs(model, monkeypatch, library, method):
    responses = model.observe([])
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=f"pip install {library}"):
        getattr(responses, method)()
