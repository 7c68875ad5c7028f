"""The URL of a models database: SQLAlchemy's form, and the schema in which the tables are kept."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import exc

from leftfold.errors import InvalidUrl
from leftfold.passwords import SECRET_NAMES, misread_password, without_password
from leftfold.store.open import check_path, path_in
from leftfold.wording import unknown_option

HOSTS = re.compile(
    r"(?P<scheme>postgres(ql)?(\+psycopg)?)://(?P<user>[^/?]*@)?(?P<hosts>[^/?@]*[,%][^/?@]*)(?P<path>/[^?]*)?(\?(?P<query>.*))?"
)
"""Matches a URL of several hosts, or of the folder of a socket."""
POSTGRES = ("postgresql", "postgres")
DRIVER = "postgresql+psycopg"
WITHOUT_TRANSACTIONS = ("mysql", "mariadb", "oracle")
OTHERWISE_SPOKEN = ("mssql",)
FILE_OPTIONS = ("timeout",)
NO_SECRETS: Mapping[str, str] = {}


class DatabaseUrl(NamedTuple):
    """`url` without leftfold's own options; `schema` is "" for the database's default schema.

    `secrets` are the options that are passwords: SQLAlchemy's `repr` of a URL, and of an engine, shows options.
    """

    url: sa.URL
    schema: str
    secrets: Mapping[str, str] = NO_SECRETS

    def __str__(self) -> str:
        """Return it for people: without the passwords."""
        return without_password(self.url.render_as_string(hide_password=False))

    def __repr__(self) -> str:
        return f"<DatabaseUrl {self}{f' in {self.schema}' if self.schema else ''}>"


def database_url(text: str) -> DatabaseUrl:
    """Parse a URL; raise `InvalidUrl` if something is wrong with it."""
    url = _parsed(text)
    if url is None:  # and no cause: the messages of SQLAlchemy and Python quote passwords
        raise InvalidUrl(text, "it is not a URL in SQLAlchemy's form")
    if url.drivername in POSTGRES:
        url = url.set(drivername=DRIVER)
    if url.get_backend_name() == "postgresql" and (problem := misread_password(text, _host_of(url), "")):
        raise InvalidUrl(text, problem)
    kind, _, driver = url.drivername.partition("+")
    if kind == "postgresql" and driver != "psycopg":
        raise InvalidUrl(
            str(url),
            f"the driver {driver!r} is not supported; the only driver is psycopg 3, as in postgresql://user@host/name",
        )
    if kind in WITHOUT_TRANSACTIONS:
        raise InvalidUrl(
            str(url), f"{kind} commits whenever a table is created or renamed, so a rebuild could not be undone"
        )
    if kind in OTHERWISE_SPOKEN:
        raise InvalidUrl(str(url), f"{kind} does not rename tables as the SQL standard says")
    return _file(text, url) if kind == "sqlite" else _with_schema(url, kind)


def _parsed(text: str) -> sa.URL | None:
    try:
        return sa.make_url(_hosts_apart(text))
    except (exc.ArgumentError, ValueError):
        return None


def _host_of(url: sa.URL) -> str:
    several = url.query.get("host", ())
    return ",".join([url.host or "", *([several] if isinstance(several, str) else several)]).strip(",")


def _file(text: str, url: sa.URL) -> DatabaseUrl:
    """Parse a file's URL as that of a log is parsed; no path, or `:memory:`, means a database in memory."""
    path = path_in(text)
    check_path(text, path)
    if url.host or url.username or url.password:
        raise InvalidUrl(text, "it does not name a file (three slashes for a relative path, four for an absolute one)")
    for name in url.query:
        if name not in FILE_OPTIONS:
            raise InvalidUrl(text, unknown_option(name, FILE_OPTIONS))
    if path not in ("", ":memory:"):
        path = str(Path(path).absolute())  # the working directory may change later
    return DatabaseUrl(url.set(database=path or None), "")


def _hosts_apart(text: str) -> str:
    """Return libpq's URL of several hosts, or of a folder, in SQLAlchemy's form."""
    found = HOSTS.fullmatch(text)
    if found is None:
        return text
    query = "&".join([*(f"host={host}" for host in found["hosts"].split(",")), *filter(None, [found["query"]])])
    return f"{found['scheme']}://{found['user'] or ''}{found['path'] or '/'}?{query}"


def _with_schema(url: sa.URL, kind: str) -> DatabaseUrl:
    schema = url.query.get("schema", "")
    if schema and (kind != "postgresql" or not isinstance(schema, str)):
        raise InvalidUrl(str(url), "schema= takes one name, and only on PostgreSQL")
    given = {name: url.query[name] for name in SECRET_NAMES if kind == "postgresql" and name in url.query}
    secrets = {name: value for name, value in given.items() if isinstance(value, str)}
    return DatabaseUrl(url.difference_update_query(["schema", *secrets]), str(schema), secrets)
