"""A notice in the form that the receiver of a webhook understands. No I/O."""

from typing import Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from allegro.notify.notice import Notice

Form = Literal["json", "ntfy", "slack", "teams"]
JsonObject = dict[str, Any]


def call(form: Form, url: str, notice: Notice) -> tuple[str, JsonObject]:
    """Where to POST, and the JSON of the body."""
    match form:
        case "ntfy":
            return _ntfy(url, notice)
        case "slack":
            return url, _slack(notice)
        case "teams":
            return url, _teams(notice)
        case "json":
            return url, _json(notice)


def _json(notice: Notice) -> JsonObject:
    return {
        "id": notice.id,
        "time": notice.iso,
        "device": notice.device,
        "kind": notice.kind,
        "severity": notice.severity,
        "text": notice.text,
    }


def _ntfy(url: str, notice: Notice) -> tuple[str, JsonObject]:
    """JSON goes to the server's root, which gets the topic with it (docs.ntfy.sh/publish, "Publish as JSON").

    Priority 3 is the usual one, 4 high.
    """
    parts = urlsplit(url)
    above, _, topic = parts.path.rstrip("/").rpartition("/")
    return urlunsplit((parts.scheme, parts.netloc, f"{above}/", parts.query, "")), {
        "topic": unquote(topic),
        "title": notice.device,
        "message": f"{notice.text}\n{notice.moment}",
        "priority": 4 if notice.severity == "warning" else 3,
    }


def _slack(notice: Notice) -> JsonObject:
    """Three characters have a meaning in any text (Slack, "Formatting text"); Mattermost reads the same."""
    text = f"{notice.device}, {notice.moment}: {notice.text}"
    return {
        "text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        "mrkdwn": False,
    }


def _teams(notice: Notice) -> JsonObject:
    """An Adaptive Card in a message (Teams, "Create incoming webhooks with Workflows").

    TextRun is shown as it is, while TextBlock and facts would read Markdown.
    """
    strong = {"type": "TextRun", "text": notice.text, "weight": "Bolder"}
    quiet = {"type": "TextRun", "text": f"{notice.device}, {notice.moment}", "isSubtle": True}
    return {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [{"type": "RichTextBlock", "inlines": [each]} for each in (strong, quiet)],
                },
            }
        ],
    }
