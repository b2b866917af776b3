"""What a phone's camera understands as a WiFi network to join."""

_SPECIAL = str.maketrans({character: f"\\{character}" for character in '\\;,:"'})


def wifi(ssid: str, password: str) -> str:
    """The text of the code, in the form that ZXing made common ("Barcode Contents").

    WPA stands for WPA2 and WPA3, too.
    """
    return f"WIFI:T:WPA;S:{ssid.translate(_SPECIAL)};P:{password.translate(_SPECIAL)};;"
