"""QR codes as SVG inside a page: shapes with plain attributes, as its policy allows no style of its own."""

from markupsafe import Markup

_SPECIAL = str.maketrans({character: f"\\{character}" for character in '\\;,:"'})


def wifi(ssid: str, password: str) -> str:
    """What a phone's camera understands as a WiFi network to join.

    The form that ZXing made common ("Barcode Contents"); WPA stands for WPA2 and WPA3, too.
    """
    return f"WIFI:T:WPA;S:{ssid.translate(_SPECIAL)};P:{password.translate(_SPECIAL)};;"


def svg(text: str) -> Markup:
    """The code, dark on light whatever the colours of the page are.

    With the margin of four modules that readers want (ISO/IEC 18004); it can be read with 15 % of it damaged.
    """
    import segno  # not before somebody needs a code

    code = segno.make_qr(text, error="m", encoding="utf-8")
    return Markup(code.svg_inline(border=4, omitsize=True, dark="#000", light="#fff"))  # noqa: S704 (escaped)
