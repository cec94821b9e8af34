"""What the comments of VizieR's tab-separated files say of the columns and of the frame of positions."""

import re
from collections.abc import Sequence

from hven import Column

_COLUMN = re.compile(
    r"^#Column\s+(?P<name>\S+)\s+\((?P<format>[^)]*)\)\s*(?P<text>.*?)\s*(?:\[ucd=(?P<ucd>[^\]]*)\])?\s*$"
)
_FRAME = re.compile(
    r"(?i)^#\s*(?:COOSYS|INFO)\s.*?(eq_FK[45]|FK[45]|ICRS|galactic|ecl_FK[45])\s*:?=?\s*([JB]?\d{4}(?:\.\d+)?)?"
)


def vizier_columns(comments: Sequence[str], names: Sequence[str]) -> list[Column]:
    r"""Return the descriptions and UCDs of columns that the comments tell.

    Examples
    --------
    >>> line = "#Column\tJmag\t(F5.2)\t? J magnitude\t[ucd=phot.mag;em.IR.J]"
    >>> vizier_columns([line], ["Jmag"])[0].description, vizier_columns([line], ["Jmag"])[0].ucd
    ('J magnitude', 'phot.mag;em.IR.J')
    """
    columns = []
    for line in comments:
        found = _COLUMN.match(line)
        if found and found["name"] in names:
            text = re.sub(r"^\s*(?:[\[\]][^\[\]]*[\[\]])?\??(?:=\S+)?\s*", "", found["text"])
            columns.append(Column(found["name"], "", ("object",), "", text, found["ucd"] or ""))
    return columns


def vizier_frame(comments: Sequence[str]) -> str:
    r"""Return the frame of the positions that the comments tell, the one of 2000 or ICRS if there are several.

    Examples
    --------
    >>> vizier_frame(["#COOSYS\tB1950:\teq_FK4 B1950", "#Coosys\tJ2000:\teq_FK5 J2000"]), vizier_frame([])
    ('eq_FK5 J2000', '')
    """
    frames = [" ".join(part for part in found.groups() if part) for line in comments if (found := _FRAME.match(line))]
    preferred = [frame for frame in frames if "ICRS" in frame.upper()] or [frame for frame in frames if "2000" in frame]
    return (preferred or frames or [""])[0]
