#!/usr/bin/env python3
"""Train a CIFAR ResNet or plain network on labelled images and export it as ONNX.

The whole state is saved after every epoch; the same command continues from there. A
continued run may be given another number of epochs: from there on it follows the new
schedule, and the log has the learning rates that were really used.

--half-size-epochs is for CPUs. An epoch on images of half the side is a quarter of the
work. A network that ends in a mean over all pixels takes either size, and most of what it
learns carries over. The last epochs must have the full size; the column `size` of the log
says which had it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from arguments import collection, folder, integer, number
from recipe import KINDS, SCHEDULES

EXAMPLE = """example:
  python models/train.py --train cifar10-jpeg-train.zip --test cifar10-jpeg-test.zip \\
      --kind residual --depth 20 --epochs 48 --out runs/resnet20
writes runs/resnet20/{checkpoint.pt,log.csv,model.onnx}; stop it with Ctrl-C and
run the same command to go on."""

SHRINKING = 4  # the stages halve the images twice


def depth(text: str) -> int:
    """Return a depth that the architecture has."""
    value = integer(8)(text)
    if value % 6 != 2:
        below = value - (value - 2) % 6
        raise argparse.ArgumentTypeError(
            f"{value} is not 6n+2; the next depths are {max(8, below)} and {below + 6}, and the "
            "paper's are 20, 32, 44, 56, 110"
        )
    return value


def add_recipe(add: Callable) -> None:
    """Add the options of the network and of its training."""
    add(
        "--kind",
        choices=KINDS,
        default="residual",
        help="with or without shortcuts (default: residual)",
    )
    add("--depth", type=depth, default=20, help="6n+2: 20, 32, 44, 56, 110 (default: 20)")
    add("--size", type=integer(SHRINKING), default=32, help="side of the images (default: 32)")
    add("--epochs", type=integer(1), default=48, help="passes over the images (default: 48)")
    add(
        "--half-size-epochs",
        type=integer(0),
        default=0,
        help="first epochs, on images of half the side (default: 0)",
    )
    add("--batch", type=integer(2), default=128, help="images in a step (default: 128)")
    add(
        "--schedule",
        choices=sorted(SCHEDULES),
        default="onecycle",
        help="of the rate (default: onecycle)",
    )
    add(
        "--warm-up",
        type=number(0, 1, open_ends=True),
        default=0.15,
        help="share of onecycle that rises (default: 0.15)",
    )
    add(
        "--lr",
        type=number(0, 1000),
        default=0.2,
        help="highest learning rate (default: 0.2; the paper: 0.1, step)",
    )
    add("--momentum", type=number(0, 1), default=0.9, help="of SGD, Nesterov's (default: 0.9)")
    add("--weight-decay", type=number(0, 1), default=5e-4, help="default: 5e-4; the paper: 1e-4")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all options."""
    parser = argparse.ArgumentParser(
        prog="train.py",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--train", type=collection, required=True, help="folder or .zip of <class>/<image>")
    add("--test", type=collection, required=True, help="the same, to measure on")
    add("--out", type=folder, required=True, help="folder for checkpoint, log and model")
    add_recipe(add)
    add("--seed", type=integer(0), default=1, help="of all that is random (default: 1)")
    add("--threads", type=integer(0), default=0, help="CPU threads (default: one for each core)")
    add("--licence", default="MIT", help="of the trained model, stored in it (default: MIT)")
    add(
        "--trained-on",
        help="what the images are, stored in the model (default: the name of --train)",
    )
    return parser


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options, or name the wrong one and exit with 2."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.half_size_epochs >= options.epochs:
        parser.error(
            f"--half-size-epochs is {options.half_size_epochs}, --epochs {options.epochs}: the "
            "last epochs must have the full size"
        )
    if options.half_size_epochs and options.size < 2 * SHRINKING:
        parser.error(f"--half-size-epochs needs a --size of at least {2 * SHRINKING}")
    return options


def main() -> int:
    """Return 0 for success, 1 if training failed, 2 for wrong usage, 130 for Ctrl-C."""
    options = parse_arguments()
    try:
        # Not before the options are known to be right: PyTorch takes seconds to load.
        from trainer import train

        train(options)
    except ModuleNotFoundError as problem:
        print(
            f"train.py: {problem.name} is missing: pip install -r models/requirements.txt",
            file=sys.stderr,
        )
        return 1
    except OSError as problem:
        place = problem.filename or options.out
        print(f"train.py: {place}: {problem.strerror or problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on after the last whole epoch", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
