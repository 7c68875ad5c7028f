"""What a worker tells over HTTP; needs the extra `web`."""

from leftfold.errors import MissingExtra

try:
    from leftfold.web.guard import Limits
    from leftfold.web.health import serve_health
except ModuleNotFoundError as error:
    missing = str(error.name).partition(".")[0]
    if missing not in ("starlette", "uvicorn"):
        raise
    raise MissingExtra(missing, "web") from error

__all__ = ["Limits", "serve_health"]
