import subprocess
import sys
from pathlib import Path

import pytest

import hven
from hven.errors import AnalysisNotFoundError, PluginLoadError, PluginNotFoundError, ReaderNotFoundError
from hven.plugins import PluginRegistry, plugins
from hven.plugins.registering import HOOKS

PACKAGE = Path(__file__).parents[2] / "plugin_package"


def only(registry, name):
    (info,) = [info for info in registry.plugins if info.name == name]
    return info


def test_a_plugin_is_found_with_its_distribution_version_and_what_it_brings(installed, good):
    installed.add("one", good("mean_one"), version="2.5")
    registry = installed.registry()
    info = only(registry, "one")
    assert (info.state, info.distribution, info.version, info.module) == ("loaded", "hven-one", "2.5", "made_up_one")
    assert info.brings == {"analyses": ("mean_one",)}
    assert registry.analysis("mean_one").summary == "Mean [Fe/H]."
    assert info.to_json()["brings"] == {"analyses": ["mean_one"]}


def test_a_package_outside_the_repository_is_installed_found_and_passes_its_own_conformance_tests(tmp_path):
    pytest.importorskip("hatchling")
    site = tmp_path / "site with a blank"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    copy = tmp_path / "package"
    subprocess.run(["cp", "-r", str(PACKAGE), str(copy)], check=True)
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(site), str(copy)], check=True)
    code = """
from hven.plugins import evaluate, plugins
(info,) = [p for p in plugins().plugins if p.name == "colours"]
print(info.state, info.distribution, info.version, *info.brings["analyses"])
colours = plugins().analysis("gaia_colours")
print(*evaluate(colours, colours.make_mock(10, 0).inputs)[""].data_vars)
"""
    environment = {"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert said.stdout.split("\n")[:2] == ["loaded hven-colours 0.3.0 gaia_colours", "bp_rp bp_rp_err w_g w_g_err"]
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(copy),
        str(copy / "tests"),
    ]
    ran = subprocess.run(tests, check=False, capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("1 / 0", "ZeroDivisionError"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import hven\n@hven.analysis(produces=dict(a='no_unit'))\ndef f(stars): ...", "DeclarationError"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_reported_whole_and_harms_nobody(installed, good, source, reason):
    installed.add("broken", source)
    installed.add("fine", good("mean_fine"))
    registry = installed.registry()
    assert list(registry.analyses) == ["mean_fine"]
    assert [info.name for info in registry.failed] == ["broken"]
    assert reason in only(registry, "broken").reason
    assert "Traceback" in only(registry, "broken").traceback


def test_a_misspelt_hook_is_reported_with_the_right_name(installed, good):
    installed.add("typo", good("mean_typo").replace("def hven_analyses", "def hven_analysis"))
    info = only(installed.registry(), "typo")
    assert info.state == "failed"
    assert "no hook 'hven_analysis'" in info.reason
    assert "'hven_analyses'" in info.reason


def test_a_hook_with_an_argument_that_it_does_not_have_is_reported(installed):
    installed.add("extra", "import hven\n@hven.hookimpl\ndef hven_run_started(run, no_such_argument): ...")
    info = only(installed.registry(), "extra")
    assert info.state == "failed"
    assert "no_such_argument" in info.reason


def test_a_hook_that_lacks_its_mark_is_pointed_out(installed, good):
    installed.add("unmarked", good("mean_unmarked").replace("@hven.hookimpl", ""))
    info = only(installed.registry(), "unmarked")
    assert (info.state, info.brings) == ("loaded", {})
    assert "'hven_analyses' is not marked @hven.hookimpl" in info.reason


@pytest.mark.parametrize("version", ["2", "'1'", "0"])
def test_a_plugin_written_for_another_version_of_the_hooks_is_reported(installed, good, version):
    installed.add("future", f"HVEN_API = {version}\n{good('mean_future')}")
    info = only(installed.registry(), "future")
    assert info.state == "failed"
    assert f"version {version} of the plugin API" in info.reason


@pytest.mark.parametrize(
    "source",
    [
        "import hven\nHVEN_API = 2\nfrom hven import no_such_name_yet",
        "from hven import no_such_name_yet\nHVEN_API = 2",
    ],
)
def test_a_plugin_for_other_hooks_whose_import_fails_is_told_apart_from_a_broken_one(installed, source):
    installed.add("future", source)
    info = only(installed.registry(), "future")
    assert info.state == "failed"
    assert info.reason == "it is written for version 2 of the plugin API, and this hven has 1"
    assert "no_such_name_yet" in info.traceback
    installed.add("past", "import hven\nHVEN_API = 1\nfrom hven import no_such_name_yet")
    assert "cannot be imported: ImportError" in only(installed.registry(), "past").reason


def test_a_plugin_that_is_slow_to_import_is_loaded_and_reported_with_its_time(installed, good):
    installed.add("quick", good("mean_quick"), distribution="a-quick")
    installed.add("slow", good("mean_slow"), distribution="b-slow")
    installed.add("torn", "1 / 0", distribution="c-torn")
    times = iter([10.0, 10.2, 20.0, 23.4, 30.0, 31.0])
    registry = installed.registry(clock=lambda: next(times))
    assert [round(info.seconds, 2) for info in registry.plugins] == [0.2, 3.4, 1.0]
    quick, slow = only(registry, "quick"), only(registry, "slow")
    assert (quick.is_slow, quick.reason) == (False, "")
    assert (slow.state, slow.is_slow) == ("loaded", True)
    assert "its import takes 3.4 s" in slow.reason
    assert "python -X importtime -c 'import made_up_slow'" in slow.reason
    assert (slow.to_json()["seconds"], slow.to_json()["is_slow"]) == (3.4, True)
    assert "ZeroDivisionError" in only(registry, "torn").reason


def test_a_plugin_for_this_version_of_the_hooks_is_loaded(installed, good):
    installed.add("present", f"HVEN_API = 1\n{good('mean_present')}")
    assert only(installed.registry(), "present").state == "loaded"


@pytest.mark.parametrize("name", ["loud", "hven-loud"])
def test_a_disabled_plugin_is_not_even_imported(installed, good, name):
    installed.add("loud", "raise RuntimeError('imported')")
    installed.add("fine", good("mean_fine"))
    registry = installed.registry(name)
    assert [(info.name, info.reason) for info in registry.disabled] == [("loud", "disabled by the test")]
    assert registry.failed == []
    assert list(registry.analyses) == ["mean_fine"]


def test_of_two_analyses_of_one_name_the_second_is_reported_and_left_out(installed, good):
    installed.add("first", good("same"))
    installed.add("second", good("same") + good("other"), distribution="hven-second")
    registry = installed.registry()
    assert registry.analyses["same"].__module__ == "made_up_first"
    info = only(registry, "second")
    assert info.brings == {"analyses": ("other",)}
    installed.add("third", good("same"))
    info = only(installed.registry(), "third")
    assert (info.state, info.brings) == ("loaded", {})
    assert "'same' of its analyses is left out, because 'first' brings one" in info.reason


def test_two_plugins_of_one_name_are_both_loaded(installed, good):
    installed.add("twin", good("mean_a"), distribution="a-twin", module="made_up_a")
    installed.add("twin", good("mean_b"), distribution="b-twin", module="made_up_b")
    registry = installed.registry()
    assert [info.distribution for info in registry.loaded] == ["a-twin", "b-twin"]
    assert list(registry.analyses) == ["mean_a", "mean_b"]


@pytest.mark.parametrize("returned", ["[print]", "7", "[hven]", "1 / 0"])
def test_a_plugin_that_brings_something_else_or_raises_brings_nothing(installed, good, returned):
    source = good("mean_x") + f"@hven.hookimpl\ndef hven_readers(): return {returned}\n"
    installed.add("odd", source)
    registry = installed.registry()
    assert registry.analyses == {}
    assert only(registry, "odd").state == "failed"
    assert registry.call("hven_analyses") == []


def test_a_hook_wrapper_is_refused(installed):
    installed.add("wrap", "import hven\n@hven.hookimpl(wrapper=True)\ndef hven_analyses(): return (yield)")
    assert "hook wrapper" in only(installed.registry(), "wrap").reason


def test_a_raising_listener_is_recorded_and_the_others_hear_all_the_same(installed):
    listening = "import hven\nheard = []\n@hven.hookimpl\ndef hven_block_failed(run, error): {}"
    installed.add("aa", listening.format("heard.append((run, str(error)))"))
    installed.add("bb", listening.format("raise OSError('no disk')"))
    installed.add("cc", listening.format("heard.append((run, str(error)))"))
    registry = installed.registry()
    answers = registry.call("hven_block_failed", run="r1", block="b1", error=ValueError("bad star"))
    assert sorted((a.plugin, repr(a.error)) for a in answers) == [
        ("aa", "None"),
        ("bb", "OSError('no disk')"),
        ("cc", "None"),
    ]
    for name in ("aa", "cc"):
        assert sys.modules[f"made_up_{name}"].heard == [("r1", "bad star")]
    (fault,) = registry.faults
    assert (fault.plugin, fault.hook, fault.error) == ("bb", "hven_block_failed", "OSError: no disk")
    assert "no disk" in fault.traceback
    assert only(registry, "aa").brings == {"hooks": ("hven_block_failed",)}


def test_a_listener_that_ends_the_process_ends_nothing_and_an_error_said_often_is_kept_once(installed):
    listening = "import hven\n@hven.hookimpl\ndef hven_block_done(run): {}"
    installed.add("quitter", listening.format("raise SystemExit(3)"))
    installed.add("chatty", listening.format("raise ValueError(run)"))
    registry = installed.registry()
    for run in range(300):
        assert len(registry.call("hven_block_done", run=run, block=None)) == 2
    assert [fault.error for fault in registry.faults if fault.plugin == "quitter"] == ["SystemExit: 3"]
    assert len(registry.faults) == 100


def test_neither_importing_hven_nor_asking_for_help_imports_a_plugin(installed, tmp_path):
    installed.add("loud", f"open({str(tmp_path / 'imported')!r}, 'w').close()")
    environment = {"PYTHONPATH": str(installed.folder), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    asking = "\nfor verb in ([], ['run'], ['plugin']):\n    try: main([*verb, '--help'])\n    except SystemExit: pass"
    for code, is_imported in [
        (f"import hven, hven.plugins\nfrom hven.cli import main{asking}", False),
        ("from hven.cli import main; main(['plugins', '--disable-plugin', 'loud'])", False),
        ("from hven.cli import main; main(['plugins'])", True),
    ]:
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)
        assert (tmp_path / "imported").exists() == is_imported, code


def test_a_plugin_registered_by_hand_works_at_once_and_a_misfit_is_refused():
    class Listener:
        @hven.hookimpl
        def hven_run_finished(self, run):
            return f"heard {run}"

    class Misspelt:
        @hven.hookimpl
        def hven_run_finish(self, run): ...

    registry = PluginRegistry([])
    registry.register(Listener(), "listener")
    registry.register(Listener(), "another")
    registry.unregister("another")
    with pytest.raises(PluginNotFoundError, match="no plugin 'anothr'"):
        registry.unregister("anothr")
    assert [a.result for a in registry.call("hven_run_finished", run=7)] == ["heard 7"]
    with pytest.raises(PluginLoadError, match="hven_run_finished"):
        registry.register(Misspelt(), "misspelt")
    assert [a.result for a in registry.call("hven_run_finished", run=7)] == ["heard 7"]


def test_what_a_plugin_brought_goes_with_it(installed, good):
    installed.add("first", good("mean_first"))
    registry = installed.registry()
    registry.unregister("first")
    assert (registry.plugins, registry.analyses) == ([], {})
    assert registry.call("hven_analyses") == []


def test_an_unknown_analysis_is_refused_with_the_nearest_names_and_what_failed_to_load(installed, good):
    installed.add("fine", good("metallicity_gradients"))
    installed.add("broken", "1 / 0")
    with pytest.raises(AnalysisNotFoundError, match=r"Did you mean 'metallicity_gradients'\? Not loaded: broken"):
        installed.registry().analysis("metalicity_gradient")


def test_the_reader_with_the_most_specific_pattern_is_chosen(installed):
    source = """
import hven
@hven.reader(patterns=("*.fits", "*.fits.gz"))
def any_fits(path): ...
@hven.reader(patterns=("apogee_*.fits.gz",))
def apogee(path): ...
@hven.reader(patterns=("*.tsv",))
def tabs(path): ...
@hven.reader(patterns=("*.tsv",))
def also_tabs(path): ...
@hven.exporter(patterns=("*.fits",), takes=("table", "spectra"))
def to_fits(data, path): ...
@hven.hookimpl
def hven_readers(): return [any_fits, apogee, tabs, also_tabs]
@hven.hookimpl
def hven_exporters(): return [to_fits]
"""
    installed.add("formats", source)
    registry = installed.registry()
    assert registry.reader_for("/data/Stars.FITS").name == "any_fits"
    assert registry.reader_for(Path("apogee_dr17.fits.gz")).name == "apogee"
    assert registry.exporter_for("out.fits", "spectra").name == "to_fits"
    with pytest.raises(ReaderNotFoundError, match="also_tabs, tabs equally well"):
        registry.reader_for("a.tsv")
    with pytest.raises(ReaderNotFoundError, match=r"no reader knows what 'a\.doc' is"):
        registry.reader_for("a.doc")
    with pytest.raises(ReaderNotFoundError, match="no exporter fits"):
        registry.exporter_for("out.fits", "images")
    with pytest.raises(ReaderNotFoundError, match="Did you mean 'any_fits'"):
        registry.reader("anyfits")
    with pytest.raises(ReaderNotFoundError, match="Did you mean 'to_fits'"):
        registry.exporter("fits")


def test_the_registry_is_made_once_a_process_and_again_when_asked():
    first = plugins()
    assert plugins() is first
    assert plugins(refresh=True) is not first


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_says_what_it_is_for_and_can_be_called(hook):
    from hven.plugins import hookspecs

    assert getattr(hookspecs, hook).__doc__
    arguments = dict.fromkeys(("run", "block", "error"))
    registry = PluginRegistry([])
    assert registry.call(hook, **arguments) == []


def test_every_built_in_plugin_loads():
    assert [(info.name, info.reason) for info in plugins().failed if info.distribution == "hven"] == []


def test_the_content_of_a_file_decides_who_reads_it_and_the_name_only_among_equals(installed, tmp_path):
    installed.add(
        "claims",
        """
import hven
def magic(head):
    if head.start[:6] == b"PLATES":
        return hven.Claim("a plate list", "format", "it begins with PLATES")
def survey(head):
    if head.start[:9] == b"PLATES DR":
        return hven.Claim("a plate list of a release", "survey", "DR in its first line")
def cube(head):
    if head.start[:4] == b"CUBE":
        return hven.Claim("a plate cube", "layout", "it begins with CUBE", "no reader keeps cubes", "Leave it out.")
@hven.reader(patterns=("*.plates",), claims=magic)
def plates(path): ...
@hven.reader(patterns=("*.plates",), claims=survey)
def releases(path): ...
@hven.reader(patterns=("*.cube",), claims=cube)
def cubes(path): ...
@hven.hookimpl
def hven_readers(): return [plates, releases, cubes]
""",
    )
    registry = installed.registry()
    for name, text in [("a.dat", "PLATES 1"), ("b.dat", "PLATES DR1"), ("c.plates", "CUBE"), ("d.plates", "else")]:
        (tmp_path / name).write_text(text)
    assert registry.reader_for(tmp_path / "a.dat").name == "plates"
    assert registry.reader_for(tmp_path / "b.dat").name == "releases"
    explained = registry.explain(tmp_path / "b.dat").to_json()
    assert explained["reader"] == "releases"
    assert [claim["reader"] for claim in explained["claims"]] == ["releases", "plates"]
    with pytest.raises(ReaderNotFoundError, match="is a plate cube: no reader keeps cubes"):
        registry.reader_for(tmp_path / "c.plates")
    with pytest.raises(ReaderNotFoundError, match=r"no reader knows what 'd\.plates' is"):
        registry.reader_for(tmp_path / "d.plates")
