"""The list of captures in SQLite: commits of several statements, and errors in plain words."""

import contextlib
import sqlite3
from collections.abc import Iterator

from allegro.errors import Unavailable


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raises Unavailable for what SQLite cannot do."""
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(
            f"The list of captures cannot be read or written ({error}).",
            place="jobs",
            remedy="Free some space on the data partition; if that does not help, restart the device.",
        ) from error
