"""Forms from the settings models: what is declared there decides label, kind, range and help of each input.

Understood of JSON Schema: string, integer, number, boolean, enum, null as an alternative; arrays of strings;
arrays of objects (a table); objects (a group of fields). `json_schema_extra` of a field may say more:
`secret`; `format` "time-of-day" or "long-text"; `ordered`, of a table whose rows can be moved; and `choices`,
a table from each value of an enum to its label. No I/O.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from allegro.errors import AllegroError
from allegro.words import size

if TYPE_CHECKING:
    from pydantic import BaseModel

Kind = Literal[
    "text", "filter", "number", "checkbox", "select", "secret", "lines", "long", "time", "table", "group"
]
Values = Mapping[str, Any]
Data = Mapping[str, Sequence[str]]

SPARE_ROWS = 1
"""Empty rows at the end of a table, to add with; a row that is left empty, or is emptied, does not count."""

_WORDS = {
    "dhcp": "DHCP", "dns": "DNS", "ntp": "NTP", "ip": "IP", "ipv4": "IPv4", "ipv6": "IPv6", "mdns": "mDNS",
    "wifi": "WiFi", "ssid": "SSID", "usb": "USB", "sftp": "SFTP", "url": "URL", "bmc": "BMC", "id": "id",
}  # fmt: skip
_FORMATS: Mapping[str, Kind] = {"time-of-day": "time", "long-text": "long", "filter": "filter"}
_UNITS = {"s": "seconds", "ms": "milliseconds", "mib": "MiB", "kib": "KiB"}


@dataclass(frozen=True)
class Field:
    """One input. `name` is its place in the settings (`trigger.before_s`): so the API names mistakes."""

    name: str
    kind: Kind
    label: str
    help: str = ""
    value: Any = ""
    choices: tuple[tuple[str, str], ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    suggestions: tuple[str, ...] = ()  # of a text that may be another one, too
    error: str = ""
    fields: tuple["Field", ...] = ()  # of a group; of a table its columns
    rows: tuple[tuple["Field", ...], ...] = ()  # of a table
    ordered: bool = False  # of a table: its rows have buttons to move them
    try_at: str = ""  # of a table: what a row is sent to, to be tried out
    when: str = ""
    """The choices with which it means something: `management.mode=static|server`, several with blanks between
    them. A script shows it only then."""

    @property
    def id(self) -> str:
        """For label and input."""
        return "field-" + re.sub(r"[^A-Za-z0-9]", "-", self.name)


@dataclass(frozen=True)
class Form:
    """Inputs of one section. `error`: a mistake that belongs to no field in particular.

    `seen`: the values in force when the form was made, as JSON; they come back with it.
    """

    fields: tuple[Field, ...]
    error: str = ""
    seen: str = ""
    first_wrong: str = field(default="", compare=False)  # id of the input that gets the focus
    unsaved: bool = False  # rows were moved, added or removed
    question: str = ""  # to be answered before it is saved


def form(model: "type[BaseModel]", name: str, values: Values, *, leave_out: Sequence[str] = ()) -> Form:
    """The form of a section with these values (as the API shows them)."""
    schema = model.model_json_schema()
    return Form(tuple(_fields(schema, schema.get("$defs", {}), name, values, leave_out)))


def with_suggestions(made: Form, name: str, suggestions: Sequence[str]) -> Form:
    """The form with values to choose from at the text input of this name."""
    fields = (
        replace(each, suggestions=tuple(suggestions)) if each.name == name else each for each in made.fields
    )
    return replace(made, fields=tuple(fields))


def patch(
    model: "type[BaseModel]", name: str, data: Data, *, leave_out: Sequence[str] = ()
) -> dict[str, Any]:
    """What was typed, as a patch of the section. What is no number stays text: the API says what is wrong."""
    schema = model.model_json_schema()
    return _typed(schema, schema.get("$defs", {}), name, data, leave_out)


def with_error(wrong: Form, error: AllegroError) -> Form:
    """The form with each mistake shown once, at its field.

    A mistake of a whole section is shown at the first field that its message names, at the top if it names
    none.
    """
    fields, elsewhere = wrong.fields, []
    for each in (error, *error.more):
        text = f"{each.message} {each.remedy}".strip()
        place = each.place if _holds(fields, each.place) else _first_named(fields, each.message)
        if place:
            fields = _marked(fields, place, text)
        else:
            elsewhere.append(text)
    return replace(wrong, fields=fields, error=" ".join(elsewhere), first_wrong=_first_wrong(fields))


def with_changes(made: Form, seen: Values, present: Values) -> Form:
    """The form with a word at each field that somebody else has changed: its value before, and now."""
    return replace(made, fields=_with_changes(made.fields, seen, present))


def _fields(
    schema: Values, definitions: Values, prefix: str, values: Values, leave_out: Sequence[str] = ()
) -> Iterator[Field]:
    for name, declared in schema.get("properties", {}).items():
        if name not in leave_out:
            yield _field(_resolved(declared, definitions), definitions, f"{prefix}.{name}", values.get(name))


def _field(schema: Values, definitions: Values, name: str, value: Any) -> Field:
    kind = _kind(schema, definitions)
    made = Field(
        name=name,
        kind=kind,
        label=_label(name.rpartition(".")[2], schema),
        help=_help(schema, name, value),
        value=_shown(kind, value),
        choices=_choices(schema),
        minimum=schema.get("minimum"),
        maximum=schema.get("maximum"),
        max_length=schema.get("maxLength"),
        when=_when(schema, name.rpartition(".")[0]),
    )
    if kind == "group":
        return replace(made, fields=tuple(_fields(schema, definitions, name, value or {})))
    if kind == "table":
        row = _resolved(schema["items"], definitions)
        rows = [*(value or ()), *(_defaults(row, definitions) for _ in range(SPARE_ROWS))]
        return replace(
            made,
            fields=tuple(_fields(row, definitions, name, {})),
            ordered=bool(schema.get("ordered")),
            rows=tuple(
                tuple(_fields(row, definitions, f"{name}.{index}", values))
                for index, values in enumerate(rows)
            ),
        )
    return made


def _when(schema: Values, beside: str) -> str:
    """`beside`: where the fields lie that it depends on."""
    conditions: Mapping[str, Sequence[str]] = schema.get("when", {})
    return " ".join(f"{beside}.{name}={'|'.join(values)}" for name, values in conditions.items())


def _help(schema: Values, name: str, value: Any) -> str:
    """With what a size in MiB is among those that the pages show."""
    text: str = schema.get("description", "")
    if name.endswith("_mib") and isinstance(value, int) and value > 0:
        text += f"; {value} MiB are {size(value << 20)}"
    return text


def _defaults(row: Values, definitions: Values) -> dict[str, Any]:
    """What a new row begins with."""
    columns = {name: _resolved(each, definitions) for name, each in row.get("properties", {}).items()}
    return {name: column["default"] for name, column in columns.items() if "default" in column}


def _kind(schema: Values, definitions: Values) -> Kind:
    if schema.get("secret"):
        return "secret"
    if "enum" in schema or "const" in schema:
        return "select"
    match schema.get("type"):
        case "boolean":
            return "checkbox"
        case "integer" | "number":
            return "number"
        case "object":
            return "group"
        case "array":
            return "table" if _resolved(schema["items"], definitions).get("type") == "object" else "lines"
        case _:
            return _FORMATS.get(schema.get("format", ""), "text")


def _resolved(schema: Values, definitions: Values) -> Values:
    """Without `$ref`, `allOf` of one and the alternative null; the field's own description wins, and only its
    own title counts: that of what is referred to is the name of a class."""
    if "anyOf" in schema:
        others = [each for each in schema["anyOf"] if each.get("type") != "null"]
        own = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**_resolved(others[0], definitions), **own, "nullable": len(others) < len(schema["anyOf"])}
    if "$ref" in schema:
        referred = definitions[schema["$ref"].rpartition("/")[2]]
        target = {key: value for key, value in referred.items() if key != "title"}
        own = {key: value for key, value in schema.items() if key != "$ref"}
        return {**target, **own}
    return schema


def _label(name: str, schema: Values) -> str:
    """The title if somebody wrote one, else the name in words, with its unit in brackets."""
    title: str = schema.get("title", "")
    derived = name.replace("_", " ").title()
    if title and title != derived:
        return title
    words = name.split("_")
    unit = _UNITS.get(words[-1]) if len(words) > 1 else None
    if unit:
        words = words[:-1]
    text = " ".join(_WORDS.get(word, word) for word in words)
    return text[:1].upper() + text[1:] + (f" ({unit})" if unit else "")


def _choices(schema: Values) -> tuple[tuple[str, str], ...]:
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    labels = schema.get("choices", {})
    return tuple((str(value), labels.get(value, _choice(str(value)))) for value in values)


def _choice(value: str) -> str:
    text = " ".join(_WORDS.get(word, word) for word in re.split(r"[_-]", value))
    return text[:1].upper() + text[1:]


def _shown(kind: Kind, value: Any) -> Any:
    if kind == "checkbox":
        return bool(value)
    if kind == "lines":
        return "\n".join(value or ())
    return "" if value is None else value


def _typed(
    schema: Values, definitions: Values, prefix: str, data: Data, leave_out: Sequence[str] = ()
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, declared in schema.get("properties", {}).items():
        if name in leave_out:
            continue
        resolved = _resolved(declared, definitions)
        place = f"{prefix}.{name}"
        kind = _kind(resolved, definitions)
        if kind == "group":
            result[name] = _typed(resolved, definitions, place, data)
        elif kind == "table" and any(key.startswith(f"{place}.") for key in data):
            result[name] = _typed_rows(_resolved(resolved["items"], definitions), definitions, place, data)
        elif kind == "checkbox":
            result[name] = place in data
        elif place in data:  # what the form did not show stays as it is
            result[name] = _typed_value(kind, resolved, data[place][0])
    return result


def _typed_rows(schema: Values, definitions: Values, place: str, data: Data) -> list[dict[str, Any]]:
    numbers = {
        int(found[1]) for key in data if (found := re.match(rf"{re.escape(place)}\.(\d{{1,4}})\.", key))
    }
    columns = schema.get("properties", {})
    # A list of choices always has a value: it does not make a row.
    telling = {
        name for name in columns if _kind(_resolved(columns[name], definitions), definitions) != "select"
    }
    rows = (_typed(schema, definitions, f"{place}.{number}", data) for number in sorted(numbers))
    empty = _defaults(schema, definitions)
    return [
        row
        for row in rows
        if any(_is_something(row[name]) and row[name] != empty.get(name) for name in telling & row.keys())
    ]


def _is_something(value: Any) -> bool:
    """Whether somebody typed it. A zero is something, though it equals False."""
    return value is not None and value is not False and value != "" and value != []


def _typed_value(kind: Kind, schema: Values, text: str) -> Any:
    if kind == "lines":
        return [part for part in re.split(r"[\s,;]+", text) if part]
    if kind == "secret":
        return text
    text = text.strip()
    if not text and schema.get("nullable"):
        return None
    if kind == "number":
        if re.fullmatch(r"[+-]?\d{1,18}", text):
            return int(text)
        if schema.get("type") == "number" and re.fullmatch(r"[+-]?\d{1,18}\.\d{1,9}", text):
            return float(text)
    return text


def _marked(fields: Sequence[Field], place: str, text: str) -> tuple[Field, ...]:
    """The fields with the error at that of the place; in tables at the cell, else at the table."""
    result = []
    for each in fields:
        if each.kind == "group":
            result.append(replace(each, fields=_marked(each.fields, place, text)))
        elif any(_holds(row, place) for row in each.rows):
            result.append(replace(each, rows=tuple(_marked(row, place, text) for row in each.rows)))
        else:
            result.append(replace(each, error=text) if _is_at(each, place) else each)
    return tuple(result)


def _holds(fields: Sequence[Field], place: str) -> bool:
    return any(_holds(each.fields, place) if each.kind == "group" else _is_at(each, place) for each in fields)


def _is_at(candidate: Field, place: str) -> bool:
    return place == candidate.name or place.startswith(f"{candidate.name}.")


def _first_named(fields: Sequence[Field], message: str) -> str:
    """The name of the first field that the message names; empty if it names none."""
    for each in fields:
        if each.kind == "group":
            if named := _first_named(each.fields, message):
                return named
        elif _names(message, each):
            return each.name
    return ""


def _names(message: str, candidate: Field) -> bool:
    name = candidate.name.rpartition(".")[2]
    return bool(re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", message, re.IGNORECASE))


def _with_changes(fields: Sequence[Field], seen: Values, present: Values) -> tuple[Field, ...]:
    result = []
    for each in fields:
        name = each.name.rpartition(".")[2]
        before, now = seen.get(name), present.get(name)
        if each.kind == "group":
            result.append(replace(each, fields=_with_changes(each.fields, before or {}, now or {})))
        elif before != now:
            words = f"Changed by somebody else: {_said(each, before)} before, {_said(each, now)} now."
            result.append(replace(each, error=words))
        else:
            result.append(each)
    return tuple(result)


def _said(field: Field, value: Any) -> str:
    if field.kind == "checkbox":
        return "on" if value else "off"
    if field.kind in ("table", "lines"):
        rows = [each if isinstance(each, str) else " ".join(map(str, each.values())) for each in value or ()]
        return ", ".join(rows) or "none"
    return dict(field.choices).get(str(value), str(value)) or "empty"


def _first_wrong(fields: Sequence[Field]) -> str:
    for each in fields:
        if each.error:
            return each.id
        for row in (each.fields if each.kind == "group" else (), *each.rows):
            if found := _first_wrong(row):
                return found
    return ""
