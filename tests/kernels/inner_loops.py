"""Find the inner loops of disassembled kernels, and the vectors that such a loop keeps on
the stack.

A sum of products that the compiler moves from a register to the stack makes a kernel up
to three times slower: each addition waits for a store and a load. No test of the results
notices it.
"""

import re
import subprocess
from dataclasses import dataclass

MIN_PRODUCTS = 2  # of a loop that counts as a kernel's inner loop


@dataclass(frozen=True)
class Architecture:
    """Regular expressions for the text of an instruction, "name operand,operand".

    products: multiplies two vectors
    vector:   a vector register
    scalar:   an instruction that uses one number of a vector register
    memory:   an operand in memory; its group holds the registers of the address
    register: a general register; its group is the same for all widths
    stack:    that group for the stack pointer
    jump:     may continue at the address in its group
    ends:     does not continue with the next instruction
    fills:    fills a gap between two blocks of code
    derives:  make the group `target` a stack address if one of `sources` is one
    writes:   writes something else to the group `target`; tried after `derives`
    """

    products: str
    vector: str
    scalar: str
    memory: str
    register: str
    stack: str
    jump: str
    ends: str
    fills: str
    derives: tuple
    writes: str


ARCHITECTURES = {
    "x86_64": Architecture(
        products=r"(v?mul|vfn?m(add|sub)(132|213|231))ps ",
        vector=r"%[xyz]mm\d",
        scalar=r"v?(mov|add|sub|mul|div|min|max|u?comi|fn?m(add|sub)\d+)s[sd] |v?mov[dq] |v?cvt",
        memory=r"\(([^)]*)\)",
        register=r"%[re](ax|bx|cx|dx|si|di|bp|sp|\d+)d?\b",
        stack="sp",
        jump=r"j\w+ ([0-9a-f]+)",
        ends=r"(jmp|ret|ud2|hlt)\b",
        fills=r"(nop|xchg|int3|data16)",
        derives=(
            r"mov (?P<sources>%r\w+),(?P<target>%r\w+)$",
            r"lea [^(]*\((?P<sources>.*)\),(?P<target>%r\w+)$",
            r"(add|sub|and|or|inc|dec|cmov\w+) .*?(?P<sources>(%r\w+,)?(?P<target>%r\w+))$",
        ),
        writes=r"(?!cmp|test|bt |push|nop|j|call)\w+ (.*,)?(?P<target>%[re]\w+)$",
    ),
}


@dataclass(frozen=True)
class Instruction:
    address: int
    text: str


@dataclass(frozen=True)
class Loop:
    """An innermost loop of a kernel.

    start:    the lowest address
    products: how many instructions multiply vectors
    on_stack: the texts of the instructions that read or write a vector on the stack
    """

    start: int
    products: int
    on_stack: list


def read_instruction(line):
    """Return an instruction without its prefixes and the comments of objdump, or None."""
    prefixes = r"(?:(?:bnd|notrack|lock|repz?|cs|data16) )*"
    found = re.match(rf" *([0-9a-f]+):\t{prefixes}(.+)", line)
    if not found:
        return None
    text = re.split(r"\s*(?:#|<)", found[2])[0]
    return Instruction(int(found[1], 16), " ".join(text.split()))


def read_functions(lines):
    """Return {name: instructions} of objdump's output. Functions of one name are
    numbered."""
    functions, code = {}, []
    for line in lines:
        if start := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            name, number = start[1], 1
            while name in functions:
                number += 1
                name = f"{start[1]} ({number})"
            code = functions[name] = []
        elif instruction := read_instruction(line):
            code.append(instruction)
    return functions


def disassemble(path):
    """Return {name: instructions} of an object file or a library."""
    command = ["objdump", "--disassemble", "--no-show-raw-insn", "--wide", str(path)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return read_functions(output.splitlines())


def find_successors(code, arch):
    """Return {index: indices of the instructions that may follow within the function}."""
    index = {one.address: i for i, one in enumerate(code)}
    edges = {}
    for i, one in enumerate(code):
        jump = re.match(arch.jump, one.text)
        edges[i] = {index[int(jump[1], 16)]} if jump and int(jump[1], 16) in index else set()
        if i + 1 < len(code) and not re.match(arch.ends, one.text):
            edges[i].add(i + 1)
    return edges


def turn(edges):
    """Return the edges in the other direction."""
    turned = {node: set() for node in edges}
    for node, following in edges.items():
        for other in following:
            turned[other].add(node)
    return turned


def reach(edges, start, seen):
    """Return the nodes that a search from `start` adds to `seen`, in the order it leaves
    them."""
    if start in seen:
        return []
    seen.add(start)
    left, path = [], [(start, iter(edges[start]))]
    while path:
        node = next((one for one in path[-1][1] if one not in seen), None)
        if node is None:
            left.append(path.pop()[0])
        else:
            seen.add(node)
            path.append((node, iter(edges[node])))
    return left


def find_cycles(edges):
    """Return the largest sets of nodes that all lead to each other (Kosaraju's
    algorithm)."""
    seen, order = set(), []
    for start in edges:
        order += reach(edges, start, seen)
    turned, seen, cycles = turn(edges), set(), []
    for start in reversed(order):
        cycle = set(reach(turned, start, seen))
        if len(cycle) > 1 or cycle & edges[start]:
            cycles.append(cycle)
    return cycles


def find_innermost(edges, turned):
    """Return the cycles that hold no other cycle.

    A cycle without the edges to its entries falls apart into the cycles within it.
    Addresses do not matter: compilers enter a loop at its bottom too, and move parts of
    it to the function's end.
    """
    innermost = []
    for cycle in find_cycles(edges):
        entries = {node for node in cycle if node == 0 or turned[node] - cycle}
        within = {node: (edges[node] & cycle) - entries for node in cycle}
        innermost += find_innermost(within, turned) or [cycle]
    return innermost


def remove_fill(code, edges, arch):
    """Return the edges without the instructions that only fill gaps.

    Other code without a predecessor is the target of a jump through a table.
    """
    turned, seen = turn(edges), set()
    for i, one in enumerate(code):
        if i == 0 or not turned[i] and not re.match(arch.fills, one.text):
            reach(edges, i, seen)
    return {node: edges[node] for node in seen}


def registers(text, arch):
    return set(re.findall(arch.register, text))


def update_pointers(text, pointers, arch):
    """Return the registers that hold stack addresses after an instruction, from those
    before."""
    for pattern in arch.derives:
        if found := re.match(pattern, text):
            target = registers(found["target"], arch)
            derived = registers(found["sources"], arch) & pointers
            return pointers | target if derived else pointers - target | {arch.stack}
    found = re.match(arch.writes, text)
    return pointers - registers(found["target"], arch) | {arch.stack} if found else pointers


def find_pointers(code, edges, arch):
    """Return {index: registers that may hold stack addresses before the instruction}."""
    pointers = {node: {arch.stack} for node in edges}
    waiting = sorted(edges, reverse=True)
    while waiting:
        node = waiting.pop()
        after = update_pointers(code[node].text, pointers[node], arch)
        for following in edges[node]:
            if after - pointers[following]:
                pointers[following] = pointers[following] | after
                waiting.append(following)
    return pointers


def moves_vector_on_stack(text, pointers, arch):
    addresses = " ".join(re.findall(arch.memory, text))
    return bool(
        re.search(arch.vector, text)
        and not re.match(arch.scalar, text)
        and registers(addresses, arch) & pointers
    )


def inner_loops(code, arch):
    """Return the innermost loops of a function that multiply vectors, by address."""
    edges = remove_fill(code, find_successors(code, arch), arch)
    pointers = find_pointers(code, edges, arch)
    loops = []
    for cycle in map(sorted, find_innermost(edges, turn(edges))):
        products = sum(bool(re.match(arch.products, code[i].text)) for i in cycle)
        if products >= MIN_PRODUCTS:
            on_stack = [
                code[i].text
                for i in cycle
                if moves_vector_on_stack(code[i].text, pointers[i], arch)
            ]
            loops.append(Loop(code[cycle[0]].address, products, on_stack))
    return sorted(loops, key=lambda loop: loop.start)
