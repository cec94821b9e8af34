from datetime import UTC, datetime
from typing import Annotated

import pytest
import xarray as xr
from pydantic import Field

import hven
from hven.plugins import plugins
from hven.schedule import Schedule

START = datetime(2026, 3, 1, tzinfo=UTC)


@hven.analysis(stars=hven.Table(feh="dex"), produces={"mean_feh": "dex"})
def mean_metallicity(stars: xr.Dataset, *, least: Annotated[int, Field(ge=1)] = 1) -> xr.Dataset:
    """Mean metallicity of all stars."""
    if stars.sizes["object"] < least:
        raise hven.errors.TooFewObjectsError("too few stars", hint="Take more.")
    return xr.Dataset({"mean_feh": ("population", [float(stars.feh.mean())])})


class Trial:
    @hven.hookimpl
    def hven_analyses(self):
        return [mean_metallicity]


@pytest.fixture(autouse=True)
def trial_plugin():
    """Bring the analysis that schedules run here, and no other: they need no workers."""
    plugins().register(Trial(), "trial")
    yield
    plugins().unregister("trial")


@pytest.fixture
def lake(lake, small_survey):
    with lake.transaction("stars") as tx:
        tx.write("stars", small_survey[0].select("object_id", "_healpix_29", "ra", "dec", "feh"))
    return lake


@pytest.fixture
def start():
    """Return the moment from which the clocks of these tests count."""
    return START


@pytest.fixture
def rule():
    """Make a rule that runs the analysis on the stars."""

    def make(cron="", timezone="UTC", **told):
        given = {"stars": {"datasets": "stars"}}
        what = {} if "update" in told else {"analysis": "mean_metallicity", "inputs": given}
        return Schedule(**{**what, **told}, since=START.isoformat(), cron=cron, timezone=timezone)

    return make
