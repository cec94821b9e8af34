import json
import sys
import types

import pytest

from benchmarks.harness import benchmark, best_of_each, find_benchmarks, run_all, table, write_json


@benchmark(target=2, against="nothing")
def fast_enough(folder):
    assert folder.is_dir()
    return 3.0


@benchmark(target=10, unit="ms", better="lower", against="a stopwatch")
def too_slow(folder):
    return 12.3456


@benchmark(target=1, against="itself")
def broken(folder):
    raise ValueError("no such engine")


def test_the_table_tells_measured_target_peer_and_whether_it_is_met():
    rows = run_all([fast_enough, too_slow, broken], tell=lambda text: None)
    assert [row.met for row in rows] == [True, False, False]
    lines = table(rows).splitlines()
    assert len(lines) == 5
    assert lines[2].startswith("fast_enough")
    assert [line.split()[-1] for line in lines[2:]] == ["yes", "NO", "NO"]
    assert "12.3 ms" in lines[3]
    assert "<= 10 ms" in lines[3]
    assert "ValueError: no such engine" in lines[4]


def test_rows_are_written_as_json_with_the_machine(tmp_path):
    write_json(run_all([fast_enough], tell=lambda text: None), tmp_path / "build/bench.json")
    told = json.loads((tmp_path / "build/bench.json").read_text())
    [row] = told["rows"]
    assert (row["name"], row["figure"], row["met"], row["against"]) == ("fast_enough", 3.0, True, "nothing")
    assert told["machine"]["cores"] >= 1


def test_works_take_turns_and_each_is_told_by_its_best_time():
    order = []
    times = best_of_each(lambda: order.append("ours"), lambda: order.append("peer"), rounds=3)
    assert order == ["ours", "peer"] * 3
    assert len(times) == 2


def test_benchmarks_are_found_in_their_modules_by_parts_of_names(monkeypatch, tmp_path):
    (tmp_path / "bench_one.py").write_text(
        "from benchmarks.harness import benchmark\n"
        "@benchmark(target=1, against='x')\ndef reading(folder): return 1\n"
        "@benchmark(target=1, against='x')\ndef writing(folder): return 1\n"
    )
    package = types.ModuleType("trial_benchmarks")
    package.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "trial_benchmarks", package)
    assert [one.name for one in find_benchmarks(package)] == ["reading", "writing"]
    assert [one.name for one in find_benchmarks(package, "writ")] == ["writing"]
    assert len(find_benchmarks(package, "bench_one")) == 2


def test_the_benchmarks_of_the_repository_are_declared_whole():
    import benchmarks

    found = find_benchmarks(benchmarks)
    assert {"read_spectra", "ingest_spectra", "run_overhead"} <= {one.name for one in found}
    assert all(one.against and one.target > 0 for one in found)
    assert len({one.name for one in found}) == len(found)


@pytest.mark.parametrize(
    ("better", "figure", "met"), [("higher", 1.0, True), ("higher", 0.9, False), ("lower", 1.1, False)]
)
def test_a_target_is_a_floor_or_a_ceiling(better, figure, met):
    assert benchmark(target=1.0, against="x", better=better)(lambda folder: figure).is_met(figure) is met
