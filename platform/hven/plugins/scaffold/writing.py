"""A new plugin package, written from templates."""

import keyword
import re
import sys
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from pathlib import Path

from hven.errors import NameRefusedError, PluginExistsError, StorageError
from hven.plugins.hookspecs import API_VERSION, ENTRY_POINTS

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_LONGEST = 30
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    ".github/workflows/test.yml": "workflow.yml",
    "src/{package}/__init__.py": "package.py",
    "src/{package}/colours.py": "colours.py",
    "src/{package}/colour_relation.py": "colour_relation.py",
    "src/{package}/py.typed": "py.typed",
    "tests/test_analyses.py": "test_analyses.py",
    "tests/test_runs.py": "test_runs.py",
}
"""What is written where, each from the template of that name."""


def write_plugin(name: str, parent: str | Path = ".") -> Path:
    """Write the package of a new plugin into a folder of its name, and return the folder.

    It brings an analysis of single objects and one of the whole dataset, each with figure and mock, tests that subclass
    the conformance suite, a README and a workflow that tests it.

    Parameters
    ----------
    name
        Of the plugin and its distribution; its Python package has ``_`` for ``-``.
    parent
        Where to put the folder; made when it is not there.

    Raises
    ------
    NameRefusedError
        If the name cannot be that of a package, or is taken by one that can be imported.
    PluginExistsError
        If there is something in the folder already.
    StorageError
        If it cannot be written.

    Examples
    --------
    >>> write_plugin("my-survey", "somewhere")  # doctest: +SKIP
    PosixPath('somewhere/my-survey')
    """
    check_plugin_name(name)
    folder = Path(parent) / name
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PluginExistsError(
            "there is something already", where=str(folder), hint="Choose another name, or another --path."
        )
    package = _package(name)
    written = {target.format(package=package): _render(template, name) for target, template in _FILES.items()}
    try:
        for target, text in written.items():
            place = folder / target
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"the package cannot be written: {error.strerror}", where=str(folder), hint="Choose another --path."
        ) from error
    return folder


def analyses_of(name: str) -> tuple[str, str]:
    """Return what the two analyses of a new plugin are called: that of single objects, and that of all.

    Examples
    --------
    >>> analyses_of("my-survey")
    ('my_survey_colours', 'my_survey_colour_relation')
    """
    return f"{_package(name)}_colours", f"{_package(name)}_colour_relation"


def check_plugin_name(name: str) -> str:
    """Return `name` when a new plugin can be called so.

    Raises
    ------
    NameRefusedError
        If it cannot be that of a package, or is taken.

    Examples
    --------
    >>> check_plugin_name("my-survey")
    'my-survey'
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST or keyword.iskeyword(_package(name)):
        raise NameRefusedError(
            f"{name!r} cannot name a plugin",
            expected=f"lowercase letters, digits, '_' and '-', starting with a letter, at most {_LONGEST}",
            hint="Choose another name.",
        )
    package = _package(name)
    if package in sys.stdlib_module_names or find_spec(package) is not None:
        raise NameRefusedError(f"there is a Python package {package!r} already", hint="Choose another name.")
    if {name, package} & {point.name for point in entry_points(group=ENTRY_POINTS)}:
        raise NameRefusedError(f"there is a plugin {name!r} already", hint="Choose another name.")
    return name


def _package(name: str) -> str:
    return name.replace("-", "_")


def _render(template: str, name: str) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("hven.plugins.scaffold", "templates"),
        autoescape=False,  # noqa: S701  no HTML, and a name has been checked
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    per_object, whole = analyses_of(name)
    return environment.get_template(f"{template}.jinja").render(
        name=name,
        distribution=name.replace("_", "-"),
        package=_package(name),
        per_object=per_object,
        whole=whole,
        api=API_VERSION,
        hven=".".join(version("hven").split(".")[:2]),
    )
