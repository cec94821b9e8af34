"""What a join leaves out: objects of which a joined dataset has no row, counted before a run begins."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hven.compute.pieces import ID
from hven.compute.reading import only_deciding, with_derived
from hven.errors import TooFewObjectsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from hven.compute.bound import BoundInput, Leg

EXACT = 20_000_000
"""Objects of two datasets up to which all of them are compared; of more, an even share."""


@dataclass(frozen=True)
class LeftOut:
    """Objects that a join leaves out.

    Attributes
    ----------
    first, other
        The dataset whose objects are taken, and the one that is joined, as they were asked for.
    objects, missing
        Objects of the first that were looked at, and how many of these the other has no row of.
    share
        One object in so many was looked at.
    is_selected
        Whether a condition or a region excludes some of the others.

    Examples
    --------
    >>> LeftOut("apogee", "distances", 800_000, 12_345).told
    "Join: 12,345 of 800,000 objects of 'apogee' have no row in 'distances', and are not in the result."
    """

    first: str
    other: str
    objects: int
    missing: int
    share: int = 1
    is_selected: bool = False

    @property
    def told(self) -> str:
        """One sentence for people."""
        about = "about " if self.share > 1 else ""
        missing, objects = (_rounded(count * self.share) if about else count for count in (self.missing, self.objects))
        which = " that the selection does not exclude" if self.is_selected else ""
        verb = "has" if missing == 1 else "have"
        return (
            f"Join: {about}{missing:,} of {objects:,} objects of {self.first!r}{which} {verb} no row in "
            f"{self.other!r}, and {'is' if missing == 1 else 'are'} not in the result."
        )


def left_out(inputs: "Sequence[BoundInput]", most: int = EXACT) -> list[LeftOut]:
    """Return what each joined dataset leaves out, of joins that leave out anything.

    All ids of both datasets are compared in this process (0.1 s for 800,000 objects); of more than `most`, those of
    an even share. A condition on columns of a joined dataset excludes no object that this dataset has no row of.

    Parameters
    ----------
    inputs
        All inputs of an analysis, in its order.
    most
        How many objects are compared at most.

    Raises
    ------
    TooFewObjectsError
        If two datasets have no object in common.
    """
    found: list[LeftOut] = []
    for given, others in _joins(inputs):
        known: dict[int, pl.Series] = {}
        for leg in others:
            share = max(-(-(given.first.source.rows + leg.source.rows) // most), 1)
            if share not in known:
                known[share] = _admitted(given, share)
            ids = known[share]
            rows = _ids(leg, share)
            missing = len(ids) - int(ids.is_in(rows.implode()).sum())
            if missing:
                is_selected = given.where is not None or given.region is not None
                found.append(LeftOut(given.first.text, leg.text, len(ids), missing, share, is_selected))
                if missing == len(ids):
                    raise _nothing_in_common(given, found[-1])
    return found


def _joins(inputs: "Sequence[BoundInput]") -> "Iterator[tuple[BoundInput, list[Leg]]]":
    """Give each input that others are joined to, with the other datasets."""
    by_object = [given for given in inputs if not given.is_whole]
    groups = [(by_object[0], by_object[1:])] if by_object else []
    groups += [(given, []) for given in inputs if given.is_whole]
    for first, others in groups:
        legs = {(leg.text, leg.source.pin): leg for given in (first, *others) for leg in given.legs}
        joined = [leg for leg in legs.values() if leg.source.pin != first.first.source.pin]
        if joined:
            yield first, joined


def _admitted(given: "BoundInput", share: int) -> "pl.Series":
    """Return the ids of the first dataset that the condition and the region of an input let through, for all it says.

    Columns of joined datasets are null, as they would be without a row: a condition on them alone excludes none.
    """
    import polars as pl

    if given.where is None and given.region is None:
        return _ids(given.first, share)
    slim = only_deciding(given, is_only=False)
    frame = _some(slim.first.source.scan().select(slim.first.flat), share).collect(engine="streaming")
    for leg in slim.legs[1:]:
        known = leg.source.frame_schema()
        frame = frame.with_columns(pl.lit(None, known[name]).alias(name) for name in leg.flat if name != ID)
    frame = with_derived(slim, frame)
    if slim.where is not None:
        frame = frame.filter(slim.where.fill_null(value=True))
    if slim.region is not None:
        inside = slim.region.contains(frame["ra"].to_numpy(), frame["dec"].to_numpy())
        frame = frame.filter(pl.Series(np.asarray(inside, bool)))
    return frame[ID]


def _ids(leg: "Leg", share: int) -> "pl.Series":
    return _some(leg.source.scan().select(ID), share).collect(engine="streaming")[ID]


def _some(rows: "pl.LazyFrame", share: int) -> "pl.LazyFrame":
    """Return the rows of one object in `share`, the same objects of every dataset."""
    import polars as pl

    return rows if share == 1 else rows.filter(pl.col(ID).hash(seed=0) % share == 0)


def _rounded(count: int) -> int:
    """Return a count to three digits."""
    return int(float(f"{count:.3g}"))


def _nothing_in_common(given: "BoundInput", join: LeftOut) -> TooFewObjectsError:
    which = " that the selection does not exclude" if join.is_selected else ""
    return TooFewObjectsError(
        f"no object of {join.first!r}{which} has a row in {join.other!r}",
        where=f"input {given.name!r}: datasets are joined by object_id",
        expected="datasets of the same objects",
        hint="Look at object_id of both with 'hven head NAME'. Different surveys are joined by 'hven crossmatch'.",
    )
