"""The kinds of dataset that a lake keeps."""

from typing import Literal, get_args

Kind = Literal["table", "spectra", "images", "cube", "model", "result"]

KINDS: tuple[str, ...] = get_args(Kind)
