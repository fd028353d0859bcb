"""Cycles of the library's inner loops on ARM cores, by the models of llvm-mca.

The loops are taken from the compiled kernels, so that nothing in the sources has to mark them: the innermost ones, by
their backward branches, that count bits. A vector's `cnt` there is a known number of binary multiply-accumulates.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

PRODUCTS = 128  # what the figures are for: the binary multiply-accumulates of a 128-bit vector
ITERATIONS = 1000
LONGEST_NAME = 40

_FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*?)\s*(?://.*|[;@].*)?$")
_BRANCH = re.compile(r"(b|b\..*|b(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)|cbn?z|tbn?z)(\.[nw])?")
_TARGET = re.compile(r"\b([0-9a-f]+) <.*>$")
# What counts the bits of each byte or lane, and the bits of its vector; SVE's are 128 in the models.
_COUNTS = (
    (re.compile(r"cnt v\d+\.16b, .*|vcnt\.8 q.*|cnt z.*"), 128),
    (re.compile(r"cnt v\d+\.8b, .*|vcnt\.8 d.*"), 64),
)
_TOTAL_CYCLES = re.compile(r"^Total Cycles:\s+(\d+)$", re.MULTILINE)


class Instruction(NamedTuple):
    """A line of a disassembly; `target` is where a branch leads, inside its function or not."""

    address: int
    mnemonic: str
    operands: str
    target: int | None


class Loop(NamedTuple):
    """An innermost loop that counts bits.

    Attributes:
        function: Its function's name, without namespaces and parameters, cut off where it is long.
        body: Its instructions; the last one branches to the first.
        products: Binary multiply-accumulates of one turn.
    """

    function: str
    body: tuple[Instruction, ...]
    products: int

    def assembly(self) -> str:
        """What llvm-mca reads: branches lead to the loop's beginning, as their places elsewhere are not in the text."""
        lines = ["loop:"]
        for _, mnemonic, operands, target in self.body:
            lines.append(f"{mnemonic} {operands if target is None else _TARGET.sub('loop', operands)}")
        return "\n".join(lines) + "\n"


def find_mca() -> str | None:
    """The newest llvm-mca on the PATH."""
    names = [f"llvm-mca-{version}" for version in range(40, 12, -1)] + ["llvm-mca"]
    return next(filter(None, map(shutil.which, names)), None)


def mca_version(mca: str) -> str:
    """LLVM's version as llvm-mca prints it."""
    text = subprocess.run([mca, "--version"], capture_output=True, text=True, check=True).stdout
    return next(line.strip() for line in text.splitlines() if "LLVM version" in line)


def counting_loops(disassembly: str) -> list[Loop]:
    """The loops that count bits, the one with most counts of each function, and of loops with equal mnemonics one."""
    loops: dict[tuple[str, ...], Loop] = {}
    for name, instructions in _functions(disassembly):
        found = [Loop(_short(name), body, _products(body)) for body in _innermost(instructions)]
        best = max(found, key=lambda loop: loop.products, default=None)
        if best and best.products:
            loops.setdefault(tuple(instruction.mnemonic for instruction in best.body), best)
    return sorted(loops.values(), key=lambda loop: (-loop.products, loop.function))


def cycles(loop: Loop, mca: str, triple: str, cpu: str) -> float:
    """Cycles for PRODUCTS binary multiply-accumulates in the loop.

    Raises:
        RuntimeError: when llvm-mca refuses the loop.
    """
    command = [mca, f"--mtriple={triple}", f"--mcpu={cpu}", f"--iterations={ITERATIONS}"]
    run = subprocess.run(command, input=loop.assembly(), capture_output=True, text=True, check=False)
    total = _TOTAL_CYCLES.search(run.stdout)
    if run.returncode or total is None:
        raise RuntimeError(f"{' '.join(command)} failed on the loop of {loop.function}: {run.stderr.strip()[-500:]}")
    return int(total[1]) / ITERATIONS / loop.products * PRODUCTS


def disassemble(objdump: str, path: Path) -> str:
    """The disassembly of an object file."""
    command = [objdump, "--disassemble", "--demangle", "--no-show-raw-insn", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def models(disassembly: str, mca: str, triple: str, cpus: tuple[str, ...]) -> list[dict[str, Any]]:
    """For each loop its function, its instructions and its cycles by CPU, both for PRODUCTS multiply-accumulates."""
    return [
        {
            "function": loop.function,
            "instructions": len(loop.body) / loop.products * PRODUCTS,
            "cycles": {cpu: round(cycles(loop, mca, triple, cpu), 3) for cpu in cpus},
        }
        for loop in counting_loops(disassembly)
    ]


def _functions(disassembly: str) -> Iterator[tuple[str, list[Instruction]]]:
    name, instructions = "", []
    for line in disassembly.splitlines():
        function = _FUNCTION.match(line)
        if function:
            yield name, instructions
            name, instructions = function[1], []
            continue
        instruction = _INSTRUCTION.match(line)
        if instruction:
            address, mnemonic, operands = instruction.groups()
            target = _TARGET.search(operands) if _BRANCH.fullmatch(mnemonic) else None
            instructions.append(
                Instruction(int(address, 16), mnemonic, operands, int(target[1], 16) if target else None)
            )
    yield name, instructions


def _innermost(instructions: list[Instruction]) -> list[tuple[Instruction, ...]]:
    """The ranges from a branch's target to the branch that hold no other such range."""
    places = {instruction.address: place for place, instruction in enumerate(instructions)}
    ranges = [
        (places[instruction.target], place)
        for place, instruction in enumerate(instructions)
        if instruction.target in places and places[instruction.target] <= place
    ]
    return [
        tuple(instructions[first : last + 1])
        for first, last in ranges
        if not any(other != (first, last) and first <= other[0] and other[1] <= last for other in ranges)
    ]


def _products(body: tuple[Instruction, ...]) -> int:
    texts = [f"{mnemonic} {operands}" for _, mnemonic, operands, _ in body]
    return sum(bits for text in texts for pattern, bits in _COUNTS if pattern.fullmatch(text))


def _short(name: str) -> str:
    """The beginning of a demangled name, without namespaces, result and parameters."""
    name = name.replace("keras_bnn::", "").replace("(anonymous namespace)::", "").removeprefix("void ")
    return name.partition("(")[0][:LONGEST_NAME]
