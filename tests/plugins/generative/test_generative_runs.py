"""Images of a lake, through a run: features are written back, an evaluation is, with its verdict in the report."""

import numpy as np

import hven
from hven.mocks import bubble_maps
from hven_plugins.generative import (
    generative_evaluation,
    generative_forecast,
    generative_memorisation,
    hven_report_sections,
    scattering_features,
    summary,
)
from hven_plugins.generative.streaming import copy_numbers


def test_images_of_a_lake_are_evaluated_and_the_verdict_is_reported(tmp_path, monkeypatch):
    told_apart = []

    def noted(images, columns, object_ids):
        told_apart.append(object_ids is not None and len(set(object_ids.tolist())) == images.sizes["object"])
        return copy_numbers(images, columns, object_ids)

    monkeypatch.setattr(summary, "copy_numbers", noted)
    lake = hven.create(tmp_path / "lake")
    with lake.transaction("two sets of maps") as tx:
        for name, knobs in (("simulated", {}), ("generated", {"unique": 5})):
            seed = len(knobs) + 1
            tx.write(name, bubble_maps(100, seed, pixels=16, **knobs).inputs["images"], kind="images")
    run = hven.run(
        lake, scattering_features, {"images": "simulated"}, {"scales": 2}, output="features", cluster="synchronous",
        progress=False,
    )  # fmt: skip
    assert run.state == "succeeded"
    assert lake["features"].table().collect().height == 100
    judged = hven.run(
        lake, generative_evaluation, {"reference": "simulated", "generated": "generated"},
        {"scales": 2, "n_boot": 10, "classifier_rows": 40}, cluster="synchronous", progress=False,
    )  # fmt: skip
    assert judged.state == "succeeded"
    assert told_apart == [True, True], "a run gives object ids, so that copies are told apart without one more pass"
    kept = judged.result.dataset().compute()
    assert float(kept.duplicates[1]) > 0.3
    (section,) = hven_report_sections(judged)
    assert section.text == str(kept.verdict.values) != ""
    assert len(section.rows) == kept.sizes["finding_number"]
    assert hven_report_sections(run) == []


def test_sets_of_other_objects_are_compared_whole(tmp_path):
    lake = hven.create(tmp_path / "lake")
    with lake.transaction("maps") as tx:
        for seed, name in enumerate(("simulated", "generated")):
            knobs = {"bubbles": np.linspace(6, 18, 160), "radius": np.linspace(3, 5, 160)[::-1] ** 1.5 / 2}
            maps = bubble_maps(160, seed + 1, pixels=16, **knobs).inputs["images"]
            told = {"generator": "gan", "n_training": 60, "guidance": 0.0, "model": "a"}
            maps = maps.assign_coords(object_id=maps["object_id"] + 1000 * seed).assign_attrs(told)
            tx.write(name, maps.assign(simulation=("object", np.arange(160))), kind="images")
    quiet = {"cluster": "synchronous", "progress": False}
    sets = {"reference": hven.select("simulated", where="simulation >= 10"), "generated": "generated"}
    how = {"scales": 2, "n_boot": 10}
    judged = hven.run(lake, generative_evaluation, sets, {**how, "classifier_rows": 40}, **quiet)
    assert judged.result.dataset().n.values.tolist() == [150, 160]
    told = hven.run(lake, generative_forecast, sets, how, **quiet).result.dataset()
    assert told.n.values.tolist() == [150, 160]
    assert told.attrs["generator"] == "gan"
    parts = {"training": "simulation < 60", "held_out": "simulation >= 60"}
    given = {name: hven.select("simulated", where=where) for name, where in parts.items()}
    copied = hven.run(lake, generative_memorisation, {"generated": "generated", **given}, {"scales": 2}, **quiet)
    assert copied.result.dataset().n.values.tolist() == [160, 60, 100]
