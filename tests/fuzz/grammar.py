"""Any text as a filter, by atheris: `python -m tests.fuzz.grammar [options of libFuzzer] [folder]`."""

import sys

import atheris

with atheris.instrument_imports(include=["allegro.filters", "lark"]):
    from tests.harness.filter_texts import judge


def one(data: bytes) -> None:
    """A case; what it raises is found."""
    judge(data.decode(errors="replace"))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
