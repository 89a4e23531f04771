"""A dialect for SQLAlchemy 1.4 and 2.0: `create_engine("sluice:////path/to/folder/app.db")`.

It is known to SQLAlchemy when the package is installed; otherwise call `register()` first. Each statement is committed
by itself, because the ORM needs the ids of its rows at once. So a rollback after a statement that wrote is a
NotSupportedError, and savepoints are, too. With `isolation_level="SERIALIZABLE"` the writes of a transaction are one
request, and nothing can be read between them and the commit: that is for Core, not for the ORM.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

from sqlalchemy.dialects import registry  # type: ignore[import]
from sqlalchemy.dialects.sqlite.base import SQLiteDialect  # type: ignore[import]

from .. import dbapi
from ..errors import UnknownDatabaseError
from ._connection import Connection
from ._errors import NotSupportedError, ProgrammingError, translated

_LEVELS = {"AUTOCOMMIT": True, "SERIALIZABLE": False}


def register() -> None:
    """Makes the name `sluice` known to `create_engine`."""
    registry.register("sluice", __name__, "SluiceDialect")


class SluiceDialect(SQLiteDialect):  # type: ignore[misc]
    """SQLite's dialect, without the PRAGMA statements that a broker refuses."""

    name = "sqlite"
    driver = "sluice"
    default_paramstyle = "qmark"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        return dbapi

    @classmethod
    def dbapi(cls) -> Any:
        """The name of `import_dbapi` in SQLAlchemy 1.4."""
        return dbapi

    def create_connect_args(self, url: Any) -> Tuple[List[Any], Dict[str, Any]]:
        if not url.database:
            raise ProgrammingError("the URL names the file of a database: sluice:////path/to/folder/app.db")
        return [url.database], {"autocommit": True, **url.query}

    def on_connect(self) -> Callable[[Connection], None]:
        after = super().on_connect()

        def prepare(connection: Connection) -> None:
            if after:
                after(connection)
            # As with sqlite3, a database that does not exist is an empty one.
            with translated():
                try:
                    connection.client.read(connection.database, "SELECT 1")
                except UnknownDatabaseError:
                    connection.client.write(connection.database, "PRAGMA user_version = 0")

        return prepare

    def do_rollback(self, dbapi_connection: Connection) -> None:
        was_written = dbapi_connection.has_written
        dbapi_connection.has_written = False
        if was_written:
            raise NotSupportedError("statements were committed one by one, and cannot be rolled back: commit() first")
        dbapi_connection.rollback()

    def do_savepoint(self, connection: Any, name: str) -> None:
        raise NotSupportedError("there are no savepoints")

    def get_isolation_level_values(self, dbapi_connection: Any) -> List[str]:
        return list(_LEVELS)

    def get_default_isolation_level(self, dbapi_connection: Any) -> str:
        return "AUTOCOMMIT"

    def get_isolation_level(self, dbapi_connection: Connection) -> str:
        return "AUTOCOMMIT" if dbapi_connection.autocommit else "SERIALIZABLE"

    def set_isolation_level(self, dbapi_connection: Connection, level: str) -> None:
        if level not in _LEVELS:
            raise ProgrammingError(f"the isolation level is AUTOCOMMIT or SERIALIZABLE, and not {level}")
        dbapi_connection.autocommit = _LEVELS[level]

    def reset_isolation_level(self, dbapi_connection: Connection) -> None:
        dbapi_connection.autocommit = True

    def get_schema_names(self, connection: Any, **_: Any) -> List[str]:
        return ["main"]

    def get_table_names(self, connection: Any, schema: Optional[str] = None, **more: Any) -> List[str]:
        # Without the ledger, which only the broker may change.
        return [x for x in super().get_table_names(connection, schema, **more) if not x.startswith("_sluice_")]

    def _get_server_version_info(self, connection: Any) -> Tuple[int, ...]:
        return tuple(map(int, connection.exec_driver_sql("SELECT sqlite_version()").scalar().split(".")))

    def _get_table_pragma(self, connection: Any, pragma: str, table_name: str, schema: Optional[str] = None) -> Any:
        if schema not in (None, "main"):
            raise NotSupportedError("a broker serves one file per database, whose only schema is main")
        if not pragma.isidentifier():
            raise ProgrammingError(f"no pragma: {pragma}")
        return connection.exec_driver_sql(f"SELECT * FROM pragma_{pragma}(?)", (table_name,)).fetchall()
