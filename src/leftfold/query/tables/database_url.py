"""The URL of a models database: SQLAlchemy's form, and the schema in which the tables are kept."""

import re
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import exc

from leftfold.errors import InvalidUrl, unknown_option
from leftfold.store.open import check_path, path_in

HOSTS = re.compile(
    r"(?P<scheme>postgres(ql)?(\+psycopg)?)://(?P<user>[^/?]*@)?(?P<hosts>[^/?@]*[,%][^/?@]*)(?P<path>/[^?]*)?(\?(?P<query>.*))?"
)
"""Several, or the folder of a socket."""
POSTGRES = ("postgresql", "postgres")
DRIVER = "postgresql+psycopg"
WITHOUT_TRANSACTIONS = ("mysql", "mariadb", "oracle")
OTHERWISE_SPOKEN = ("mssql",)
FILE_OPTIONS = ("timeout",)


class DatabaseUrl(NamedTuple):
    """`url` without what is leftfold's own; `schema` is "" where the database's default is meant."""

    url: sa.URL
    schema: str

    def __str__(self) -> str:
        """For people: without the password."""
        return self.url.render_as_string(hide_password=True)


def database_url(text: str) -> DatabaseUrl:
    """Understand a URL; `InvalidUrl` says what is wrong with it."""
    try:
        url = sa.make_url(_hosts_apart(text))
    except (exc.ArgumentError, ValueError) as error:
        raise InvalidUrl(text, "it is not a URL of SQLAlchemy's form") from error
    if url.drivername in POSTGRES:
        url = url.set(drivername=DRIVER)
    kind, _, driver = url.drivername.partition("+")
    if kind == "postgresql" and driver != "psycopg":
        raise InvalidUrl(str(url), f"there is no driver {driver!r}: it is psycopg 3, as in postgresql://user@host/name")
    if kind in WITHOUT_TRANSACTIONS:
        raise InvalidUrl(
            str(url), f"{kind} commits whenever a table is made or renamed: a rebuild could be lost halfway"
        )
    if kind in OTHERWISE_SPOKEN:
        raise InvalidUrl(str(url), f"tables cannot be renamed on {kind} as the SQL standard has it")
    return _file(text, url) if kind == "sqlite" else _with_schema(url, kind)


def _file(text: str, url: sa.URL) -> DatabaseUrl:
    """Read a file's URL as that of a log is read; no path is a database in memory, `:memory:` too."""
    path = path_in(text)
    check_path(text, path)
    if url.host:
        raise InvalidUrl(text, "it names no file (three slashes for a relative path, four for an absolute one)")
    for name in url.query:
        if name not in FILE_OPTIONS:
            raise InvalidUrl(text, unknown_option(name, FILE_OPTIONS))
    if path not in ("", ":memory:"):
        path = str(Path(path).absolute())  # the working directory may change later
    return DatabaseUrl(url.set(database=path or None), "")


def _hosts_apart(text: str) -> str:
    """A PostgreSQL URL of several hosts or a folder, as libpq has it, in SQLAlchemy's form."""
    found = HOSTS.fullmatch(text)
    if found is None:
        return text
    query = "&".join([*(f"host={host}" for host in found["hosts"].split(",")), *filter(None, [found["query"]])])
    return f"{found['scheme']}://{found['user'] or ''}{found['path'] or '/'}?{query}"


def _with_schema(url: sa.URL, kind: str) -> DatabaseUrl:
    schema = url.query.get("schema", "")
    if not schema:
        return DatabaseUrl(url.difference_update_query(["schema"]), "")
    if kind != "postgresql" or not isinstance(schema, str):
        raise InvalidUrl(str(url), "schema= is one name, and for PostgreSQL alone")
    return DatabaseUrl(url.difference_update_query(["schema"]), schema)
