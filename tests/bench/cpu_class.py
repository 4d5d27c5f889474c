"""The CPU classes that results are kept by, and how a run is restricted to a lower class.

A class is the instruction set that libresnet's own kernels choose: the CPU's, or less
where the build's RESNET_VECTORS allows no more. A restricted run needs restricted peers:

    OpenVINO       ONEDNN_MAX_CPU_ISA restricts oneDNN, OV_CPU_MAX_ISA its own kernels.
                   2026.4 obeys both, older releases only the first. peers.py therefore
                   checks the names of the kernels that OpenVINO chose. It cannot check
                   the fully connected layer: MLAS's kernel names no instruction set.
    ONNX Runtime   MLAS reads the CPU's features. No variable or option restricts it.
    ncnn           reads the CPU's features. Only its build can restrict it.

XNNPACK inside libresnet reads the CPU's features, too, and only its build restricts it.
"""

from __future__ import annotations

import re

# Highest first, with the features that cmake/Simd.cmake lists.
X86_FLAGS = {"avx512": {"avx512f", "avx512bw", "avx512vl", "avx512dq"}, "avx2": {"avx2", "fma"}}
CLASSES = (*X86_FLAGS, "sse2", "neon")
# The highest class that a value of RESNET_VECTORS allows.
VECTORS = {"2": "avx512", "1": "avx2", "0": "sse2"}
OPENVINO_AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "OV_CPU_MAX_ISA": "AVX2"}
# Class -> peer -> the environment that restricts it.
ENVIRONMENTS = {"avx2": {"openvino": OPENVINO_AVX2, "openvino-default": OPENVINO_AVX2}}
# Removed from the environment of all peers first. DNNL_: oneDNN's older name.
RESTRICTING_VARIABLES = {*OPENVINO_AVX2, "DNNL_MAX_CPU_ISA"}
NO_SETTING = {"onnxruntime": "MLAS has no setting for it", "ncnn": "it has no setting for it"}


def of_cpu(flags: str, architecture: str) -> str:
    """Return the class of a CPU with these /proc/cpuinfo flags."""
    if architecture in ("x86_64", "AMD64"):
        found = set(flags.split())
        return next((name for name, needed in X86_FLAGS.items() if needed <= found), "sse2")
    return "neon" if architecture in ("aarch64", "arm64") else architecture


def of_build(cpu: str, cmake_cache: str) -> str:
    """Return the class that a build chooses on a CPU of class `cpu`."""
    setting = re.search(r"^RESNET_VECTORS:\w+=(\d)$", cmake_cache, re.MULTILINE)
    allowed = VECTORS.get(setting[1], CLASSES[0]) if setting else CLASSES[0]
    return allowed if cpu in classes_above(allowed) else cpu


def classes_above(name: str) -> tuple[str, ...]:
    """Return the x86-64 classes with more instructions than class `name`."""
    x86 = tuple(VECTORS.values())
    return x86[: x86.index(name)] if name in x86 else ()


def describe(machine: dict) -> str:
    """Return e.g. "avx2 (on a CPU of class avx512)"."""
    restricted = machine["class"] != machine["cpu_class"]
    return machine["class"] + f" (on a CPU of class {machine['cpu_class']})" * restricted


class Restriction:
    """Which runtimes are restricted to a class below the CPU's, and which are not."""

    def __init__(self, name: str, peers: list[str], xnnpack_kernels: bool) -> None:
        environments = ENVIRONMENTS[name]
        self.name = name
        self.environments = {peer: environments[peer] for peer in peers if peer in environments}
        self.restricted = {"libresnet": "RESNET_VECTORS"}
        for peer, found in self.environments.items():
            self.restricted[peer] = " ".join(f"{key}={value}" for key, value in found.items())
        self.unrestricted = {peer: NO_SETTING[peer] for peer in peers if peer not in environments}
        if xnnpack_kernels:
            self.unrestricted["XNNPACK inside libresnet"] = "the build holds its AVX-512 kernels"

    def check(self, peer: str, kernels: list[str]) -> None:
        """Move a peer that chose a kernel of a higher class to the unrestricted ones."""
        names = classes_above(self.name)
        higher = [kernel for kernel in kernels if any(name in kernel for name in names)]
        if higher and peer in self.restricted:
            del self.restricted[peer]
            self.unrestricted[peer] = f"it chose {higher[0]} nevertheless"

    def record(self) -> dict[str, dict[str, str]]:
        return {"restricted": self.restricted, "not_restricted": self.unrestricted}
