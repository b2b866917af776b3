"""What servers say is shown without the secrets that they repeat, in whatever form."""

from base64 import b64encode

import pytest

from allegro.notify import mail_way, webhook_way
from allegro.notify.delivery import said
from allegro.settings.notifications import Mail, Webhook

pytestmark = pytest.mark.spec("X7")

URL = (
    "https://hooks.example/services/T0/s%C3%BC%C3%9Fes-%2B/abc{d}efg?wait=true&key=4f%2B9+x&no=7&bare-secret"
)


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("200 ok, as true as 7\n services T0", "200 ok, as ******** as 7 ******** T0"),
        (f"No {URL} here.", "No ******** here"),
        ("GET /services/T0/s%C3%BC%C3%9Fes-%2B/abc{d}efg", "GET /********"),
        ("GET /services/T0/s%C3%BC%C3%9Fes-%2B/abc%7Bd%7Defg", "GET /********"),
        ("GET \\/s\u00fc\u00dfes-+\\/", "GET \\/********\\/"),
        ("Who is abc{d}efg? Who is abc%7Bd%7Defg?", "Who is ********? Who is ********?"),
        ("key 4f%2B9+x, key 4f+9 x, bare-secret", "key ********, key ********, ********"),
        ("Bearer tk_1234567 has ended", "Bearer ******** has ended"),
    ],
)
def test_a_web_server_repeats_no_secret(answer: str, shown: str) -> None:
    assert said(answer, webhook_way.secrets_of(Webhook(url=URL, token="tk_1234567"))) == shown


def test_a_mail_server_repeats_no_secret() -> None:
    settings = Mail(username="meter", password="s3cret", security="tls")
    alone, plain = (b64encode(each).decode() for each in (b"s3cret", b"\0meter\0s3cret"))
    answer = f"535 AUTH PLAIN {plain}: meter has not s3cret ({alone})"
    shown = "535 AUTH PLAIN ********: meter has not ******** (********)"
    assert said(answer, mail_way.secrets_of(settings)) == shown
    assert said(answer, mail_way.secrets_of(Mail())) == answer
