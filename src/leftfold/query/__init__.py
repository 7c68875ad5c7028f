"""The query side: read models kept as tables by projections, and the queries that are answered from them."""

from leftfold.query.aggregates import Groups
from leftfold.query.answer_cache import CacheStatus
from leftfold.query.answering import Watch
from leftfold.query.folded_log import EventSkipped, OnProgress, ReplayProgress
from leftfold.query.handler import QueryHandler
from leftfold.query.indexes import Indexes
from leftfold.query.models_url import models_url
from leftfold.query.paging import Page
from leftfold.query.parking import ParkedKey
from leftfold.query.read_model import OnChange, ReadModel, ReadModelDefinition, RowChange
from leftfold.query.read_models import ReadModels
from leftfold.query.read_side import ModelStatus, ReadSide
from leftfold.query.rebuild_report import Differences, Rebuilt
from leftfold.query.reference import Join, Reference
from leftfold.query.searching import Found
from leftfold.query.sql_projection import SqlProjection
from leftfold.query.statement_plan import StatementPlan
from leftfold.query.text_fields import Text

__all__ = [
    "CacheStatus",
    "Differences",
    "EventSkipped",
    "Found",
    "Groups",
    "Indexes",
    "Join",
    "ModelStatus",
    "OnChange",
    "OnProgress",
    "Page",
    "ParkedKey",
    "QueryHandler",
    "ReadModel",
    "ReadModelDefinition",
    "ReadModels",
    "ReadSide",
    "Rebuilt",
    "Reference",
    "ReplayProgress",
    "RowChange",
    "SqlProjection",
    "StatementPlan",
    "Text",
    "Watch",
    "models_url",
]
