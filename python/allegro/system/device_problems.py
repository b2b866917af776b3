"""What is wrong with settings, kept files, network and all else. Rules of `allegro.system.problems`."""

from collections.abc import Iterable

from allegro.system.health import Facts, Problem, Rule

SHOWN_REFUSED = 3
"""So many settings that are not accepted are named one by one."""


def settings_damaged(facts: Facts) -> Iterable[Problem]:
    """The device runs with settings that are not the user's."""
    if facts.settings_problem:
        yield Problem(
            "settings-damaged",
            "error",
            facts.settings_problem,
            "See to the data partition first."
            if facts.data_problem
            else "Check all settings and save them again.",
        )


def settings_refused(facts: Facts) -> Iterable[Problem]:
    """What another version has set does not hold."""
    if facts.settings_refused:
        count = len(facts.settings_refused)
        more = f" (and {count - SHOWN_REFUSED} more)" if count > SHOWN_REFUSED else ""
        yield Problem(
            "settings-refused",
            "warning",
            "This version of the firmware does not accept all of the settings: "
            f"{'; '.join(facts.settings_refused[:SHOWN_REFUSED])}{more}.",
            "These have their defaults; all others hold. They stay in the file for a version that accepts"
            " them, until they are changed here.",
        )


def kept_file_unusable(facts: Facts) -> Iterable[Problem]:
    """A small file that the device keeps for itself could not be used at the start."""
    for each in facts.kept_files:
        yield Problem(
            f"kept-{each.id}",
            "warning" if each.backed else "error",
            each.text,
            "Nothing is lost. If this comes again, replace the disk."
            if each.backed
            else "Restart the device; if this message stays, replace the disk.",
        )


def jobs_damaged(facts: Facts) -> Iterable[Problem]:
    """The list of captures could not be read at the start."""
    if facts.jobs_problem:
        yield Problem(
            "jobs-damaged",
            "warning",
            facts.jobs_problem,
            "Captures that were being made may be missing; finished files are kept.",
        )


def jobs_refused(facts: Facts) -> Iterable[Problem]:
    """There is no list of captures at all. A data partition that cannot be used says so itself."""
    if facts.jobs_refused and not facts.data_problem:
        yield Problem(
            "jobs-refused",
            "error",
            f"No captures can be made: {facts.jobs_refused}",
            "Restart the device; if this message stays, free some space on the data partition.",
        )


def presenter_unreadable(facts: Facts) -> Iterable[Problem]:
    """A presenter is plugged in, but its keys do not arrive."""
    for name, reason in facts.presenter_problems:
        yield Problem(
            "presenter",
            "error",
            f"The keys of the presenter {name} cannot be read: {reason}",
            "Unplug its receiver and plug it in again.",
        )


def firmware_fell_back(facts: Facts) -> Iterable[Problem]:
    """An update did not work."""
    if facts.firmware_fell_back:
        yield Problem(
            "firmware-fell-back",
            "warning",
            facts.firmware_fell_back,
            "The device works as before the update. Get another version, or ask the maker of this device.",
        )


def wifi_fails(facts: Facts) -> Iterable[Problem]:
    """A WiFi adapter is plugged in, but does not do what it should."""
    if facts.wifi_problem is not None:
        yield facts.wifi_problem


def notifications_fail(facts: Facts) -> Iterable[Problem]:
    """Somebody who should be told of something is not."""
    yield from facts.notifications


def first_passwords(facts: Facts) -> Iterable[Problem]:
    """Everybody who has read the manual can come in."""
    if facts.first_passwords:
        yield Problem(
            "first-passwords",
            "warning",
            f"The first password of {' and '.join(facts.first_passwords)} is in force: everybody can read it"
            " in the manual.",
            "Log in to the page: it asks for new ones."
            if "page" in facts.first_passwords
            else "Log in to the page as an administrator; choose WiFi password in the menu behind your name.",
        )


def parts_failed(facts: Facts) -> Iterable[Problem]:
    """A part of the supervisor did not start; the others go on."""
    for part, reason in facts.failed_parts:
        yield Problem(
            f"part-{part.lower().replace(' ', '-')}",
            "error",
            f"The {part} does not work: {reason}",
            "Everything else goes on. Restart the device if this message stays.",
        )


def network_taken_back(facts: Facts) -> Iterable[Problem]:
    """What the user wanted is not what holds."""
    if facts.network_taken_back:
        yield Problem(
            "network-taken-back",
            "warning",
            f"The last change of the network settings was taken back {facts.network_taken_back}.",
            "Make it again, open the page at the new address, and confirm it there.",
        )


def network_waits(facts: Facts) -> Iterable[Problem]:
    """A change of the network is taken back if nobody does anything."""
    if facts.network_waits_s is not None:
        yield Problem(
            "network-waits",
            "warning",
            f"Changed network settings are taken back in {facts.network_waits_s:.0f} s.",
            "Confirm them on the page Management interface settings to keep them.",
        )


RULES: tuple[Rule, ...] = (
    settings_damaged,
    settings_refused,
    kept_file_unusable,
    jobs_damaged,
    jobs_refused,
    presenter_unreadable,
    firmware_fell_back,
    wifi_fails,
    notifications_fail,
    first_passwords,
    parts_failed,
    network_taken_back,
    network_waits,
)
