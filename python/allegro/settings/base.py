"""What the sections of the settings are made of: base class, kinds of values, how mistakes are told."""

import ipaddress
import json
import re
from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

T = TypeVar("T")
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """Base of all sections: unknown names are mistakes, not ignored; every value is checked."""

    # Built with the first value: a program that reads whole settings needs no checks of each section alone.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, defer_build=True)


def parsed(parse: Callable[[str], T], value: str, what: str) -> T:
    """`parse(value)`; raises ValueError that says what was expected."""
    try:
        return parse(value)
    except ValueError:
        raise ValueError(f"is not {what}") from None


def _printable(value: str) -> str:
    """No control characters: such a text goes into files and commands, where a new line has a meaning."""
    if not value.isprintable():
        raise ValueError("contains characters that cannot be printed")
    return value


Text = Annotated[str, AfterValidator(_printable)]


def mistake(words: str, value: object, *place: str | int) -> ValidationError:
    """To raise in a validator: a mistake at a place below what is validated."""
    return mistakes((words, value, place))


def mistakes(*each: tuple[str, object, tuple[str | int, ...]]) -> ValidationError:
    """Several mistakes at once: words, value and place of each."""
    # Braces would be taken for names of values.
    details = [
        InitErrorDetails(
            type=PydanticCustomError("value_error", words.replace("{", "(").replace("}", ")")),
            loc=place,
            input=value,
        )
        for words, value, place in each
    ]
    return ValidationError.from_exception_data("Settings", details)


_SHOWN = 60

_PLAIN = (
    (r"Input should be a valid integer\b.*", "Must be a whole number"),
    (r"Input should be a valid number\b.*", "Must be a number"),
    (r"Input should be a valid boolean\b.*", "Must be true or false"),
    (r"Input should be a valid string\b.*", "Must be text"),
    (r"Input should be greater than or equal to (\S+)", r"Must be at least \1"),
    (r"Input should be less than or equal to (\S+)", r"Must be at most \1"),
    (r"String should have at least 1 character", "Must not be empty"),
    (r"String should have at (least|most) (\d+ characters?)", r"Must have at \1 \2"),
    (
        r"\w+ should have at (least|most) (\d+) items? after validation, not (\d+)",
        r"Must have at \1 \2 entries, not \3",
    ),
    (r"Input should be a valid (tuple|list|set)\b.*", "Must be a list"),
    (r"Input should be a valid dictionary\b.*", "Must be an object, with a value for each name"),
    (r"Input should be a valid date.*", "Must be a date, or date and time, such as 2026-11-21T14:30:05Z"),
    (r"Field required", "Is missing"),
    (r"Value error, (.*)", r"\1"),
    (r"Input should (.*)", r"Must \1"),
)
"""Messages of pydantic (pydantic_core, errors/types.rs), the first that fits, and what people understand."""


def in_words(message: str) -> str:
    """A message of pydantic as a sentence of ours, without the full stop."""
    for pattern, plain in _PLAIN:
        if found := re.fullmatch(pattern, message, re.DOTALL):
            message = found.expand(plain)
            break
    return message[:1].upper() + message[1:]


def got(value: object, message: str) -> str:
    """What was typed, as it was typed, to stand behind a message about it; empty where that says it already.

    A long text is told by its first 60 characters, one that cannot be printed by a sign in its place.
    """
    if not isinstance(value, str):
        return f" (got {json.dumps(value, default=str)})"
    begin = printable(value[:_SHOWN])
    told = message.casefold()
    head = begin[:40].casefold()
    if not begin or told.startswith(head) or f"'{head}" in told:
        return ""
    return f' (got "{begin}{"…" if len(value) > _SHOWN else ""}")'


def printable(text: str) -> str:
    """With a sign in the place of each character that cannot be seen, or changes how others are shown."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def of_one_device(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Raises ValueError for an address that no other device can be reached at."""
    if (
        address.is_loopback
        or address.is_unspecified
        or address.is_multicast
        or (address.version == 4 and address.is_reserved)
    ):
        raise ValueError(f"{address} is not the address of one device in a network")


def own_address(value: str) -> str:
    """An IPv4 address of this device with prefix length, in its usual form. Raises ValueError."""
    what = "an IPv4 address with prefix length (/1 to /32), like 192.168.1.20/24"
    interface = parsed(ipaddress.IPv4Interface, value, what)
    network = interface.network
    if not value.partition("/")[2].isdecimal() or network.prefixlen == 0:
        raise ValueError(f"is not {what}")
    of_one_device(interface.ip)
    if network.prefixlen <= 30 and interface.ip in (network.network_address, network.broadcast_address):
        raise ValueError(f"is the network or broadcast address of {network}; choose one in between")
    return str(interface)
