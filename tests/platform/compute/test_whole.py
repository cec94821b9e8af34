import numpy as np
import pytest

import hven
import trial_analyses as trial
from hven import errors


def test_an_analysis_of_everything_gets_lazy_data_and_known_sizes(survey, workers):
    chosen = hven.select("stars", where="feh > 0")
    run = hven.run(survey, trial.mean_feh, {"stars": chosen}, cluster=workers, block_rows=1_000)
    told = survey["stars"].table(where="feh > 0").collect()
    got = run.result.table().collect()
    assert (got["n"].item(), got["chunks"].item()) == (told.height, 6)
    assert got["mean_feh"].item() == pytest.approx(told["feh"].mean())
    assert (run.rows["in"], run.result.kind, run.state) == (told.height, "table", "succeeded")


def test_its_result_gets_the_ids_of_the_objects_it_speaks_of(survey):
    run = hven.run(survey, trial.ranked, {"stars": "stars"}, cluster="synchronous", block_rows=1_000)
    got = run.result.table().collect().join(survey["stars"].table().collect(), on="object_id")
    assert got.sort("rank")["feh"].is_sorted()
    assert got.height == 5_700


def test_a_result_of_two_dimensions_is_kept_as_arrays(survey, workers):
    run = hven.run(survey, trial.histogram, {"stars": "stars"}, cluster=workers)
    got = run.result.dataset().compute()
    assert (run.result.kind, got.histogram.dims) == ("result", ("one", "other"))
    assert got.histogram.sum() == 5_700


def test_spectra_arrive_lazily_with_their_axis(survey):
    seen = {}

    @hven.analysis(spectra=hven.Spectra(flux="W", ivar=False), produces={"total": "W"})
    def total_flux(spectra):
        """Return the total."""
        seen.update(chunks=spectra.flux.chunks, axis=spectra.wavelength.values, names=set(spectra.variables))
        return spectra.flux.sum("object").to_dataset(name="total")

    chosen = hven.select("spectra+stars", where="feh > 0")
    run = hven.run(survey, total_flux, {"spectra": chosen}, cluster="synchronous", block_rows=64)
    data = survey["spectra"].dataset().compute()
    ids = survey["stars"].table(["object_id"], where="feh > 0").collect()["object_id"]
    keep = np.isin(data.object_id.values, ids.to_numpy())
    assert sum(seen["chunks"][0]) == keep.sum()
    assert seen["names"] == {"flux", "wavelength", "mask"}
    assert np.allclose(run.result.dataset().total.values, data.flux.values[keep].sum(0), rtol=1e-4)


def test_its_own_refusal_is_recorded_and_raised(survey):
    before = survey.number
    with pytest.raises(errors.TooFewObjectsError, match="too few stars"):
        hven.run(survey, trial.mean_feh, {"stars": "stars"}, {"least": 10**9}, cluster="synchronous")
    run = hven.compute.runs(survey)[0]
    assert (run.state, run.record["error"]["code"], survey.number) == ("failed", "too-few-objects", before)
    assert "mean_feh" in run.record["error"]["traceback"]
