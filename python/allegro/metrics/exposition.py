"""The text format in which Prometheus and others read metrics. Pure functions, no I/O.

Source: Prometheus documentation, "Exposition formats", text format 0.0.4.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Kind = Literal["counter", "gauge"]


@dataclass(frozen=True)
class Sample:
    """A value of a family, told from its other ones by `labels`."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """A metric: `help` says in one line what it counts. A counter's name ends in `_total`, and the
    unit (seconds, bytes, ratio) stands in the name, too."""

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...]


def text(families: Iterable[Family]) -> str:
    """The families that have a sample, in their order."""
    return "".join(_family(family) for family in families if family.samples)


def _family(family: Family) -> str:
    told = family.help.replace("\\", r"\\").replace("\n", r"\n")
    lines = [f"# HELP {family.name} {told}", f"# TYPE {family.name} {family.kind}"]
    lines += [f"{family.name}{_labels(sample.labels)} {_number(sample.value)}" for sample in family.samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    return (
        "{" + ",".join(f'{name}="{_quoted(value)}"' for name, value in labels.items()) + "}" if labels else ""
    )


def _quoted(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    """Whole numbers as such: a counter of bytes is exact up to 2**53 for who reads it as a float."""
    return str(int(value)) if value == int(value) else repr(value)
