"""The verb that walks the whole house once, with real data, or along another story: demo."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hven.cli.interrupting import interruptible
from hven.cli.lakes import ls
from hven.cli.output import print_text
from hven.cli.selecting import WorkersOption
from hven.errors import LakeExistsError

if TYPE_CHECKING:
    import xarray as xr

    from hven.compute import PipelineRun
    from hven.lake import Lake

verbs = typer.Typer(rich_markup_mode="markdown")

PIPELINE = Path(__file__).with_name("demo.yaml")
"""What the demo runs."""
STORIES = {"disc": PIPELINE, "generative": Path(__file__).with_name("demo_generative.yaml")}
"""The pipelines of all stories."""


@verbs.command(rich_help_panel="Lakes")
def demo(
    story: Annotated[
        Literal["disc", "generative"],
        typer.Argument(help="disc: stars and their spectra; generative: which generator of images to trust (minutes)."),
    ] = "disc",
    lake: Annotated[str, typer.Option("--lake", "-l", help="The folder of the demo's lake.")] = "demo-lake",
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove the demo's lake first, when there is one.")] = False,
    show: Annotated[bool, typer.Option("--print", help="Print the pipeline that it runs, and do nothing.")] = False,
    workers: WorkersOption = None,
) -> None:
    """Go from 40,226 real spectra to the metallicity gradient of the Milky Way's disc, and to its two alpha sequences.

    Makes a lake and runs a pipeline in it: APOGEE stars with their Gaia XP spectra are ingested, red-clump distances
    measured, the radial gradient fitted, and the high- and low-alpha sequences of the giants split along the valley of
    their copula. Run again, it continues with what is there.

    `hven demo generative` tells another story, in about a quarter of an hour: toy maps of reionisation are simulated, a
    diffusion model and a GAN are trained on few of them and on many, and both are judged by maps they have not seen.

    Example: `hven demo --lake demo-lake`
    """
    import hven

    if show:
        typer.echo(STORIES[story].read_text(encoding="utf-8"), nl=False)
        return
    opened = _open_demo_lake(lake, fresh=fresh)
    with interruptible():
        done = hven.run_pipeline(opened, STORIES[story], workers=workers, tell=print_text)
    ls(lake=opened.url)
    if story == "disc":
        _print_disc(opened, done)
    elif done["generators"].is_well:
        print_text(str(opened["generators"].dataset()["conclusion"].values))
    if done.report is not None:
        print_text(f"Report: {done.report}")
    if not done.is_well:
        raise typer.Exit(1)


def _print_disc(lake: "Lake", done: "PipelineRun") -> None:
    """Print what the demo found of the disc, as far as it came."""
    if done["metallicity_gradients"].is_well:
        _print_gradient(lake["metallicity_gradients"].dataset().compute())
    if done["alpha_split"].is_well:
        _print_split(lake["alpha_split"].dataset().compute())


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


def _print_gradient(result: "xr.Dataset") -> None:
    """Print the slope of each population, youngest or coolest first."""
    fits = result[["slope", "slope_err", "sigma_int", "n"]].to_dataframe()
    for fit in fits.itertuples():
        print_text(
            f"Metallicity gradient: {fit.slope:+.4f} +/- {fit.slope_err:.4f} dex/kpc, "
            f"intrinsic scatter {fit.sigma_int:.3f} dex, {fit.n:,} stars"
        )


def _print_split(result: "xr.Dataset") -> None:
    """Print where the alpha sequences part, how deep the valley between them is, and how many stars are on each."""
    import numpy as np

    count, high = int(result["n"]), int(result["n_high"])
    if not bool(result["is_supported"]):
        print_text(f"Alpha sequences: one only, as far as {count:,} giants tell")
        return
    feh, alpha = np.asarray(result["split_feh"].values), np.asarray(result["split_mg_fe"].values)
    between = np.linspace(-0.5, 0.0, 51)
    slope, middle = np.polyfit(between, np.interp(between, feh, alpha), 1)
    line = f"[alpha/M] = {middle:.3f} {'-' if slope < 0 else '+'} {abs(slope):.3f} [Fe/H]"
    parts = f"{100 * high / count:.0f} % of {count:,} giants are high-alpha, {100 * (1 - high / count):.0f} % low-alpha"
    confidence = float(result["confidence"])
    print_text(f"Alpha sequences: parted by {line} from [Fe/H] = -0.5 to 0, confidence {confidence:.2f}; {parts}")
