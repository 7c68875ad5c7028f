"""All figures, by their names."""

from collections.abc import Sequence

from bench import (
    appending,
    deciding,
    loading,
    many,
    postgres_appending,
    postgres_deciding,
    postgres_loading,
    projecting,
    projecting_freely,
    submitting,
    tagging,
)
from bench.figure import Figure

FIGURES: Sequence[Figure] = (
    *deciding.FIGURES,
    *many.FIGURES,
    *appending.FIGURES,
    *tagging.FIGURES,
    *loading.FIGURES,
    *projecting.FIGURES,
    *projecting_freely.FIGURES,
    *submitting.FIGURES,
    *postgres_deciding.FIGURES,
    *postgres_appending.FIGURES,
    *postgres_loading.FIGURES,
)
BY_NAME = {figure.name: figure for figure in FIGURES}
