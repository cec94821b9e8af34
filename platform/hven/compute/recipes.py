"""Recipes: how a result was made, as its entry keeps it, ready to be followed again."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hven.compute.selection import Selection, select
from hven.errors import AnalysisNotFoundError, RecipeError
from hven.plugins import Analysis, plugins

if TYPE_CHECKING:
    from hven.catalog import Catalog, Entry


@dataclass(frozen=True)
class Recipe:
    """How a result was made.

    Attributes
    ----------
    output
        What it is called; results of several parts are the datasets ``<output>.<part>``.
    datasets
        The datasets of the catalog that are this result.
    made
        What their entries tell of it: provenance.
    """

    output: str
    datasets: tuple[str, ...]
    made: Mapping[str, Any]

    @property
    def run(self) -> str:
        """The id of the run that made the result as it is now."""
        return str(self.made["run"])

    @property
    def analysis(self) -> Analysis | None:
        """The analysis, as far as it is known here: brought by a plugin, or defined in a module that is loaded.

        Nothing is imported because a lake names it.
        """
        known = plugins().analyses.get(self.made["analysis"])
        if known is not None:
            return known
        module, _, name = str(self.made.get("function", "")).rpartition(".")
        found = getattr(sys.modules.get(module), name, None)
        return found if isinstance(found, Analysis) and found.name == self.made["analysis"] else None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters, as they were asked for."""
        return dict(self.made.get("asked", self.made["parameters"]))

    @property
    def made_of(self) -> tuple[str, ...]:
        """The datasets of the same lake that it follows: those that were asked for without a version."""
        names = [
            reference.name
            for told in self.made["inputs"].values()
            for reference in select(told["datasets"]).datasets
            if not reference.version and not reference.url
        ]
        return tuple(dict.fromkeys(names))

    def arguments(self, analysis: Analysis | None = None) -> tuple[Analysis, dict[str, Selection], dict[str, Any]]:
        """Return analysis, inputs and parameters as `hven.run` takes them.

        Parameters
        ----------
        analysis
            The analysis itself, when it may be that no plugin brings it.

        Raises
        ------
        AnalysisNotFoundError
            If no plugin that is loaded brings the analysis.
        RecipeError
            If it cannot be followed because a condition was given as an expression that has no SQL text.
        """
        analysis = analysis or self.analysis
        if analysis is None:
            raise AnalysisNotFoundError(
                f"there is no analysis {self.made['analysis']!r}",
                where=f"result {self.output!r}",
                hint="Install or enable the plugin that brings it, or import the module that defines it.",
            )
        selections = {}
        for name, told in self.made["inputs"].items():
            if told.get("where_key", told["where"]) != told["where"]:
                raise RecipeError(
                    f"the condition on input {name!r} was a Polars expression, which a recipe does not keep",
                    where=f"result {self.output!r}",
                    expected="conditions as SQL text",
                    hint="Run it again from Python with the same expression, or once with the condition as text.",
                )
            region, derived = told["region"] or None, told.get("with")
            selections[name] = select(told["datasets"], told["where"], region, told["columns"], derived)
        return analysis, selections, self.parameters


def recipes_of(catalog: "Catalog") -> dict[str, Recipe]:
    """Return the recipes of all results of a catalog, by output, in the order of their names."""
    found: dict[str, list[Entry]] = {}
    for entry in catalog.entries.values():
        made = entry.provenance
        if "run" in made and "analysis" in made and "inputs" in made:
            found.setdefault(str(made.get("output", entry.name)), []).append(entry)
    return {
        output: Recipe(output, tuple(entry.name for entry in entries), entries[0].provenance)
        for output, entries in sorted(found.items())
    }
