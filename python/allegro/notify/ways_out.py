"""The ways out as the settings have them. What talks to a server is loaded by the first who does."""

from allegro.errors import Conflict
from allegro.notify.delivery import Way
from allegro.notify.notice import WayName
from allegro.settings.notifications import Notifications


def way_out(name: WayName, settings: Notifications, device: str) -> Way:
    """The way, whether it is switched on or not. Raises Conflict if it leads nowhere yet."""
    match name:
        case "mail":
            mail = settings.mail
            _checked(name, server=mail.server, sender=mail.sender, recipients=mail.recipients)
            from allegro.notify.mail_way import MailWay

            return MailWay(mail, settings.certificate, device)
        case "webhook":
            _checked(name, url=settings.webhook.url)
            from allegro.notify.webhook_way import WebhookWay

            return WebhookWay(settings.webhook, settings.certificate)
        case "syslog":
            _checked(name, server=settings.syslog.server)
            from allegro.notify.syslog_way import SyslogWay

            return SyslogWay(settings.syslog, settings.certificate)


def _checked(name: WayName, **needed: object) -> None:
    for field, value in needed.items():
        if not value:
            raise Conflict(
                "This way of notifications is not set up yet.",
                place=f"notifications.{name}.{field}",
                remedy=f"Set {' and '.join(needed)} first.",
            )
