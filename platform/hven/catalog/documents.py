"""Catalog files as plain values: YAML or JSON, loaded so that nothing in the text can run, with lines for errors."""

from collections.abc import Sequence
from typing import Any

from hven.errors import CatalogFormatError, UntrustedCatalogError

MOST_VALUES = 500_000
"""Values of a catalog, repeated ones counted each time: far more than people write, far fewer than a bomb makes."""

Path = Sequence[str | int]
_ITEMS = {"entries": "entry", "data": "data", "aliases": "alias", "user_parameters": "parameter"}


class Document:
    r"""A catalog's text and its values.

    Parameters
    ----------
    text
        YAML, or JSON, which is YAML.
    name
        Of the file, for errors.

    Raises
    ------
    CatalogFormatError
        If the text is not YAML, names a key twice, or is too large when written out.
    UntrustedCatalogError
        If a tag of the text names a Python object.

    Examples
    --------
    >>> document = Document("version: 2\nmetadata: {title: Stars}", "stars.yaml")
    >>> document.values["version"], document.where(("metadata", "title"))
    (2, 'stars.yaml, line 2')
    """

    def __init__(self, text: str | bytes, name: str) -> None:
        self.text = text
        self.name = name
        self.values = _values(text, name)
        if _count(self.values, MOST_VALUES) > MOST_VALUES:
            raise CatalogFormatError(
                "the catalog is too large when written out",
                where=name,
                expected=f"at most {MOST_VALUES:,} values",
                hint="Split it, and repeat less by YAML's '*' references.",
            )

    def where(self, path: Path = ()) -> str:
        """Return the file, the entry and the line at which the value under `path`, or what holds it, stands."""
        named = f"{_ITEMS[str(path[0])]} {path[1]!r}" if len(path) > 1 and path[0] in _ITEMS else ""
        line = _line(self.text, path)
        return ", ".join(filter(None, (self.name, named, f"line {line}" if line else "")))


def _values(text: str | bytes, name: str) -> Any:
    import yaml

    try:
        return yaml.load(text, _loader())  # noqa: S506 - a safe loader, with one more check.
    except yaml.constructor.ConstructorError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        problem = error.problem or ""
        if "tag" not in problem:
            raise _unreadable(name, error) from error
        raise UntrustedCatalogError(
            f"the catalog has a tag that is not plain data: {problem.split(' for the tag ')[-1]}",
            where=f"{name}, line {line}",
            expected="texts, numbers, lists and mappings",
            hint="Do not open it: such a tag makes Python objects, which can run anything. Ask for plain YAML.",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise _unreadable(name, error) from error


def _loader() -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """PyYAML's safe loader, except that a key must not come twice."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            """Return the mapping of a node."""
            seen = set()
            for key, _ in node.value:
                if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                    raise yaml.YAMLError(f"the key {key.value!r} comes twice, again at line {key.start_mark.line + 1}")
                if isinstance(key.value, str):
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    return Loader


def _unreadable(name: str, error: Exception) -> CatalogFormatError:
    mark = getattr(error, "problem_mark", None)
    reason = (str(getattr(error, "problem", None) or error) or type(error).__name__).splitlines()[0]
    return CatalogFormatError(
        f"the catalog cannot be read: {reason}",
        where=f"{name}, line {mark.line + 1}" if mark else name,
        expected="YAML or JSON",
        hint="Correct the file.",
    )


def _count(value: Any, most: int) -> int:
    """Return the number of values inside, or something above `most`; what refers to itself has no end."""
    left, count = [value], 0
    while left and count <= most:
        inside = left.pop()
        count += 1
        if isinstance(inside, dict):
            left += inside.values()
        elif isinstance(inside, list | tuple | set):
            left += inside
    return count


def _line(text: str | bytes, path: Path) -> int:
    """Return the line of the deepest part of `path` that the text has; 0 when that is unknown."""
    import yaml

    try:
        node = yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError):
        return 0
    line = 1 if node is not None else 0
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if getattr(key, "value", None) == str(step)]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line
