"""The verb that walks the whole house once, with real data: demo."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hven.cli.lakes import ls
from hven.cli.output import print_text
from hven.cli.selecting import WorkersOption
from hven.errors import LakeExistsError

if TYPE_CHECKING:
    import xarray as xr

    from hven.compute import Run
    from hven.lake import Lake

verbs = typer.Typer(rich_markup_mode="markdown")

LOW_ALPHA_RED_CLUMP = (
    "logg > 2.3 AND logg < 2.55 AND teff > 4550 AND teff < 5000 AND alpha_m < 0.12 "
    "AND r_gal > 5 AND r_gal < 14 AND abs(z_gal) < 0.5"
)
"""Red-clump-like giants of the low-alpha disc, where a straight line in radius describes the metallicity."""


@verbs.command(rich_help_panel="Lakes")
def demo(
    lake: Annotated[str, typer.Option("--lake", "-l", help="The folder of the demo's lake.")] = "demo-lake",
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove the demo's lake first, when there is one.")] = False,
    workers: WorkersOption = None,
) -> None:
    """Go from 40,226 real spectra to the metallicity gradient of the Milky Way's disc.

    Makes a lake, ingests APOGEE stars with their Gaia XP spectra, measures red-clump distances and fits the radial
    gradient. Run again, it continues with what is there.

    Example: `hven demo --lake demo-lake`
    """
    import hven
    from hven.compute.clusters import cluster_for, default_workers

    opened = _open_demo_lake(lake, fresh=fresh)
    if "apogee" not in opened:
        print_text("Ingesting 40,226 APOGEE stars with Gaia XP spectra ...")
        report = hven.ingest_files(opened, reader="apogee_xp_library", name="apogee")
        print_text(f"  {report.rows:,} stars in {', '.join(report.datasets)} (catalog {report.commit})")
    with cluster_for("local", workers or default_workers(tasks=8)) as cluster:
        print_text(f"Watch the workers at {cluster.dashboard} while this runs.")
        print_text("Measuring red-clump distances ...")
        distances = hven.run(
            opened,
            "red_clump_distances",
            {"stars": "apogee"},
            {},
            output="apogee_distances",
            cluster=cluster.client or "synchronous",
        )
        _tell(distances)
        print_text("Fitting the metallicity gradient of the low-alpha disc ...")
        stars = hven.select("apogee+apogee_distances", where=LOW_ALPHA_RED_CLUMP)
        gradients = hven.run(
            opened, "metallicity_gradients", {"stars": stars}, {"bins": 1}, cluster=cluster.client or "synchronous"
        )
        _tell(gradients)
    ls(lake=opened.url)
    _print_gradient(gradients.result.dataset().compute())
    print_text(f"Report: {gradients.report}")


def _open_demo_lake(address: str, *, fresh: bool) -> "Lake":
    import hven

    place = Path(address)
    if fresh and place.exists():
        if not (place / "hven.json").is_file():
            raise LakeExistsError(
                "what is there is not a lake, so it is not removed", where=str(place), hint="Choose another folder."
            )
        shutil.rmtree(place)
    return hven.open(place) if (place / "hven.json").is_file() else hven.create(place)


def _tell(run: "Run") -> None:
    print_text(f"  {run.output}: {run.state}, from {run.rows['in']:,} stars (run {run.id})")


def _print_gradient(result: "xr.Dataset") -> None:
    """Print the slope of each population, youngest or coolest first."""
    fits = result[["slope", "slope_err", "sigma_int", "n"]].to_dataframe()
    for fit in fits.itertuples():
        print_text(
            f"Metallicity gradient: {fit.slope:+.4f} +/- {fit.slope_err:.4f} dex/kpc, "
            f"intrinsic scatter {fit.sigma_int:.3f} dex, {fit.n:,} stars"
        )
