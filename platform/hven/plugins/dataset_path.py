"""Parameters that name a dataset: checked before anything runs, pinned, and opened by the analysis that needs it."""

from typing import TYPE_CHECKING, Any, Self

from hven.errors import HvenError, NameRefusedError
from hven.schema import check_name

if TYPE_CHECKING:
    import xarray as xr

    from hven.lake import DatasetHandle, Lake


class DatasetPath(str):  # noqa: SLOT000  its attributes travel in its __dict__ when it is pickled
    """The path of a dataset, as a parameter: ``NAME``, ``NAME@VERSION`` or ``URL#NAME@VERSION``.

    For a dataset that is chosen by name and is not an input: a grid of models, one of several dust maps. A run refuses
    one that does not exist, and pins it, so that the result is computed again when that dataset has changed. What an
    analysis always needs is better declared as an input.

    Parameters
    ----------
    text
        The path.
    home
        The address of the lake that a path without one is meant in; a run fills it in.
    number
        The catalog of that lake in which the dataset was looked up, when a run did.

    Raises
    ------
    NameRefusedError
        If the text cannot be the path of a dataset.

    Examples
    --------
    >>> path = DatasetPath("s3://surveys/lake#dust_map@dr1")
    >>> path.url, path.name, path.version
    ('s3://surveys/lake', 'dust_map', 'dr1')
    """

    home: str
    number: int | None

    def __new__(cls, text: str, home: str = "", number: int | None = None) -> Self:  # noqa: D102
        made = super().__new__(cls, text)
        made.home, made.number = home, number
        check_name(made.name)
        return made

    @property
    def url(self) -> str:
        """The address of another lake; empty for the run's own."""
        return self.rpartition("#")[0]

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.rpartition("#")[2].partition("@")[0]

    @property
    def version(self) -> str:
        """A catalog number or a release; empty for the newest."""
        return self.rpartition("#")[2].partition("@")[2]

    def handle(self) -> "DatasetHandle":
        """Return the dataset in its lake.

        Raises
        ------
        LakeNotFoundError, VersionNotFoundError, DatasetNotFoundError
            If it is not there.
        NameRefusedError
            If the path has no address, and no run has said which lake is meant.
        """
        from hven.lake import open as open_lake

        address = self.url or self.home
        if not address:
            raise NameRefusedError(
                f"{str(self)!r} does not say in which lake",
                expected="URL#NAME outside of a run",
                hint=f"Write it as DatasetPath('my-lake#{self}').",
            )
        lake = open_lake(address)
        version = self.version if self.number is None else self.number
        return (lake if version == "" else lake.at(version))[self.name]

    def dataset(self) -> "xr.Dataset":
        """Return the dataset, lazy; errors as those of `handle`."""
        return self.handle().dataset()

    def pinned(self, lake: "Lake") -> Self:
        """Return the path of the very state that is meant now, when a path without address is one of `lake`.

        Raises
        ------
        LakeNotFoundError, VersionNotFoundError, DatasetNotFoundError
            If it is not there.
        """
        from hven.lake import open as open_lake

        found = (open_lake(self.url) if self.url else lake).pinned()
        view = found.at(self.version) if self.version else found
        # The catalog in which it last changed, not the newest one: the same as long as the dataset is the same.
        text = f"{self.url}#{self.name}".removeprefix("#") + f"@{view[self.name].entry.changed}"
        return type(self)(text, view.url, view.number)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            cls._checked, core_schema.str_schema(), serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "format": "hven-dataset"}

    @classmethod
    def _checked(cls, value: str) -> Self:
        if isinstance(value, cls):
            return value
        try:
            return cls(value)
        except HvenError as error:
            raise ValueError(str(error)) from error


def pin_paths(parameters: dict[str, Any], lake: "Lake") -> dict[str, Any]:
    """Return parameters in which every `DatasetPath`, alone or in a list, is pinned to the state that `lake` has now.

    Raises
    ------
    LakeNotFoundError, VersionNotFoundError, DatasetNotFoundError
        If one is not there.
    """
    return {name: _pinned(value, lake) for name, value in parameters.items()}


def _pinned(value: Any, lake: "Lake") -> Any:
    if isinstance(value, DatasetPath):
        return value.pinned(lake)
    if isinstance(value, list | tuple):
        return type(value)(_pinned(one, lake) for one in value)
    return value
