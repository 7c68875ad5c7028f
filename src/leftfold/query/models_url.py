"""Where the read models of a log are kept."""

from pathlib import Path, PurePosixPath
from urllib.parse import quote

from leftfold.errors import InvalidUrl
from leftfold.store.open import POSTGRES, is_read_only, models_of_postgres, path_in, split_url

IN_MEMORY = "sqlite://"


def kept_in_memory(url: str) -> bool:
    """Return whether a models database, given in SQLAlchemy's form, is in memory, where no other process sees it."""
    parts = split_url(url)
    return parts.scheme.startswith("sqlite") and parts.path in ("", "/", "/:memory:")


def models_file(url: str) -> Path | None:
    """Return the file of a models database, given in SQLAlchemy's form; None for one in memory or on a server."""
    in_file = split_url(url).scheme.startswith("sqlite") and not kept_in_memory(url)
    return Path(path_in(url)).absolute() if in_file else None


def models_url(store_url: str) -> str:
    """Return the SQLAlchemy URL of the read models of a log: those of `bank.db` are kept in `bank.models.db` beside it.

    Those of a log in PostgreSQL are kept in the same database, in a schema of their own: `bank_models` for `log=bank`.
    Those of a log in memory, or of a log that can only be read, are kept in memory.
    """
    parts = split_url(store_url)
    if parts.scheme == "memory" or is_read_only(store_url):
        return IN_MEMORY
    if parts.scheme in POSTGRES and (found := models_of_postgres(store_url)):
        return found
    path = PurePosixPath(path_in(store_url))
    if parts.scheme != "sqlite" or not path.name:
        raise InvalidUrl(store_url, "it does not say where to keep the read models")
    return f"sqlite:///{quote(str(path.with_stem(f'{path.stem}.models')))}"
