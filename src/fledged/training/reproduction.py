"""What came of training a run again."""

from __future__ import annotations

from fledged.records import Record


class Reproduction(Record):
    """A run against the same training done again; a difference is absolute."""

    run_id: str
    n_epochs: int
    weights_sha256: str  # of the run
    again_sha256: str
    largest_difference: float  # of any weight; 0 where all are equal
    where_largest: str  # the tensor that it is in; "" where all are equal
    first_epoch_that_differs: int  # 0 where all figures of all epochs are equal
    differences_of_environment: tuple[str, ...]
    seconds: float  # that it took now

    @property
    def is_equal(self) -> bool:
        """Whether weights and history are the same to the last bit."""
        return self.weights_sha256 == self.again_sha256 and not self.first_epoch_that_differs
