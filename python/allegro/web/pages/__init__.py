"""All pages, in the order of the menu. A new page is a module here and one entry in this list."""

from allegro.web.pages import (
    administration,
    capture,
    configuration,
    dashboard,
    export,
    firmware,
    links,
    log,
    management,
    manual,
    notifications,
    ring,
    setup,
    storage,
    system,
    time,
    trigger,
    users,
)
from allegro.web.site import Page

PAGES: tuple[Page, ...] = (
    dashboard.PAGE,
    capture.PAGE,
    ring.PAGE,
    storage.PAGE,
    links.PAGE,
    management.PAGE,
    export.PAGE,
    notifications.PAGE,
    trigger.PAGE,
    time.PAGE,
    users.PAGE,
    administration.PAGE,
    configuration.PAGE,
    setup.PAGE,
    firmware.PAGE,
    system.PAGE,
    log.PAGE,
    manual.PAGE,
)
