"""Slicing rules as one program for the kernel, which runs it for every packet of a port before recording.

The program first reads of a packet what its rules ask for (`packet_program`); then come the tests of each
rule, made from the same flat program (`program`) that is run over recorded packets. What the kernel hands to
it: the frame from its first MAC address on, of at least 14 bytes, and the outer VLAN tag (0x8100, 0x88a8)
beside it, not in it. No I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from allegro.errors import InvalidInput
from allegro.filters import classic_bpf as bpf
from allegro.filters.classic_bpf import Assembler, Label
from allegro.filters.fields import LENGTH_MAX
from allegro.filters.key import MOST_LABELS
from allegro.filters.packet_program import ABSENT, SLOTS, PacketReader, Slot
from allegro.filters.program import (
    ACCEPT,
    HEADER,
    MAX,
    RANGE,
    REJECT,
    TEST,
    Number,
    Operation,
    Ranges,
    compiled,
    for_interface,
)
from allegro.filters.slicing import TAG_LENGTH, TAG_OFFSET, Action, Rule, kept
from allegro.filters.tree import Groups

WHOLE = 0xFFFFFFFF
"""What a program returns is the most bytes of a packet that are kept; 0: the packet is discarded."""


_ADDRESSES = (Operation.SOURCE, Operation.DESTINATION)


@dataclass(frozen=True)
class _Test:
    operation: Operation
    field: int
    constants: bytes
    yes: int
    no: int


@dataclass(frozen=True)
class _Decision:
    """A rule for one port: the tests that can be reached, by their number, and with which they begin."""

    number: int
    rule: Rule
    tests: dict[int, _Test]
    begin: int


def assembled(rules: Sequence[Rule], interface: str, groups: Groups = ()) -> bytes:
    """The program (struct sock_filter, in the byte order of this machine) for packets of one port.

    Raises RuleError for a rule that cannot be run by the kernel, or with which the program is too long.
    """
    return for_ports(rules, (interface,), groups)[interface]


def for_ports(rules: Sequence[Rule], interfaces: Sequence[str], groups: Groups = ()) -> dict[str, bytes]:
    """The programs for several ports; those to which the rules say the same have the same one.

    Raises RuleError as `assembled` does.
    """
    flat = [_flat(number, rule, groups) for number, rule in enumerate(rules)]
    known: dict[tuple[bytes, ...], bytes] = {}
    found = {}
    for interface in interfaces:
        closed = tuple(for_interface(program, interface) if named else program for program, named in flat)
        if closed not in known:
            known[closed] = _assembled(rules, closed)
        found[interface] = known[closed]
    return found


def _assembled(rules: Sequence[Rule], flat: Sequence[bytes]) -> bytes:
    decisions: list[_Decision] = []
    for number, (rule, program) in enumerate(zip(rules, flat, strict=True)):
        decision = _decision(number, rule, program)
        if decision.begin != REJECT:
            decisions.append(decision)
        if decision.begin == ACCEPT:
            break  # none behind it is ever asked
    writer = _Writer(decisions)
    code = writer.program()
    if len(code) > bpf.MOST_INSTRUCTIONS:
        last = writer.first_beyond(bpf.MOST_INSTRUCTIONS)
        raise RuleError(
            "with this rule the rules come to more than the kernel can run for each packet "
            f"({bpf.MOST_INSTRUCTIONS} instructions)",
            last.number,
            last.rule,
            remedy="Use subnets and ranges instead of single values.",
        )
    return b"".join(bpf.INSTRUCTION.pack(*one) for one in code)


class RuleError(InvalidInput):
    """A rule that the kernel cannot run: which one (`number`, from 0), and why."""

    def __init__(self, why: str, number: int, rule: Rule, remedy: str) -> None:
        super().__init__(f'Rule {number + 1}, "{rule.name}": {why}.', place=f"{number}.filter", remedy=remedy)
        self.number = number


def _flat(number: int, rule: Rule, groups: Groups) -> tuple[bytes, bool]:
    """The flat program of a rule, and whether it asks for the name of the port."""

    def refuse(expression: str) -> bytes:
        raise RuleError(
            f'the kernel cannot test bpf("{expression}") before it records a packet, because it keeps the '
            "outer VLAN tag apart",
            number,
            rule,
            remedy="Write the condition with the other fields.",
        )

    try:
        program = compiled(rule.tree, groups, refuse)
    except RuleError:
        raise
    except InvalidInput as error:
        why = error.message[:1].lower() + error.message[1:].removesuffix(".")
        raise RuleError(why, number, rule, error.remedy) from None
    return program, any(test.operation is Operation.NAME for test in _read(program))


def _decision(number: int, rule: Rule, program: bytes) -> _Decision:
    tests = _read(program)
    begin = _resolved(tests, 0)
    reached: dict[int, _Test] = {}
    waiting = [begin]
    while waiting:
        place = waiting.pop()
        if place not in (ACCEPT, REJECT) and place not in reached:
            test = tests[place]
            yes, no = _resolved(tests, test.yes), _resolved(tests, test.no)
            reached[place] = _Test(test.operation, test.field, test.constants, yes, no)
            waiting += (yes, no)
    return _Decision(number, rule, reached, begin)


def _read(program: bytes) -> list[_Test]:
    """The tests of a flat program."""
    _, count, _ = HEADER.unpack_from(program)
    constants = program[HEADER.size + count * TEST.size :]
    tests = []
    for number in range(count):
        operation, field, entries, yes, no, offset = TEST.unpack_from(
            program, HEADER.size + number * TEST.size
        )
        size = _constant_size(Operation(operation), field) * entries
        tests.append(_Test(Operation(operation), field, constants[offset : offset + size], yes, no))
    return tests


def _constant_size(operation: Operation, field: int) -> int:
    """Bytes of one constant of a test."""
    match operation:
        case Operation.NUMBER:
            return RANGE.size
        case Operation.SOURCE | Operation.DESTINATION:
            return 8 if field == 4 else 32
        case Operation.SOURCE_MAC | Operation.DESTINATION_MAC:
            return 12
    return 0


def _resolved(tests: Sequence[_Test], place: int) -> int:
    """Where the program goes on from a test that is answered already."""
    while place not in (ACCEPT, REJECT) and tests[place].operation is Operation.YES:
        place = tests[place].yes
    return place


def _ranges_of(test: _Test) -> Ranges:
    return list(RANGE.iter_unpack(test.constants))


class _Writer:
    """Writes the program of some decisions."""

    def __init__(self, decisions: Sequence[_Decision]) -> None:
        self._decisions = decisions
        self._asm = Assembler()
        self._ends: list[tuple[Label, _Decision]] = []

    def program(self) -> list[tuple[int, int, int, int]]:
        tests = [test for decision in self._decisions for test in decision.tests.values()]
        numbers = {test.field for test in tests if test.operation is Operation.NUMBER}
        addresses = any(test.operation in _ADDRESSES for test in tests)
        PacketReader(self._asm, numbers, addresses=addresses).write()
        for decision in self._decisions:
            self._decide(decision)
        self._asm.put(bpf.RETURN, WHOLE)
        return self._asm.finished()

    def first_beyond(self, most: int) -> _Decision:
        """The first rule that does not fit into so many instructions, with the answer "whole" behind it."""
        return next(one for end, one in self._ends if self._asm.length_before(end) + 1 > most)

    def _decide(self, decision: _Decision) -> None:
        asm = self._asm
        act, following = Label(), Label()
        labels = {ACCEPT: act, REJECT: following}
        labels |= {place: Label() for place in decision.tests}
        for run in _runs(decision.tests):
            for place in run:
                test = decision.tests[place]
                asm.place(labels[place])
                if test.operation in _ADDRESSES:
                    if place == run[0]:
                        self._ip_header(test.field, labels[decision.tests[run[-1]].no])
                    self._address(test, labels[test.yes], labels[test.no])
                else:
                    self._test(test, labels[test.yes], labels[test.no])
        asm.place(act)
        self._act(decision.rule)
        asm.place(following)
        self._ends.append((following, decision))

    def _act(self, rule: Rule) -> None:
        asm = self._asm
        if rule.action is not Action.KEEP:
            asm.put(bpf.RETURN, 0 if rule.action is Action.DISCARD else WHOLE)
            return
        untagged = Label()
        asm.put(bpf.LOAD_WORD, bpf.VLAN_TAG_PRESENT)
        asm.test(bpf.EQUAL, 0, yes=untagged)
        wanted = kept(rule, LENGTH_MAX, tag_taken_out=True)
        asm.put(bpf.RETURN, wanted if wanted < TAG_OFFSET else wanted - TAG_LENGTH)
        asm.place(untagged)
        asm.put(bpf.RETURN, rule.length)

    def _test(self, test: _Test, yes: Label, no: Label) -> None:
        match test.operation:
            case Operation.NUMBER if test.field == Number.MPLS:
                self._labels(_ranges_of(test), yes, no)
            case Operation.NUMBER:
                self._number(Number(test.field), _ranges_of(test), yes, no)
            case _:
                self._mac(test, yes, no)

    def _number(self, field: Number, ranges: Ranges, yes: Label, no: Label) -> None:
        self._asm.put(bpf.LOAD_MEMORY, SLOTS[field])
        if field is not Number.LENGTH and any(high == MAX for _, high in ranges):
            self._asm.test(bpf.EQUAL, ABSENT, yes=no)
        self._within(ranges, yes, no)

    def _within(self, ranges: Ranges, yes: Label, no: Label) -> None:
        """Whether A is in one of the ranges."""
        asm = self._asm
        for number, (low, high) in enumerate(ranges, 1):
            another = no if number == len(ranges) else Label()
            if low == 0 and high == MAX:
                asm.go(yes)
            elif low == high:
                asm.test(bpf.EQUAL, low, yes=yes, no=another)
            elif high == MAX:
                asm.test(bpf.AT_LEAST, low, yes=yes, no=another)
            else:
                if low:
                    asm.test(bpf.AT_LEAST, low, no=another)
                asm.test(bpf.GREATER, high, yes=another, no=yes)
            if another is not no:
                asm.place(another)
        if not ranges:
            asm.go(no)

    def _labels(self, ranges: Ranges, yes: Label, no: Label) -> None:
        """Whether one of the packet's MPLS labels is in one of the ranges."""
        asm = self._asm
        for number in range(MOST_LABELS):
            another = Label()
            asm.put(bpf.LOAD_MEMORY, Slot.LABELS)
            asm.test(bpf.GREATER, number, no=no)
            asm.put(bpf.LOAD_X_MEMORY, Slot.FIRST_LABEL)
            asm.put(bpf.LOAD_WORD_X, 4 * number)
            asm.put(bpf.SHIFT_RIGHT, 12)
            self._within(ranges, yes, another)
            asm.place(another)
        asm.go(no)

    def _ip_header(self, version: int, no: Label) -> None:
        """X: where the IP header begins, if it is of this version."""
        self._asm.put(bpf.LOAD_MEMORY, Slot.VERSION)
        self._asm.test(bpf.EQUAL, version, no=no)
        self._asm.put(bpf.LOAD_X_MEMORY, Slot.HEADER)

    def _address(self, test: _Test, yes: Label, no: Label) -> None:
        place = 12 if test.field == 4 else 8
        if test.operation is Operation.DESTINATION:
            place += len(test.constants) // 2
        self._masked(bpf.LOAD_WORD_X, 4, place, test.constants, yes, no)

    def _mac(self, test: _Test, yes: Label, no: Label) -> None:
        place = 0 if test.operation is Operation.DESTINATION_MAC else 6
        self._masked(bpf.LOAD_HALF, 2, place, test.constants, yes, no)

    def _masked(self, load: int, size: int, place: int, constants: bytes, yes: Label, no: Label) -> None:
        """Whether the bytes at `place` are the first half of the constants, under the mask in the second."""
        half = len(constants) // 2
        wanted, masks = (
            [int.from_bytes(part[at : at + size], "big") for at in range(0, half, size)]
            for part in (constants[:half], constants[half:])
        )
        compared = [number for number, mask in enumerate(masks) if mask]
        for number in compared:
            self._asm.put(load, place + number * size)
            if masks[number] != (1 << 8 * size) - 1:
                self._asm.put(bpf.AND, masks[number])
            last = number == compared[-1]
            self._asm.test(bpf.EQUAL, wanted[number], yes=yes if last else None, no=no)
        if not compared:
            self._asm.go(yes)


def _runs(tests: dict[int, _Test]) -> Iterator[list[int]]:
    """The numbers of the tests in their order; together those of addresses of one version of IP of which each
    is asked only when the one before says no, so that the version is looked at once."""
    asked_from = Counter(place for test in tests.values() for place in {test.yes, test.no})
    run: list[int] = []
    for place in sorted(tests):
        test, before = tests[place], tests[run[-1]] if run else None
        goes_on = (
            before is not None
            and before.operation in _ADDRESSES
            and test.operation in _ADDRESSES
            and test.field == before.field
            and before.no == place
            and before.yes != place
            and asked_from[place] == 1
        )
        if run and not goes_on:
            yield run
            run = []
        run.append(place)
    if run:
        yield run
