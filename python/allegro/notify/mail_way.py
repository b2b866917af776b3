"""Hands messages to a mail server by SMTP (RFC 5321), with STARTTLS (RFC 3207) or TLS (RFC 8314)."""

import contextlib
import smtplib
from base64 import b64encode
from collections.abc import Iterator
from functools import partial

from allegro.notify import mail_message
from allegro.notify.delivery import STEP_TIMEOUT_S, Send, Taken, Undelivered, explain, said
from allegro.notify.notice import Notice
from allegro.settings.notifications import Mail
from allegro.trust import trusting

_MECHANISMS = ("PLAIN", "LOGIN")
"""RFC 4616, and the old one that some servers have only. The connection is encrypted, so both will do."""

_CLOSING = 421
"""The server ends the connection, in answer to whatever (RFC 5321, 3.8)."""


class MailWay:
    """By e-mail, as the settings have it. `device` is the host name."""

    def __init__(self, settings: Mail, certificate: str, device: str) -> None:
        self._settings = settings
        self._certificate = certificate
        self._device = device
        self._place = f"{settings.server}:{settings.port}"

    @property
    def target(self) -> str:
        """Server and recipients."""
        return f"{', '.join(self._settings.recipients)} by {self._place}"

    @contextlib.contextmanager
    def connection(self) -> Iterator[Send]:
        """Connects, and logs in if a user is set. Raises Undelivered."""
        try:
            with contextlib.closing(self._connected()) as smtp:
                self._log_in(smtp)
                yield partial(self._send, smtp)
                with contextlib.suppress(OSError, smtplib.SMTPException):
                    smtp.quit()
        except smtplib.SMTPServerDisconnected as error:
            why = error.__context__ if isinstance(error.__context__, OSError) else ConnectionResetError()
            raise explain(why, self._place) from error
        except smtplib.SMTPResponseException as error:
            raise self._refused("refuses", error.smtp_code, error.smtp_error) from error
        except (OSError, smtplib.SMTPException) as error:
            raise explain(error, self._place) from error

    def _connected(self) -> smtplib.SMTP:
        """Connected and, if set so, encrypted."""
        own = self._settings
        name = mail_message.host_name(self._device)
        if own.security == "tls":
            context = trusting(self._certificate)
            return smtplib.SMTP_SSL(
                own.server, own.port, local_hostname=name, timeout=STEP_TIMEOUT_S, context=context
            )
        smtp = smtplib.SMTP(own.server, own.port, local_hostname=name, timeout=STEP_TIMEOUT_S)
        try:
            smtp.ehlo_or_helo_if_needed()
            if own.security == "starttls":
                if not smtp.has_extn("starttls"):
                    raise Undelivered(
                        "The mail server offers no encryption by STARTTLS, so nothing was sent.",
                        place=self._place,
                        remedy="Choose the port for STARTTLS (usually 587), or TLS (usually 465).",
                    )
                smtp.starttls(context=trusting(self._certificate))
                smtp.ehlo()
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _log_in(self, smtp: smtplib.SMTP) -> None:
        own = self._settings
        smtp.ehlo_or_helo_if_needed()
        if not own.username:
            return
        offered = smtp.esmtp_features.get("auth", "").upper().split()
        mechanism = next((each for each in _MECHANISMS if each in offered), None)
        if mechanism is None:
            raise Undelivered(
                f"The mail server offers no way to log in that the device knows ({said(' '.join(offered))}).",
                place=self._place,
                remedy="Choose the port for it (usually 587 or 465), or leave the user name empty.",
            )
        code, answer = _authenticated(smtp, mechanism, own.username.encode(), own.password.encode())
        if code not in (235, 503):  # 503: logged in already
            raise Undelivered(
                f"The mail server did not accept user {own.username} with this password: "
                f"{self._answer(code, answer)}.",
                place=self._place,
                remedy="Check user name and password; some servers want a password of its own for programs.",
            )

    def _send(self, smtp: smtplib.SMTP, notice: Notice) -> Taken:
        own = self._settings
        content = mail_message.content(notice, own.sender, own.recipients)
        code, answer = smtp.mail(own.sender)
        if code != 250:
            raise self._gone_back(smtp, f"does not take mail from {own.sender}", code, answer)
        refused: list[tuple[str, int, bytes | str]] = []
        for recipient in own.recipients:
            code, answer = smtp.rcpt(recipient)
            if code == _CLOSING:
                raise self._refused("refuses", code, answer)
            if code not in (250, 251):
                refused.append((recipient, code, answer))
        if len(refused) == len(own.recipients):
            raise self._gone_back(smtp, f"takes no mail for {refused[0][0]}", *refused[0][1:])
        try:
            code, answer = smtp.data(content)
        except smtplib.SMTPDataError as error:
            raise self._gone_back(
                smtp, "does not take the message", error.smtp_code, error.smtp_error
            ) from error
        if code != 250:
            raise self._gone_back(smtp, "does not take the message", code, answer)
        complaint = "; ".join(f"{name}: {self._answer(reply, text)}" for name, reply, text in refused)
        return Taken(
            f"The mail server has taken the message: {self._answer(code, answer)}.",
            f"The mail server takes no mail for {complaint}." if complaint else "",
        )

    def _gone_back(self, smtp: smtplib.SMTP, what: str, code: int, answer: bytes | str) -> Undelivered:
        """It concerns this message; the next one begins anew."""
        if code == _CLOSING:
            return self._refused("refuses", code, answer)
        smtp.rset()
        return self._refused(what, code, answer, of_message=True)

    def _refused(self, what: str, code: int, answer: bytes | str, *, of_message: bool = False) -> Undelivered:
        if code < 0:  # smtplib says so of an answer that does not begin with a number
            return Undelivered(
                "What answers there is no mail server.", place=self._place, remedy="Check server and port."
            )
        return Undelivered(
            f"The mail server {what}: {self._answer(code, answer)}.",
            place=self._place,
            remedy="Check sender, recipients and log-in, or ask who runs the mail server.",
            of_message=of_message,
        )

    def _answer(self, code: int, answer: bytes | str) -> str:
        text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
        return said(f"{code} {text}", secrets_of(self._settings))


def _authenticated(smtp: smtplib.SMTP, mechanism: str, username: bytes, password: bytes) -> tuple[int, bytes]:
    """The server's last answer (RFC 4954, 4). In UTF-8 (RFC 4616, 2); `auth` of smtplib knows ASCII only."""
    if mechanism == "PLAIN":
        proof = _in_base64(b"\0".join((b"", username, password)))
        code, answer = smtp.docmd("AUTH", f"PLAIN {proof}")
        return smtp.docmd(proof) if code == 334 else (code, answer)  # some ask for what they got already
    code, answer = smtp.docmd("AUTH", "LOGIN")
    for each in (username, password):
        if code == 334:
            code, answer = smtp.docmd(_in_base64(each))
    return code, answer


def _in_base64(data: bytes) -> str:
    return b64encode(data).decode()


def secrets_of(settings: Mail) -> set[str]:
    """What no answer may show: the password, as it is and as PLAIN (RFC 4616) and LOGIN send it."""
    own = settings.password
    if not own:
        return set()
    sent = (own, f"\0{settings.username}\0{own}")
    return {own, *(b64encode(each.encode()).decode() for each in sent)}
