import json
from importlib import metadata


def test_doctor_tells_versions_extras_machine_and_lake(command, small_lake):
    said = command(f"doctor --json --lake '{small_lake.url}'")
    report = json.loads(said.out)
    assert said.status == 0
    assert report["versions"]["polars"] == metadata.version("polars")
    assert report["missing"] == []
    assert report["cores"] >= 1
    assert report["memory"] > 0
    assert report["lake"]["datasets"] == 2
    assert "hven[" in command("doctor").out or "installed" in command("doctor").out


def test_doctor_reports_every_extra_that_the_metadata_names(command):
    declared = set(metadata.metadata("hven").get_all("Provides-Extra"))
    assert set(json.loads(command("doctor --json").out)["extras"]) == declared


def test_doctor_ends_with_status_1_when_the_lake_that_is_named_does_not_open(command, tmp_path):
    said = command(f"doctor --lake {tmp_path / 'nowhere'}")
    assert said.status == 1
    assert "there is no lake" in said.out


def test_doctor_names_a_package_that_is_missing_and_how_to_get_it(command, monkeypatch):
    real = metadata.version

    def version(name):
        if name in {"polars", "jax"}:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr("hven.cli.doctor.metadata.version", version)
    said = command("doctor")
    assert said.status == 1
    assert "Missing: polars" in said.out
    assert "pip install 'hven[science]'" in said.out
