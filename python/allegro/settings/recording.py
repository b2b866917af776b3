"""The settings of the packet ring: its size, and how much of each packet it keeps."""

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from allegro.errors import InvalidInput
from allegro.settings.base import Section, Text, mistake

if TYPE_CHECKING:
    from allegro.filters import rule_texts
    from allegro.filters.device import GroupTexts

MOST_RULES = 64


class SlicingRule(Section):
    """A rule that says how much of the packets it matches is recorded."""

    enabled: bool = Field(default=True, title="In force", description="The rule is asked")
    name: Text = Field(min_length=1, max_length=64, description="Name shown to the user")
    filter: Text = Field(
        default="",
        max_length=4096,
        title="Packets",
        description="Filter of the packets that the rule is for, such as udpPort == 5060; empty: all",
        json_schema_extra={"format": "filter"},
    )
    action: Literal["keep", "discard", "whole"] = Field(
        default="keep",
        description="What becomes of these packets",
        json_schema_extra={
            "choices": {"keep": "Keep the first bytes", "discard": "Discard", "whole": "Keep whole"}
        },
    )
    bytes: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        title="Bytes",
        description="How many bytes are kept, VLAN tags counted; only where the first bytes are kept",
    )

    @field_validator("filter")
    @classmethod
    def _filter_is_one_for_the_kernel(cls, value: str) -> str:
        if value.strip():
            from allegro.filters.rule_texts import (
                Text,
                check,
            )  # with the first rule: a start does not need it

            try:
                check(Text("", value, "whole"))
            except InvalidInput as error:
                raise ValueError(f"{error.message} {error.remedy}".strip()) from None
        return value.strip()

    @model_validator(mode="after")
    def _what_is_kept_has_a_length(self) -> Self:
        if self.action == "keep" and self.bytes is None:
            raise mistake("say how many bytes are kept", self.bytes, "bytes")
        return self


class Recording(Section):
    """Packet ring buffer."""

    ring_size_mib: int = Field(
        default=1024,
        ge=16,
        le=64 * 1024 * 1024,
        title="Size (MiB)",
        description="Size of the packet ring buffer in MiB (1 MiB = 1048576 bytes)",
    )
    ring_disk: str = Field(
        default="",
        max_length=64,
        pattern=r"^[0-9A-Za-z-]*$",
        title="Disk for the packet ring buffer",
        description="Id (UUID) of the file system where the packet ring buffer lies while that is plugged in;"
        " empty: on the device's own disk",
    )
    ring_disk_mib: int = Field(
        default=1024,
        ge=16,
        le=64 * 1024 * 1024,
        title="Size on that disk (MiB)",
        description="Size of the packet ring buffer on the disk that was chosen for it",
    )
    rules: tuple[SlicingRule, ...] = Field(
        default=(),
        max_length=MOST_RULES,
        title="Slicing rules",
        description="How much of each packet is recorded: the first rule that matches decides, a packet that "
        "none matches is kept whole",
        json_schema_extra={"ordered": True},
    )

    def rules_in_force(self) -> "tuple[rule_texts.Text, ...]":
        """The rules that are asked, in their order."""
        if not any(rule.enabled for rule in self.rules):
            return ()
        from allegro.filters.rule_texts import Text

        return tuple(
            Text(rule.name, rule.filter, rule.action, rule.bytes) for rule in self.rules if rule.enabled
        )

    def check_kernel_takes_rules(self, groups: "GroupTexts") -> None:
        """Raises a mistake at the first rule with which they are too much for the kernel."""
        if not (texts := self.rules_in_force()):
            return
        from allegro.filters.kernel_program import RuleError
        from allegro.filters.rule_texts import rule_set

        try:
            rule_set(texts, groups)
        except RuleError as error:
            row = [row for row, rule in enumerate(self.rules) if rule.enabled][error.number]
            words = f"{error.message} {error.remedy}".removesuffix(".")
            raise mistake(words, self.rules[row].filter, "recording", "rules", row, "filter") from None
