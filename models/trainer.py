"""Train a CIFAR ResNet or plain network, epoch by epoch. train.py is the program."""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from export import Card, save_onnx
from images import Collection, Preprocess, load_collection
from nets import CifarNet, count_parameters
from recipe import SCHEDULES
from torch import Tensor

LOG_COLUMNS = (
    "epoch",
    "size",
    "learning_rate",
    "train_loss",
    "train_error",
    "test_error",
    "seconds",
)
CROP_PADDING = 4


@dataclass
class Trainer:
    """A network, its optimiser and everything else that a checkpoint must hold."""

    options: argparse.Namespace
    net: CifarNet
    train: Collection
    test: Collection
    preprocess: Preprocess
    device: torch.device
    rows: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        options = self.options
        self.net.to(self.device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.SGD(
            self.net.parameters(),
            lr=options.lr,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
            nesterov=options.momentum > 0,
        )
        self.generator = torch.Generator().manual_seed(options.seed)
        self.pixels = to_device(self.train.pixels, self.device)
        self.targets = torch.from_numpy(self.train.targets).to(self.device)
        self.test_pixels = to_device(self.test.pixels, self.device)
        self.test_targets = torch.from_numpy(self.test.targets).to(self.device)

    @property
    def settings(self) -> dict[str, str]:
        """Return what must be the same for a run to continue."""
        ignored = {"out", "threads", "licence", "trained_on", "train", "test", "epochs", "warm_up"}
        return {key: str(value) for key, value in vars(self.options).items() if key not in ignored}

    def normalise(self, pixels: Tensor) -> Tensor:
        """Turn (n,3,h,w) uint8 into the network's float input."""
        shape = (1, 3, 1, 1)
        mean = torch.tensor(self.preprocess.mean, device=self.device).view(shape)
        std = torch.tensor(self.preprocess.std, device=self.device).view(shape)
        return (pixels.float() / self.preprocess.scale - mean) / std

    def learning_rate(self, done_steps: int, total_steps: int) -> float:
        """Return the rate, a function of progress alone, so that a checkpoint holds no
        scheduler."""
        shape = SCHEDULES[self.options.schedule]
        return self.options.lr * shape((done_steps + 1) / (total_steps + 1), self.options.warm_up)

    def run_epoch(self, epoch: int) -> None:
        """Make one pass over the training images, then one over the test images."""
        started = time.monotonic()
        self.net.train()
        order = torch.randperm(len(self.targets), generator=self.generator)
        # A last batch of a few images would disturb the running statistics.
        batches = [batch for batch in order.split(self.options.batch) if len(batch) > 1]
        loss_sum = torch.zeros((), device=self.device)
        wrong = torch.zeros((), dtype=torch.long, device=self.device)
        for number, batch in enumerate(batches):
            rate = self.learning_rate(
                epoch * len(batches) + number, self.options.epochs * len(batches)
            )
            loss, batch_wrong = self.run_step(batch.to(self.device), rate, self.shrink(epoch))
            loss_sum += loss * len(batch)
            wrong += batch_wrong
            show_progress(epoch, number + 1, len(batches), started)
        seen = sum(len(batch) for batch in batches)
        size = self.options.size // self.shrink(epoch)
        values = (epoch + 1, size, rate, loss_sum.item() / seen, 100 * wrong.item() / seen)
        test_error = self.test_error(self.shrink(epoch))
        self.rows.append(dict(zip(LOG_COLUMNS, (*values, test_error, time.monotonic() - started))))

    def shrink(self, epoch: int) -> int:
        """Return the divisor of the images' sides: an epoch at half the side is a quarter
        of the work."""
        return 2 if epoch < self.options.half_size_epochs else 1

    def run_step(self, batch: Tensor, rate: float, shrink: int) -> tuple[Tensor, Tensor]:
        """Make one step of gradient descent; return the loss and the batch's mistakes."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        images = shrunk(augment(self.normalise(self.pixels[batch]), self.generator), shrink)
        targets = self.targets[batch]
        with torch.autocast(self.device.type, torch.bfloat16):
            logits = self.net(images.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), targets)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.detach(), (logits.argmax(1) != targets).sum()

    @torch.inference_mode()
    def test_error(self, shrink: int) -> float:
        """Return the top-1 error in percent on the test images, in 32-bit floats."""
        self.net.eval()
        wrong = 0
        for pixels, targets in zip(self.test_pixels.split(500), self.test_targets.split(500)):
            images = shrunk(self.normalise(pixels), shrink).contiguous(
                memory_format=torch.channels_last
            )
            wrong += int((self.net(images).argmax(1) != targets).sum())
        return 100 * wrong / len(self.test_targets)

    def save(self) -> None:
        """Write checkpoint and log so that an interruption leaves either the old or the
        new ones whole."""
        state = {
            "settings": self.settings,
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "rows": self.rows,
            "card": self.card().as_dict(),
        }
        replace_file(self.options.out / "checkpoint.pt", lambda path: torch.save(state, path))
        replace_file(self.options.out / "log.csv", lambda path: write_log(path, self.rows))

    def resume(self) -> None:
        """Continue from the checkpoint, if there is one."""
        path = self.options.out / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["settings"] != self.settings:
            raise SystemExit(
                f"{path}: made with other settings {state['settings']}; choose another --out"
            )
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.rows = state["rows"]
        print(f"going on after epoch {len(self.rows)}", flush=True)

    def card(self) -> Card:
        """Return what the exported file says about itself."""
        return Card(
            name=self.net.name,
            kind=self.net.kind,
            depth=self.net.depth,
            labels=self.train.labels,
            preprocess=str(self.preprocess),
            licence=self.options.licence,
            trained_on=self.options.trained_on or self.options.train.name,
        )

    def run(self) -> None:
        """Run the remaining epochs, then export."""
        for epoch in range(len(self.rows), self.options.epochs):
            self.run_epoch(epoch)
            self.save()
            print_row(self.rows, self.options.epochs)
        path = self.options.out / "model.onnx"
        replace_file(path, lambda temporary: save_onnx(self.net, self.card(), temporary))
        print(
            f"wrote {path}: top-1 error {self.rows[-1]['test_error']:.2f} % "
            f"on {self.options.test.name}"
        )


def to_device(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Turn (n,h,w,3) uint8 into a (n,3,h,w) tensor of the same bytes."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().to(device)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to 4 pixels and mirror every second one, at random."""
    n, channels, height, width = images.shape
    padded = F.pad(images, (CROP_PADDING,) * 4)
    shifts = torch.randint(2 * CROP_PADDING + 1, (2, n, 1), generator=generator)
    mirrored = torch.rand(n, 1, generator=generator) < 0.5
    rows = shifts[0] + torch.arange(height)
    columns = torch.arange(width).expand(n, -1)
    columns = shifts[1] + torch.where(mirrored, columns.flip(1), columns)
    # One gather over flattened pixels, because it is several times faster than slicing
    # one by one.
    index = rows[:, :, None] * padded.shape[3] + columns[:, None, :]
    index = index.view(n, 1, -1).expand(-1, channels, -1).to(images.device)
    return padded.flatten(2).gather(2, index).view(n, channels, height, width)


def shrunk(images: Tensor, factor: int) -> Tensor:
    """Return images of 1/factor of the side; each pixel is the mean of factor x
    factor."""
    return F.avg_pool2d(images, factor) if factor > 1 else images


def statistics(collection: Collection, size: int) -> Preprocess:
    """Return preprocessing with the collection's own mean and deviation of each
    channel."""
    # Through a histogram: exact, and without a copy of all pixels as floats.
    levels = np.arange(256) / 255
    mean, std = [], []
    for channel in range(3):
        counts = np.bincount(collection.pixels[..., channel].ravel(), minlength=256)
        average = np.average(levels, weights=counts)
        mean.append(round(float(average), 4))
        std.append(round(float(np.sqrt(np.average((levels - average) ** 2, weights=counts))), 4))
    return Preprocess(resize=size, crop=size, mean=tuple(mean), std=tuple(std))


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it over `path`."""
    temporary = path.with_name(path.name + ".tmp")
    write(temporary)
    os.replace(temporary, path)


def write_log(path: Path, rows: list[dict[str, float]]) -> None:
    """Write the log so far as CSV; errors in percent."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LOG_COLUMNS)
        for row in rows:
            epoch, size, rate, loss, train_error, test_error, seconds = (
                row[key] for key in LOG_COLUMNS
            )
            fields = (
                f"{rate:.6f}",
                f"{loss:.5f}",
                f"{train_error:.3f}",
                f"{test_error:.2f}",
                f"{seconds:.1f}",
            )
            writer.writerow((epoch, size, *fields))


def print_row(rows: list[dict[str, float]], epochs: int) -> None:
    """Print a line for the epoch just done, with the time left."""
    row = rows[-1]
    left = (epochs - row["epoch"]) * row["seconds"] / 60
    figures = f"loss {row['train_loss']:.4f}  train error {row['train_error']:.2f} %"
    figures += (
        f"  test error {row['test_error']:.2f} %  {row['seconds']:.0f} s, {left:.0f} min left"
    )
    print(f"epoch {row['epoch']:3}/{epochs}  {figures}", flush=True)


def show_progress(epoch: int, done: int, total: int, started: float) -> None:
    """Show the steps done, on a terminal only."""
    if sys.stderr.isatty():
        rate = done / (time.monotonic() - started)
        end = "\r" if done < total else "\r\033[K"
        print(
            f"epoch {epoch + 1}: step {done}/{total}, {rate:.1f} steps/s ", end=end, file=sys.stderr
        )


def load_data(options: argparse.Namespace) -> tuple[Collection, Collection]:
    """Load both collections, which must have the same classes."""
    train, test = (load_collection(path, options.size) for path in (options.train, options.test))
    if train.labels != test.labels:
        raise SystemExit(
            f"classes differ: {options.train} {train.labels}, {options.test} {test.labels}"
        )
    print(
        f"{len(train.targets)} training and {len(test.targets)} test images "
        f"of {len(train.labels)} classes"
    )
    return train, test


def train(options: argparse.Namespace) -> None:
    """Train, or continue training."""
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    options.out.mkdir(parents=True, exist_ok=True)
    images, test = load_data(options)
    net = CifarNet(options.kind, options.depth, len(images.labels))
    trainer = Trainer(options, net, images, test, statistics(images, options.size), device)
    print(
        f"{net.name}: {count_parameters(net)} parameters, {trainer.preprocess}, on {device}",
        flush=True,
    )
    trainer.resume()
    trainer.run()
