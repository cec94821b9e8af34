"""Images of a lake, through a run: features are written back, an evaluation is, with its verdict in the report."""

import hven
from hven.mocks import bubble_maps
from hven_plugins.generative import generative_evaluation, hven_report_sections, scattering_features


def test_images_of_a_lake_are_evaluated_and_the_verdict_is_reported(tmp_path):
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
    kept = judged.result.dataset().compute()
    assert float(kept.duplicates[1]) > 0.3
    (section,) = hven_report_sections(judged)
    assert section.text == str(kept.verdict.values) != ""
    assert len(section.rows) == kept.sizes["finding_number"]
    assert hven_report_sections(run) == []
