"""Which filters in new settings are about a port that the device does not have."""

from collections.abc import Sequence

from allegro.settings.model import Settings
from allegro.trigger.service import checked_filter


def check_filter(old: Settings, new: Settings, ports: Sequence[str]) -> None:
    """Raises InvalidInput for a new filter (of presses, rows, rules) about a port that is not there."""
    if new.trigger.filter != old.trigger.filter:
        checked_filter(new.trigger.filter, ports, new.groups.texts, place="trigger.filter")
    for number, each in enumerate(new.trigger.rows):
        if each not in old.trigger.rows:
            checked_filter(each.filter, ports, new.groups.texts, place=f"trigger.rows.{number}.filter")
    for row, rule in enumerate(new.recording.rules):
        if rule not in old.recording.rules:
            checked_filter(rule.filter, ports, new.groups.texts, place=f"recording.rules.{row}.filter")
