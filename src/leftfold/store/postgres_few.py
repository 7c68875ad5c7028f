"""One append of a few events as the arguments of the log's `append_few` function."""

from collections.abc import Sequence

from leftfold.store.admission import AppendRequest
from leftfold.store.postgres_arrays import Array, bigints, blobs, integers, texts
from leftfold.store.postgres_batch import lines

FEW = 4  # events; for more the function that takes many is as fast
COLUMNS = 8  # of a call


def is_few(requests: Sequence[AppendRequest]) -> bool:
    """Whether these requests are one append that the function can take."""
    if len(requests) > 1:
        return False
    [request] = requests
    return len(request.events) <= FEW and not request.keys and all(event.time is None for event in request.events)


def columns_of(request: AppendRequest) -> list[Array]:
    """The arguments of the function from `event_type` on, in their order."""
    events = request.events
    items = [(condition.after, item) for condition in request.conditions for item in condition.criteria.items]
    return [
        texts([event.type for event in events]),
        integers([event.version for event in events]),
        texts(["\n".join(event.tags) for event in events]),
        blobs([event.data for event in events]),
        blobs([event.metadata for event in events]),
        bigints([after for after, _ in items]),
        texts([lines(item.types) for _, item in items]),
        texts([lines(item.tags) for _, item in items]),
    ]
