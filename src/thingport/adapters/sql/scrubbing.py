"""Taking what was deleted out of the files of a control database."""

import sqlite3
import time

from sqlalchemy import Engine

from thingport.domain.errors import StoreUnavailable

_STORE = "the control database"

_PATIENCE_S = 60.0
_PAUSE_S = 0.1


def forget_deleted_bytes(engine: Engine) -> None:
    """Write the file of a database anew, and empty its log; others go on meanwhile.

    A server looks after its own files.

    Raises:
        StoreUnavailable: Somebody has read for too long; it may be done again.
    """
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        give_up_at_s = time.monotonic() + _PATIENCE_S
        while True:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            is_busy, *_ = cursor.fetchone() or (True,)
            if not is_busy:
                return
            if time.monotonic() >= give_up_at_s:
                raise StoreUnavailable(_STORE, "it is being read for long")
            time.sleep(_PAUSE_S)
    except sqlite3.OperationalError as error:
        raise StoreUnavailable(_STORE, str(error)) from error
    finally:
        connection.close()
