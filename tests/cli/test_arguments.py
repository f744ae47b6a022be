"""How the command line is taken apart, and what it says to a mistyped one."""

from __future__ import annotations

import contextlib

import pytest

from srtctl import __version__, cli
from srtctl.cli.apply import own_overrides, quote
from srtctl.cli.flags import SWITCHES, VALUES, Arguments, parse
from srtctl.errors import SrtctlError
from srtctl.recipe import split_selector


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mode=agg,disagg -m", Arguments(hydra=["mode=agg,disagg", "-m"])),
        ("-f a.yaml x=1", Arguments(file="a.yaml", hydra=["x=1"])),
        ("--file=a.yaml -o out --json", Arguments(file="a.yaml", output_dir="out", as_json=True)),
        ("--cfg job -p model", Arguments(hydra=["--cfg", "job", "-p", "model"])),
        ("--info defaults-tree mode=agg", Arguments(hydra=["--info", "defaults-tree", "mode=agg"])),
        ("--tags a,b --wait", Arguments(tags="a,b", wait=True)),
        ("--sources -v", Arguments(show_sources=True, verbose=True)),
        ("~environment.X +environment.Y=1", Arguments(hydra=["~environment.X", "+environment.Y=1"])),
        ("-f", None),
        ("--taggs a", None),
    ],
)
def test_parse(line, expected):
    if expected is None:
        with pytest.raises(SrtctlError):
            parse(line.split())
    else:
        assert parse(line.split()) == expected


def test_a_mistyped_flag_gets_a_suggestion():
    with pytest.raises(SrtctlError, match=r"did you mean --tags\?"):
        parse(["--taggs", "a"])


def test_all_flag_problems_at_once():
    with pytest.raises(SrtctlError) as caught:
        parse(["--nope", "--tags"])
    assert len(caught.value.problems) == 2


def test_selector(tmp_path):
    assert split_selector("job.yaml:override_*")[1] == "override_*"
    odd = tmp_path / "a:b.yaml"
    odd.write_text("")
    assert split_selector(str(odd)) == (odd, "")


def test_own_flags_become_overrides(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "setup.sh").write_text("true")
    overrides = own_overrides(Arguments(setup_script="setup.sh", tags="a, b", wait=True))
    assert overrides == [f"setup_script='{tmp_path}/setup.sh'", "tags=['a','b']", "launcher.wait=true"]


def test_the_setup_script_is_also_looked_for_beside_the_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    (tmp_path / "setup.sh").write_text("true")
    arguments = Arguments(file=str(tmp_path / "job.yaml:x"), setup_script="setup.sh")
    assert own_overrides(arguments) == [f"setup_script='{tmp_path}/setup.sh'"]


def test_a_missing_setup_script_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SrtctlError, match=f"looked for {tmp_path}/no.sh"):
        own_overrides(Arguments(setup_script="no.sh"))


@pytest.mark.parametrize("text", ["it's", "a,b", "back\\slash", "ends\\", "\\'both", "{a: 1}", "ü ="])
def test_quoting_is_hydras(text):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    assert str(OverridesParser.create().parse_override(f"k={quote(text)}").value()) == text


def run(capsys, *argv):
    code = cli.main(list(argv))
    out = capsys.readouterr()
    return code, out.out, out.err


def test_help_and_version(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "srtctl apply" in out
    assert run(capsys)[1] == out
    assert run(capsys, "--version")[1] == f"srtctl {__version__}\n"
    assert "usage: srtctl dry-run" in run(capsys, "dry-run", "--help")[1]


@pytest.mark.parametrize("verb", ["", *cli.VERBS])
def test_help_fits_80_columns(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = help_of(capsys, *([verb] if verb else []), "--help")
    assert len(out.splitlines()) > 10
    assert [line for line in out.splitlines() if len(line) > 80] == []


def help_of(capsys, *argv):
    with contextlib.suppress(SystemExit):
        cli.main(list(argv))
    return capsys.readouterr().out


def test_help_names_every_verb_and_flag(capsys):
    out = run(capsys, "--help")[1]
    assert [verb for verb in cli.VERBS if verb not in out] == []
    out = run(capsys, "apply", "--help")[1]
    assert [flag for flag in (*SWITCHES, *VALUES) if flag not in out and flag != "--output"] == []


def test_help_about_something(capsys):
    code, _, err = run(capsys, "help", "reslts")
    assert code == 2
    assert "did you mean `srtctl results`?" in err
    assert "usage: srtctl results" in help_of(capsys, "help", "results")


def test_an_unknown_command_gets_a_suggestion(capsys):
    code, out, err = run(capsys, "aply")
    assert (code, out) == (2, "")
    assert "did you mean `srtctl apply`?" in err
    assert "allowed: apply, dry-run" in err
