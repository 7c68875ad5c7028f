"""Decision models: pure folds that hold what one decision needs."""

from leftfold.events import Message
from leftfold.fold import check_definition


class DecisionModel(Message):
    """Derive, give every field but the key a default, and define `evolve(self, event: A | B) -> Self`.

    The annotation of `evolve`, with the tag-typed fields, is the model's criteria: events of these types that carry
    the key's tags. Where that does not fit, define `criteria(self) -> Criteria`; it is asked on the model with only
    its key set.
    """

    __may_state_criteria__ = True

    @classmethod
    def __check_definition__(cls) -> None:
        check_definition(cls)
