"""The report: one file, offline, safe, and the same for the same run; clicked through in a real browser."""

import base64
import hashlib
import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from commands import eventually, finished
from conftest import run_sweep, sweep
from trainers_names import IMAGE, LINK, SCRIPT

import analysis
from analysis.report import page, write_report
from sweeps.reading import Run
from sweeps.summary import ranked

TESTS = pathlib.Path(__file__).parent.parent
SCATTER = "document.getElementById('scatter')"
HEAVY = ("pandas", "numpy", "pyarrow", "plotly", "jinja2", "ray")


class Parts(html.parser.HTMLParser):
    """A page taken apart: its elements with their attributes, the text of each kind of element."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._open.append(tag)

    def handle_data(self, data):
        self.texts.setdefault(self._open[-1] if self._open else "", []).append(data)

    @property
    def embedded(self):
        """What the script works on."""
        return json.loads(next(text for text in self.texts["script"] if text.startswith('{"columns"')))


@pytest.fixture(scope="module")
def written(run):
    return page(run)


@pytest.fixture(scope="module")
def parts(written):
    return Parts(written)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The report of a run whose metrics, choices and errors carry scripts."""
    folder = tmp_path_factory.mktemp("runs") / "x"
    space = {"lr": {"log": [1e-4, 1e-1]}, "update": [SCRIPT, LINK]}
    stages = [{"name": "one", "trials": 30, "epochs": 3}]
    keys = {"train": f"{TESTS / 'trainers_names.py'}:hostile", "metric": IMAGE, "mode": "max"}
    run_sweep(sweep(space=space, stages=stages) | keys, folder)
    return write_report(folder)


def test_the_report_is_one_file_that_asks_for_nothing(parts):
    for tag, attributes in parts.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        assert not {"src", "srcset", "action", "style"} & set(attributes)
        assert attributes.get("href", "#").startswith("#")
        assert not [name for name in attributes if name.startswith("on")]


def test_the_policy_lets_run_the_two_scripts_and_loads_nothing(written, parts):
    policy = next(a["content"] for tag, a in parts.elements if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in rules["script-src"]
    own = written.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in rules["script-src"]
    assert len(rules["script-src"].split()) == 2


def test_the_same_run_gives_the_same_report(run, written):
    assert page(run) == written


def test_text_comes_before_data_and_data_before_scripts(written):
    places = [written.index(mark) for mark in ("<h1>", 'id="next"', 'id="reproduce"', 'id="data"', 'id="plotly"')]
    assert places == sorted(places)


def test_the_best_configs_stand_there_as_the_command_prints_them(run, parts):
    lines = [each.line("val_acc") for each in ranked(Run(run), 10)]
    assert parts.texts["code"][0] == lines[0]
    assert [text for text in parts.texts["code"] if text in lines] == [lines[0], *lines]


def test_every_trial_is_in_the_table_with_its_findings(frames, parts):
    data = parts.embedded
    columns = dict(zip(data["columns"], data["values"], strict=True))
    assert columns["trial"] == frames.trials["trial"].tolist()
    assert columns["lr"] == [float(f"{lr:.6g}") for lr in frames.trials["lr"]]
    assert columns["beta"].count(None) == frames.trials["beta"].isna().sum()
    diverged = [status == "stopped" for status in columns["status"]]
    assert [bool(re.search("diverged", finding)) for finding in columns["finding"]] == diverged


def test_points_of_figures_lead_to_rows_of_the_table(parts):
    data = parts.embedded
    columns = dict(zip(data["columns"], data["values"], strict=True))
    for trace in data["figures"]["scatter"]["data"]:
        for x, row in zip(trace["x"], trace.get("customdata", []), strict=False):
            assert x == pytest.approx(columns["lr"][row], rel=1e-5)


def test_of_very_many_trials_the_best_and_the_drawn_ones_are_in_the_table(run, frames, monkeypatch):
    monkeypatch.setattr("analysis.report._ROWS", 5)
    text = page(run)
    data = Parts(text).embedded
    columns = dict(zip(data["columns"], data["values"], strict=True))
    assert len(columns["trial"]) < len(frames.trials) or "of 120 trials" not in text
    for trace in data["figures"]["curves-objective"]["data"]:
        assert all(row is None or row < len(columns["trial"]) for row in trace["customdata"])


def test_every_picture_has_a_text_in_its_place(parts):
    plots = [a for _, a in parts.elements if a.get("class") == "plot"]
    assert len(plots) >= 10
    assert all(a["role"] == "img" and len(a["aria-label"]) > 20 for a in plots)


def test_failures_stand_there_with_their_tracebacks(parts):
    said = " ".join(parts.texts["pre"])
    assert "ValueError: no more" in said
    assert "trainers_export.py" in said


def test_it_says_how_to_run_it_again(run, parts):
    assert (run / "sweep.toml").read_text() in parts.texts["pre"]


def test_where_there_is_too_little_evidence_the_report_says_so(empty):
    text = page(empty)
    assert "No result yet" in text
    assert "no trial has ended yet" in text
    assert 'role="img"' not in text


def test_scripts_in_names_and_errors_are_text(hostile):
    parts = Parts(hostile.read_text())
    assert sum(tag == "script" for tag, _ in parts.elements) == 3
    assert not [tag for tag, _ in parts.elements if tag == "img"]
    assert any(IMAGE in text for text in parts.texts["strong"] + parts.texts["h1"])
    assert any(SCRIPT in text for text in parts.texts["summary"])


def test_the_command_writes_it_and_says_where(run, tmp_path):
    shutil.copytree(run, tmp_path / "x")
    assert finished("report", "x", cwd=tmp_path)[:2] == (0, "x/report.html\n")
    assert finished("report", "x", "--out", "y.html", cwd=tmp_path)[:2] == (0, "y.html\n")
    assert (tmp_path / "y.html").read_bytes() == (tmp_path / "x" / "report.html").read_bytes()
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_mistake_is_one_clear_line(run, tmp_path):
    code, out, said = finished("report", "nowhere", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert said.startswith("sweeps: nowhere holds no run")
    code, _, said = finished("report", run, "--out", "no/folder.html", cwd=tmp_path)
    assert (code, said) == (2, "sweeps: no/folder.html cannot be written: No such file or directory\n")
    code, _, said = finished("report", cwd=tmp_path)
    assert code == 2
    assert "Missing argument 'RUN'" in said


@pytest.mark.parametrize("arguments", [["--help"], ["report", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        f"import atexit, sys\natexit.register(lambda: print(*[n for n in {HEAVY} if n in sys.modules]))\n"
        f"sys.argv = {['sweeps', *arguments]}\nfrom analysis.command import main\nmain()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[-1] == ""


def test_the_command_has_the_verbs_of_both_packages(tmp_path):
    out = finished("--help", cwd=tmp_path)[1]
    assert all(re.search(rf"^  {verb} ", out, re.MULTILINE) for verb in ("run", "best", "report"))


@pytest.fixture(scope="module")
def file(run, tmp_path_factory):
    return write_report(run, tmp_path_factory.mktemp("report") / "report.html")


def column(tab, name):
    """The cells of a column on the page of the table that is shown."""
    names = tab.locator("#trials th").all_inner_texts()
    return tab.locator(f"#trials tbody td:nth-child({names.index(name) + 1})").all_inner_texts()


@pytest.mark.slow
def test_every_picture_is_drawn(opened, file):
    tab = opened(file)
    for plot in tab.locator(".plot").all():
        assert plot.locator(".main-svg").count() >= 1


@pytest.mark.slow
def test_a_click_on_a_column_sorts_and_another_turns_the_order(opened, file, frames):
    tab = opened(file)
    best = sorted(frames.trials["val_acc"].dropna())
    tab.get_by_role("button", name="val_acc", exact=True).click()
    assert [float(v) for v in column(tab, "val_acc")[:3]] == pytest.approx(best[:3], rel=1e-3)
    assert tab.locator("#trials th[aria-sort=ascending]").inner_text() == "val_acc"
    tab.get_by_role("button", name="val_acc", exact=True).click()
    assert [float(v) for v in column(tab, "val_acc")[:3]] == pytest.approx(best[::-1][:3], rel=1e-3)


@pytest.mark.slow
def test_filters_leave_the_trials_that_were_asked_for(opened, file, frames):
    tab = opened(file)
    stopped = int((frames.trials["status"] == "stopped").sum())
    tab.locator("[data-filter=status]").select_option("stopped")
    assert tab.locator("#where").inner_text().endswith(f"of {stopped}")
    assert set(column(tab, "status")) == {"stopped"}
    tab.locator("[data-filter=stage]").select_option("fine")
    assert set(column(tab, "stage")) == {"fine"}
    tab.locator("#find").fill("no trial says this")
    assert tab.locator("#where").inner_text() == "no trial is like that"
    tab.locator("#find").fill("")
    tab.locator("[data-filter=status]").select_option("")
    tab.locator("[data-filter=stage]").select_option("")
    tab.locator("[data-filter=finding]").select_option("diverged")
    assert set(column(tab, "status")) == {"stopped"}


@pytest.mark.slow
def test_pages_lead_through_all_trials(opened, file, frames):
    tab = opened(file)
    seen = column(tab, "trial")
    assert tab.locator("#back").is_disabled()
    while tab.locator("#on").is_enabled():
        tab.locator("#on").click()
        seen += column(tab, "trial")
    assert seen == [str(trial) for trial in frames.trials["trial"]]


@pytest.mark.slow
def test_another_axis_puts_points_and_regions_elsewhere(opened, file, frames):
    tab = opened(file)
    tab.locator("#across").select_option("units")
    tab.locator("#up").select_option("update")
    layout = tab.evaluate(f"{SCATTER}.layout")
    traces = tab.evaluate(f"{SCATTER}.data.map(t => [t.meta ?? null, t.x, t.y, t.customdata ?? []])")
    assert (layout["xaxis"]["type"], layout["yaxis"]["type"]) == ("log", "category")
    assert tab.locator("#scatter .xtitle").text_content() == "units"
    for meta, x, y, rows in traces:
        if meta is None:
            assert x == frames.trials["units"].iloc[rows].tolist()
            assert y == frames.trials["update"].iloc[rows].tolist()
        else:
            assert x == []  # there is no region over a choice
    tab.locator("#up").select_option("lr")
    corners = tab.evaluate(f"{SCATTER}.data.find(t => t.meta === 'fine').x")
    units = frames.regions["fine"].space.parameters["units"]
    assert set(corners) == {units.low, units.high}


@pytest.mark.slow
def test_curves_can_be_filtered_by_finding(opened, file, frames):
    tab = opened(file)
    tab.locator("#curved").select_option("diverged")
    shown = "t.customdata.filter((row, i) => row !== null && t.y[i] !== null)"
    rows = tab.evaluate(f"document.getElementById('curves-objective').data.flatMap(t => {shown})")
    assert rows
    assert set(frames.trials["status"].iloc[rows]) == {"stopped"}


@pytest.mark.slow
def test_light_and_dark_and_paper_have_their_own_ink(opened, file):
    tab = opened(file)

    def ink():
        return tab.evaluate("getComputedStyle(document.querySelector('#scatter .xtitle')).fill")

    light = ink()
    tab.emulate_media(color_scheme="dark")
    eventually(lambda: ink() != light)
    tab.emulate_media(color_scheme="dark", media="print")
    eventually(lambda: ink() == light)


@pytest.mark.slow
def test_nothing_foreign_runs_in_a_browser(opened, hostile):
    tab = opened(hostile)
    assert tab.title() != "owned"
    tab.locator("#across").select_option("update")
    tab.locator("#find").fill("<script>")
    assert tab.locator("#trials script").count() == 0
    assert tab.locator("img").count() == 0
    assert tab.locator(".plot a[href]").count() == 0
    assert tab.title() != "owned"


@pytest.mark.slow
def test_ten_thousand_trials_are_painted_within_two_seconds(opened, tmp_path):
    stages = [{"name": "coarse", "trials": 7000, "epochs": 3}, {"name": "fine", "trials": 3000, "epochs": 5}]
    run_sweep(sweep(stages=stages, space={"lr": {"log": [1e-5, 1e-1]}, "reg": {"uniform": [0.0, 1.0]}}), tmp_path / "x")
    tab = opened(write_report(tmp_path / "x"))
    assert tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") < 2000
    assert tab.locator("#where").inner_text() == "1 to 25 of 10000"
    tab.get_by_role("button", name="lr", exact=True).click()
    assert column(tab, "lr")[0] == min(column(tab, "lr"), key=float)
    assert len(analysis.load(tmp_path / "x").trials) == 10_000
