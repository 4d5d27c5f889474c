"""Open and run a model in one of the other runtimes, on request, as bench_model.c does
for ours.

    python tests/bench/peer_worker.py RUNTIME MODEL THREADS BATCH INPUT

RUNTIME is onnxruntime, openvino, openvino-default or ncnn. common.py describes requests
and answers. Each runtime is set up for the best float32 latency, as its users would. Its
input is bound beforehand and its output is not copied. A call from Python then costs 15
to 30 us, measured with a model of 15,000 multiplications; the smallest model that
peers.py measures by default takes a third of a millisecond.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path

import numpy as np


def size_of(folder: Path, *patterns: str) -> int:
    return sum(path.stat().st_size for pattern in patterns for path in folder.glob(pattern))


class OnnxRuntime:
    package = "onnxruntime"
    precision = "fp32"

    def __init__(self) -> None:
        import onnxruntime

        self.library = onnxruntime

    def open(self, path: str, threads: int, images: np.ndarray) -> None:
        options = self.library.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = self.library.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self.binding = self.session.io_binding()
        self.binding.bind_cpu_input(self.session.get_inputs()[0].name, images)
        self.binding.bind_output(self.session.get_outputs()[0].name, "cpu")

    def run(self) -> None:
        self.session.run_with_iobinding(self.binding)

    def scores(self) -> np.ndarray:
        return self.binding.copy_outputs_to_cpu()[0]

    def library_bytes(self) -> int:
        """Return the size of the library that C programs link. The Python module contains
        the same code."""
        return size_of(Path(self.library.__file__).parent / "capi", "libonnxruntime.so*")


class OpenVino:
    """On CPUs with bf16 or fp16 instructions OpenVINO leaves float32 unless float32 is
    set."""

    package = "openvino"
    settings: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32"}

    def __init__(self) -> None:
        import openvino

        self.library = openvino

    def open(self, path: str, threads: int, images: np.ndarray) -> None:
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            **self.settings,
        }
        self.model = self.library.Core().compile_model(path, "CPU", settings)
        self.request = self.model.create_infer_request()
        self.request.set_input_tensor(self.library.Tensor(images, shared_memory=True))

    def run(self) -> None:
        self.request.infer(share_outputs=True)

    def scores(self) -> np.ndarray:
        return self.request.get_output_tensor().data

    @property
    def precision(self) -> str:
        """Return the precision that it reports."""
        chosen = self.model.get_property("INFERENCE_PRECISION_HINT").to_string()
        return {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}.get(chosen, chosen)

    def kernels(self) -> set[str]:
        """Return names such as brgconv_avx512_f32; most contain the instruction set."""
        nodes = self.model.get_runtime_model().get_ops()
        return {str(node.get_rt_info()["primitiveType"]) for node in nodes}

    def library_bytes(self) -> int:
        """Return the size of what running an ONNX file on the CPU needs; the package has
        twice that."""
        libraries = Path(self.library.__file__).parent / "libs"
        return size_of(
            libraries,
            "libopenvino.so*",
            "libopenvino_intel_cpu_plugin.so",
            "libopenvino_onnx_frontend.so*",
            "libtbb.so*",
            "libtbbmalloc.so*",
            "libhwloc.so*",
        )


class OpenVinoDefault(OpenVino):
    settings = {}


class Ncnn:
    """MODEL is the .param file of ncnn_convert.py, with .bin beside it."""

    package = "ncnn"
    precision = "fp32"
    reduced = ("use_fp16", "use_bf16", "use_int8")

    def __init__(self) -> None:
        import ncnn

        self.library = ncnn

    def open(self, path: str, threads: int, images: np.ndarray) -> None:
        self.net = self.library.Net()
        options = self.net.opt
        options.num_threads = threads
        for name in dir(options):
            if name.startswith(self.reduced):
                setattr(options, name, False)
        if (
            self.net.load_param(path) != 0
            or self.net.load_model(str(Path(path).with_suffix(".bin"))) != 0
        ):
            sys.exit("ncnn cannot load the converted net")
        # A batch is one Mat with n > 1; 0 says that the array's first axis is the batch.
        self.images = (
            self.library.Mat(images, 0) if len(images) > 1 else self.library.Mat(images[0])
        )

    def run(self) -> None:
        extractor = self.net.create_extractor()
        extractor.input("in0", self.images)
        status, self.output = extractor.extract("out0")
        if status != 0:
            sys.exit(f"ncnn: extract gave {status}")

    def scores(self) -> np.ndarray:
        return np.stack([self.output.batch(i).numpy() for i in range(self.output.n)])

    def library_bytes(self) -> int:
        return size_of(Path(self.library.__file__).parent, "ncnn*.so")


RUNTIMES = {
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
    "openvino-default": OpenVinoDefault,
    "ncnn": Ncnn,
}


class Worker:
    def __init__(self, kind: str, model: str, threads: str, batch: str, images: str) -> None:
        self.runtime = RUNTIMES[kind]()
        self.model, self.threads = model, int(threads)
        flat = np.fromfile(images, np.float32)
        side = round((flat.size / int(batch) / 3) ** 0.5)
        self.images = flat.reshape(int(batch), 3, side, side)

    def open(self) -> str:
        start = time.perf_counter()
        self.runtime.open(self.model, self.threads, self.images)
        self.runtime.run()
        load = (time.perf_counter() - start) * 1e3
        version = importlib.metadata.version(self.runtime.package)
        return json.dumps(
            {
                "load_ms": load,
                "version": version,
                "precision": self.runtime.precision,
                "library_bytes": self.runtime.library_bytes(),
            }
        )

    def run(self, warm: str, timed: str) -> str:
        run = self.runtime.run
        for _ in range(int(warm)):
            run()
        times = []
        for _ in range(int(timed)):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        return " ".join(f"{1e3 * seconds:.6f}" for seconds in times)

    def kernels(self) -> str:
        """Return the chosen kernels, if the runtime can name them."""
        return " ".join(sorted(self.runtime.kernels()))

    def scores(self, path: str) -> str:
        self.runtime.run()
        np.ascontiguousarray(self.runtime.scores(), np.float32).tofile(path)
        return "written"


def main() -> None:
    # All that the runtimes print goes to stderr: stdout is for answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(*sys.argv[1:])
    gc.disable()
    print("started", file=answers, flush=True)
    for line in sys.stdin:
        request, _, rest = line.rstrip("\n").partition(" ")
        arguments = rest.split() if request == "run" else [rest] if rest else []
        print(getattr(worker, request)(*arguments), file=answers, flush=True)


if __name__ == "__main__":
    main()
