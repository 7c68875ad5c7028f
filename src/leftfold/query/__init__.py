"""The query side: read models kept as tables by projections, and the queries that are answered from them."""

from leftfold.query.answer_cache import CacheStatus
from leftfold.query.free_projection import FreeProjection
from leftfold.query.handler import QueryHandler
from leftfold.query.models_url import models_url
from leftfold.query.parking import ParkedKey
from leftfold.query.past import OnProgress, Progress
from leftfold.query.read_model import OnChange, ReadModel, ReadModelDefinition
from leftfold.query.read_models import ReadModels
from leftfold.query.read_side import ModelStatus, ReadSide
from leftfold.query.rebuild_report import Differences, Rebuilt
from leftfold.query.recorded import Recorded
from leftfold.query.skips import EventSkipped
from leftfold.query.watch import Watch

__all__ = [
    "CacheStatus",
    "Differences",
    "EventSkipped",
    "FreeProjection",
    "ModelStatus",
    "OnChange",
    "OnProgress",
    "ParkedKey",
    "Progress",
    "QueryHandler",
    "ReadModel",
    "ReadModelDefinition",
    "ReadModels",
    "ReadSide",
    "Rebuilt",
    "Recorded",
    "Watch",
    "models_url",
]
