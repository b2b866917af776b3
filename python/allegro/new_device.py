"""What lets into a new device: printed in the manual, shown on the console, changed at the first log-in."""

PAGE_USER = "admin"
PAGE_PASSWORD = "allegro"  # noqa: S105 (see above)
WIFI_PASSWORD = "Allegro-MM"  # noqa: S105 (see above)
