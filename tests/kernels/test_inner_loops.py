"""The inner loops of products and convolutions keep all their vectors in registers.

This reads the code that the compiler wrote. It needs neither a CPU that runs it nor a
quiet one.
"""

import os
import platform
import re
import subprocess
from pathlib import Path

import pytest
from inner_loops import ARCHITECTURES, disassemble, inner_loops, read_functions

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("LIBRESNET_BUILD", ROOT / "build" / "release"))
X86_64 = ARCHITECTURES["x86_64"]

# {}: the instruction set, the family.
OURS = str(BUILD / "CMakeFiles/resnet_simd_{}.dir/runtime/kernels/simd/{}.c.o")
SPEED_TEST = BUILD / "tests" / "CMakeFiles" / "test_gemm_speed.dir" / "unit" / "test_gemm_speed.c.o"
# Set of cmake/Simd.cmake -> vectors of a whole tile, ROWS x 2.
SUMS = {"portable": 12, "avx2": 12, "avx512": 16}
# Set -> columns that a grouped convolution computes at once. Its runs have 1 to 3 taps.
COLUMNS = {"portable": (7, 10), "avx2": (8, 10), "avx512": (8, 14)}
PEAK_SUMS = 12  # of a loop that test_gemm_speed.c compares with

# As in xnn_f32_gemm_minmax_ukernel_5x16__fma3_broadcast: rows x columns, instruction set.
# s4 or c4 after the columns: each step takes 4 of k.
XNNPACK = re.compile(
    r"xnn_f32_(i?gemm(?:inc)?)(?:_minmax|_relu)?_ukernel_(\d+)x(\d+)"
    r"(?:[cs](\d))?__([a-z0-9]+)"
)
FLOATS = {"sse": 4, "avx": 8, "fma3": 8, "avx512f": 16}
SELECTED = {
    (kind, *tile)
    for kind in ("gemm", "igemm")
    for tile in ((1, 16, "fma3"), (5, 16, "fma3"), (1, 32, "avx512f"), (7, 32, "avx512f"))
}
# For CPUs with AVX and without FMA, made until 2012. No option of GCC 12 was found that
# helps.
KNOWN_SPILLS = {("gemm", 5, 16, "avx"), ("igemm", 5, 16, "avx")}


def cache_variable(name):
    text = (BUILD / "CMakeCache.txt").read_text()
    found = re.search(rf"^{name}:\w+=(.*)$", text, re.MULTILINE)
    return found[1] if found else ""


@pytest.fixture
def arch():
    """Skip where there is no optimised code, or none that the analysis understands."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        pytest.skip(f"no table of {machine}'s instructions in tests/kernels/inner_loops.py")
    if not (BUILD / "CMakeCache.txt").exists():
        pytest.skip(f"{BUILD} is not built")
    if cache_variable("RESNET_SANITIZE"):
        pytest.skip("the build has a sanitizer, which keeps variables in memory")
    return ARCHITECTURES[machine]


def spills(functions, arch):
    """Return a line for each instruction of an inner loop that moves a vector on the
    stack."""
    return [
        f"{name}+{loop.start - code[0].address:#x}: {text}"
        for name, code in functions.items()
        for loop in inner_loops(code, arch)
        for text in loop.on_stack
    ]


def assert_none(spilled):
    assert not spilled, "vectors on the stack within inner loops:\n" + "\n".join(spilled)


def products(functions, name, arch):
    """Return the products of each inner loop of a function, and of the parts GCC split
    off."""
    return [
        loop.products
        for whole, code in functions.items()
        if whole.split(".")[0] == name
        for loop in inner_loops(code, arch)
    ]


@pytest.mark.parametrize("simd_set", SUMS)
def test_our_products_keep_their_sums_in_registers(simd_set, arch):
    functions = disassemble(OURS.format(simd_set, "gemm"))
    for name in ("multiply_products", "multiply_blocks"):
        whole = [n for n in products(functions, name, arch) if n % SUMS[simd_set] == 0]
        assert whole, f"{name}: no loop of a whole tile"
    assert_none(spills(functions, arch))


@pytest.mark.parametrize("simd_set", COLUMNS)
def test_our_grouped_convolutions_keep_their_sums_in_registers(simd_set, arch):
    functions = disassemble(OURS.format(simd_set, "grouped"))
    loops = {taps * columns for taps in (1, 2, 3) for columns in COLUMNS[simd_set]}
    assert loops <= set(products(functions, "convolve", arch))
    assert_none(spills(functions, arch))


def test_xnnpacks_products_keep_their_sums_in_registers(arch):
    if cache_variable("RESNET_SYSTEM_XNNPACK") != "OFF":
        pytest.skip("the system's XNNPACK is used, not the one that tools/deps builds")
    kernels, spilled = set(), []
    for name, code in disassemble(BUILD / "libresnet.so").items():
        if found := XNNPACK.match(name):
            kernel = (found[1], int(found[2]), int(found[3]), found[5])
            tile = kernel[1] * kernel[2] * int(found[4] or 1) // FLOATS[kernel[3]]
            whole = [loop for loop in inner_loops(code, arch) if loop.products % tile == 0]
            assert whole, f"{name}: no loop of a whole tile"
            kernels.add(kernel)
            if kernel not in KNOWN_SPILLS:
                spilled += spills({name: code}, arch)
    assert SELECTED <= kernels
    assert_none(spilled)


def test_speed_is_compared_with_loops_that_keep_their_sums_in_registers(arch):
    if not SPEED_TEST.exists():
        pytest.skip("the unit tests are not built")
    functions = disassemble(SPEED_TEST)
    for simd_set in SUMS:
        assert PEAK_SUMS in products(functions, f"peak_{simd_set}", arch)
    assert_none(spills(functions, arch))


def test_a_spill_of_this_machines_compiler_is_found(tmp_path, arch):
    """A loop with more sums than registers keeps some on the stack with any compiler."""
    sums, registers = 40, 32
    source = tmp_path / "spill.c"
    source.write_text(
        "typedef float vec __attribute__((vector_size(16)));\n"
        "void kernel(vec *out, const float *x, const vec *b, long n) {\n"
        f"  vec {', '.join(f's{i} = out[{i}]' for i in range(sums))};\n"
        f"  for (; n--; x += {sums}) {{\n"
        "    const vec y = *b++;\n"
        f"    {' '.join(f's{i} += x[{i}] * y;' for i in range(sums))}\n"
        "  }\n"
        f"  {' '.join(f'out[{i}] = s{i};' for i in range(sums))}\n"
        "}\n"
    )
    subprocess.run(["cc", "-O2", "-c", source, "-o", tmp_path / "spill.o"], check=True)
    functions = disassemble(tmp_path / "spill.o")
    assert sums in products(functions, "kernel", arch)
    assert len(spills(functions, arch)) >= sums - registers


def listing(*texts):
    """Return objdump's listing of a function. {2} is the address of its third
    instruction."""
    places = [f"{0x1000 + 4 * i:x} <kernel+{4 * i:#x}>" for i in range(len(texts))]
    lines = [f"    {0x1000 + 4 * i:x}:\t{text.format(*places)}" for i, text in enumerate(texts)]
    return ["0000000000001000 <kernel>:", *lines, ""]


def analyse(*texts):
    """Return (products, instructions on the stack) of each inner loop."""
    (code,) = read_functions(listing(*texts)).values()
    return [(loop.products, loop.on_stack) for loop in inner_loops(code, X86_64)]


FMA = ("vfmadd231ps %ymm0,%ymm1,%ymm2", "vfmadd231ps %ymm0,%ymm3,%ymm4")
STORE = "vmovaps %ymm5,(%rsp)"


def analyse_loop(*texts, before="xor    %eax,%eax"):
    return analyse(before, *FMA, *texts, "cmp    %rax,%rcx", "jne    {1}", "ret")


@pytest.mark.parametrize(
    "texts",
    [
        (),
        ("vmovups 0x20(%rdi),%ymm5", "vmovups %ymm5,(%rsi,%rax,4)"),
        ("vbroadcastss (%rbp,%rdx,4),%ymm0",),
        ("mov    0x18(%rsp),%rdx", "mov    %rdx,-0x8(%rsp)"),
        ("vmovss 0x8(%rsp),%xmm6",),
        ("vmovups 0x100(%rip),%ymm6        # 2000 <table>",),
    ],
)
def test_a_loop_with_its_vectors_in_registers_is_clean(texts):
    assert analyse_loop(*texts) == [(2, [])]


@pytest.mark.parametrize(
    "text",
    [
        "vmovaps -0x40(%rsp),%ymm13",
        "vmovaps %ymm13,0x1c8(%rsp)",
        "vmovaps %ymm1,-0x20(%rsp,%rax,8)",
        "vmovups %zmm31,0x40(%rsp)",
        "movaps %xmm1,(%rsp)",
        "addps -0x78(%rsp),%xmm0",
        "vaddps 0x8(%rsp),%ymm15,%ymm15",
        "vbroadcastss 0x8(%rsp),%ymm6",
    ],
)
def test_a_vector_on_the_stack_is_found(text):
    assert analyse_loop(text) == [(2, [text])]


@pytest.mark.parametrize(
    "text",
    [
        "vfnmadd213ps 0x1c8(%rsp),%ymm0,%ymm13",
        "vfmadd231ps -0x40(%rsp),%zmm0,%zmm13",
        "vmulps 0x8(%rsp),%ymm1,%ymm2",
    ],
)
def test_a_product_with_an_operand_on_the_stack_is_found(text):
    assert analyse_loop(text) == [(3, [text])]


def test_a_spilled_sum_is_found_as_a_load_and_a_store():
    spill = ("vmovaps 0x20(%rsp),%ymm5", "vaddps %ymm5,%ymm6,%ymm5", "vmovaps %ymm5,0x20(%rsp)")
    assert analyse_loop(*spill) == [(2, [spill[0], spill[2]])]


@pytest.mark.parametrize(
    "before, found",
    [
        ("mov    %rsp,%rbp", 1),
        ("lea    0x8(%rsp),%rbp", 1),
        ("add    %rsp,%rbp", 1),
        ("mov    0x8(%rsp),%rbp", 0),
        ("mov    %rdi,%rbp", 0),
        ("lea    0x8(%rdi),%rbp", 0),
        ("pop    %rbp", 0),
    ],
)
def test_rbp_counts_only_as_a_frame_pointer(before, found):
    ((_, on_stack),) = analyse_loop("vmovaps %ymm5,-0x50(%rbp)", before=before)
    assert len(on_stack) == found


@pytest.mark.parametrize(
    "change, found",
    [
        ("nop", 1),
        ("sub    $0x80,%r10", 1),
        ("cmp    %rax,%r10", 1),
        ("push   %r10", 1),
        ("mov    %rdi,%r10", 0),
        ("xor    %r10d,%r10d", 0),
    ],
)
def test_a_frame_pointer_is_followed_until_it_is_overwritten(change, found):
    code = ("lea    0x8(%rsp),%r10", change, *FMA, "vmovaps %ymm5,-0x50(%r10)", "jne    {2}", "ret")
    assert [len(on_stack) for _, on_stack in analyse(*code)] == [found]


def test_a_stack_address_made_within_the_loop_is_found():
    ((_, on_stack),) = analyse_loop("vmovaps %ymm5,(%rdx)", "lea    (%rsp,%rax,4),%rdx")
    assert len(on_stack) == 1


def test_code_without_a_loop_has_none():
    assert analyse(*FMA, STORE, "ret") == []
    assert analyse("je     {3}", *FMA, "ret") == []


def test_a_loop_of_one_product_or_of_scalars_is_no_kernel():
    assert analyse(FMA[0], "jne    {0}", "ret") == []
    scalars = ("vfmadd231ss %xmm0,%xmm1,%xmm2", "mulss  %xmm0,%xmm1")
    assert analyse(*scalars, "jne    {0}", "ret") == []


def test_only_the_innermost_loop_counts():
    outer = (STORE, *FMA, "dec    %rax", "jne    {1}", STORE, "dec    %rcx", "jne    {0}", "ret")
    assert analyse(*outer) == [(2, [])]


def test_multiplications_beside_additions_count_as_products():
    step = ("mulps  %xmm14,%xmm1", "addps  %xmm1,%xmm3")
    assert analyse(*step, *step, "jne    {0}", "ret") == [(2, [])]


def test_a_loop_entered_at_its_bottom_is_found():
    code = ("jmp    {5}", "nopw   0x0(%rax,%rax,1)", *FMA, STORE, "cmp    %rax,%rcx", "jne    {2}")
    assert analyse(*code, "ret") == [(2, [STORE])]


def test_a_loop_with_a_part_behind_the_functions_end_is_found():
    code = (*FMA, "je     {6}", "cmp    %rax,%rcx", "jne    {0}", "ret", STORE, "jmp    {3}")
    assert analyse(*code) == [(2, [STORE])]


def test_a_loop_closed_by_a_jump_forward_is_found():
    code = ("jmp    {4}", *FMA, "jmp    {6}", "cmp    %rax,%rcx", "jne    {1}", STORE)
    assert analyse(*code, "jne    {4}", "ret") == [(2, [STORE])]


def test_functions_of_one_name_are_all_read():
    functions = read_functions([*listing(*FMA), *listing("ret"), *listing("repz ret")])
    texts = [[one.text for one in code] for code in functions.values()]
    assert texts == [list(FMA), ["ret"], ["ret"]]
