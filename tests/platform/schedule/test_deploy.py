"""What deploy/ says to systemd and Kubernetes: the commands are hven's, and stop as it can be stopped."""

import configparser
import re
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("hven-*"))
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("schedule-*.yaml"))
SECONDS_TO_STOP = 120


def read_unit(path):
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str
    unit.read_string(path.read_text())
    return unit


def pod_of(manifest):
    spec = manifest["spec"]
    return (spec["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else spec)["template"]


def test_there_are_units_and_manifests_for_the_tick_and_for_the_daemon():
    assert [path.name for path in UNITS] == ["hven-serve@.service", "hven-tick@.service", "hven-tick@.timer"]
    assert [path.name for path in MANIFESTS] == ["schedule-serve.yaml", "schedule-tick.yaml"]


@pytest.mark.parametrize("path", [path for path in UNITS if path.suffix == ".service"], ids=lambda path: path.name)
def test_a_service_runs_a_verb_that_there_is_and_stops_it_gently(path, command):
    service = read_unit(path)["Service"]
    program, _, arguments = service["ExecStart"].partition(" ")
    assert program.endswith("/hven")
    assert command(f"{arguments} --help").status == 0
    assert service["EnvironmentFile"] == "/etc/hven/%i.conf"
    # SIGTERM to the process alone: the workers are its own to end.
    assert (service["KillMode"], int(service["TimeoutStopSec"])) == ("mixed", SECONDS_TO_STOP)


def test_the_timer_starts_the_service_of_its_name_which_does_not_fail_when_it_is_stopped():
    assert "OnCalendar" in read_unit(DEPLOY / "systemd/hven-tick@.timer")["Timer"]
    assert read_unit(DEPLOY / "systemd/hven-tick@.service")["Service"]["SuccessExitStatus"] == "130"


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_runs_a_verb_that_there_is_and_stops_it_gently(path, command):
    manifest = yaml.safe_load(path.read_text())
    pod = pod_of(manifest)
    [container] = pod["spec"]["containers"]
    assert container["command"][0] == "hven"
    assert command(f"{' '.join(container['command'][1:])} --help").status == 0
    assert {"name": "HVEN_LAKE", "value": "s3://survey/lake"} in container["env"]
    assert pod["spec"]["terminationGracePeriodSeconds"] == SECONDS_TO_STOP
    assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
    if manifest["kind"] == "CronJob":
        assert manifest["spec"]["concurrencyPolicy"] == "Forbid"
        assert re.fullmatch(r"\S+( \S+){4}", manifest["spec"]["schedule"])
    else:
        assert manifest["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]


def test_the_guide_names_them_all():
    guide = (DEPLOY.parent / "docs/guides/nightly.md").read_text()
    told = [f"deploy/{path.relative_to(DEPLOY)}" for path in (*UNITS, *MANIFESTS) if path.name != "hven-tick@.service"]
    assert [path for path in told if path not in guide] == []
