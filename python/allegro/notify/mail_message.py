"""A notice as an e-mail (RFC 5322). No I/O."""

import email.policy
from collections.abc import Sequence
from email.message import EmailMessage

from allegro.notify.notice import Notice

_POLICY = email.policy.SMTP.clone(cte_type="7bit")
"""Lines end as SMTP wants it, and nothing needs a server that takes 8 bits."""


def host_name(device: str) -> str:
    """The device's name as mail servers want it: with a domain, that of mDNS (RFC 6762)."""
    return device if "." in device else f"{device}.local"


def content(notice: Notice, sender: str, recipients: Sequence[str]) -> bytes:
    """The whole message, the same at each try. `Auto-Submitted` keeps vacation notices off (RFC 3834)."""
    message = EmailMessage(_POLICY)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Subject"] = f"{notice.device}: {notice.text}"
    message["Date"] = notice.local
    message["Message-ID"] = f"<{notice.id}@{host_name(notice.device)}>"
    message["Auto-Submitted"] = "auto-generated"
    body = f"{notice.text}\n\nDevice: {notice.device}\nTime: {notice.moment}\n"
    message.set_content(body, cte="7bit" if body.isascii() else "quoted-printable")
    return message.as_bytes()
