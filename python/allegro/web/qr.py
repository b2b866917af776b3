"""QR codes as SVG inside a page: shapes with plain attributes, as its policy allows no style of its own."""

from markupsafe import Markup


def svg(text: str) -> Markup:
    """The code, dark on light whatever the colours of the page are.

    With the margin of four modules that readers want (ISO/IEC 18004); it can be read with 15 % of it damaged.
    """
    import segno  # not before somebody needs a code

    code = segno.make_qr(text, error="m", encoding="utf-8")
    return Markup(code.svg_inline(border=4, omitsize=True, dark="#000", light="#fff"))  # noqa: S704 (escaped)
