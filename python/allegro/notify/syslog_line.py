"""A notice as a syslog message (RFC 5424) in a frame for TCP (RFC 6587, 3.4.1; RFC 5425, 4.3). No I/O."""

from allegro.notify.notice import Notice

_LOCAL0 = 16
_SEVERITIES = {"warning": 4, "info": 6}
"""RFC 5424, 6.2.1."""

_LARGEST_SEQUENCE = 2**31 - 1
"""RFC 5424, 7.3.1; then it begins again at 1."""


def frame(notice: Notice) -> bytes:
    """The message with its length in bytes before it."""
    content = _message(notice)
    return b"%d %s" % (len(content), content)


def _message(notice: Notice) -> bytes:
    """`sequenceId` is the same at each try. Text that is not ASCII is announced as UTF-8 by its BOM (6.4)."""
    priority = _LOCAL0 * 8 + _SEVERITIES[notice.severity]
    sequence = (notice.number - 1) % _LARGEST_SEQUENCE + 1
    structured = f'[meta sequenceId="{sequence}"]' if notice.number else "-"
    header = f"<{priority}>1 {notice.iso} {_name(notice.device)} allegro - {notice.kind}"
    mark = "" if notice.text.isascii() else "\ufeff"
    return f"{header} {structured} {mark}{notice.text}".encode()


def _name(device: str) -> str:
    """A host name without anything that would end the field."""
    return "".join(each for each in device if "!" <= each <= "~")[:255] or "-"
