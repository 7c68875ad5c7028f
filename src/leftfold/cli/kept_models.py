"""The read models that are kept beside a log, found without touching them."""

from collections.abc import Mapping

from leftfold.app import App
from leftfold.errors import InvalidUrl
from leftfold.query import ReadModelDefinition, models_url


def kept_positions(app: App, url: str, log_id: str) -> Mapping[ReadModelDefinition, int]:
    """How far each read model is kept; one that is not, or was made by other code, is left out."""
    place = _place(url)
    if place is None or not app.read_models:
        return {}
    from leftfold.query.tables.stored_models import stored_positions

    return stored_positions(place, app.read_models.values(), log_id)


def usable_models(app: App, url: str, log_id: str) -> str | None:
    """Where the read models are kept, if all are there, fit this code, and may be folded on by this user."""
    place = _place(url)
    if place is None or set(kept_positions(app, url, log_id)) != set(app.read_models.values()):
        return None
    from leftfold.query.tables.stored_models import may_be_folded_on

    return place if may_be_folded_on(place) else None


def _place(url: str) -> str | None:
    try:
        return models_url(url)
    except InvalidUrl:
        return None
