"""The site of the docs: built without a warning, whole, and readable without a network, in light and in dark."""

import importlib.util
import pathlib
import re
import subprocess
import sys
import urllib.parse
from html.parser import HTMLParser

import pandas as pd
import pytest
from conftest import run_sweep, sweep

import analysis
from sweeps.settings import settings_from
from sweeps.sweepfile import load

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = {path.stem for path in [*DOCS.glob("*.md"), *DOCS.glob("*.rst")]}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, as `make docs` builds it: a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-d", folder / "trees"]
    done = subprocess.run([*command, DOCS, folder / "html"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


class Links(HTMLParser):
    """The places that a page can be sent to, what it links to, and what it loads."""

    def __init__(self, page):
        super().__init__()
        self.ids, self.links, self.loads = set(), set(), set()
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids.add(given.get("id"))
        if tag == "a" and given.get("href"):
            self.links.add(given["href"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.add(given["href"])
        elif given.get("src"):
            self.loads.add(given["src"])


def is_foreign(link):
    return bool(urllib.parse.urlsplit(link).scheme)


@pytest.mark.slow
def test_every_page_of_the_docs_is_in_the_site_and_can_be_reached_from_its_first_page(site):
    reached = {urllib.parse.urlsplit(link).path for link in Links(site / "index.html").links}
    assert {f"{page}.html" for page in PAGES - {"index"}} <= reached


@pytest.mark.slow
def test_no_page_is_taken_by_one_of_the_generators_own(site):
    for page in DOCS.glob("*.md"):  # Sphinx writes a search.html of its own over ours, without a word
        heading = re.search(r"^# (.+)$", page.read_text("utf-8"), re.MULTILINE)[1]
        first = re.split(r"[`*:&]", heading)[0].strip().replace("'", "’")
        assert first in (site / f"{page.stem}.html").read_text("utf-8"), page


@pytest.mark.slow
def test_every_link_of_the_site_leads_somewhere(site):
    pages = {path.relative_to(site).as_posix(): Links(path) for path in site.glob("*.html")}
    assert len(pages) >= len(PAGES)
    for name, page in pages.items():
        for link in page.links | page.loads:
            parts = urllib.parse.urlsplit(link)
            if is_foreign(link):
                continue
            target = urllib.parse.unquote(parts.path) or name
            assert (site / target).is_file(), f"{name}: {link}"
            if parts.fragment and target in pages:
                assert urllib.parse.unquote(parts.fragment) in pages[target].ids, f"{name}: {link}"


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere_and_links_to_elsewhere_are_well_formed(site):
    for path in site.glob("*.html"):
        page = Links(path)
        assert not [load for load in page.loads if is_foreign(load)], path.name
        assert all(re.fullmatch(r"https://[\w.-]+\.\w+(/\S*)?", link) for link in page.links if is_foreign(link))
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", path.read_text("utf-8")), path.name


@pytest.mark.slow
def test_the_reference_has_the_words_of_the_docstrings(site):
    text = re.sub(r"<[^>]+>|\s+", " ", (site / "reference.html").read_text("utf-8"))
    for function in (analysis.load, analysis.compare):
        assert " ".join(function.__doc__.split("\n\n")[0].split())[:40] in re.sub(" +", " ", text)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_opens_from_the_disk_without_a_complaint_and_fits_the_window(site, browser, scheme, width):
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, offline=True)
    complaints = []
    tab = context.new_page()
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("requestfailed", lambda request: complaints.append(request.url))
    for path in sorted(site.glob("*.html")):
        tab.goto(path.as_uri())
        assert not complaints, (path.name, complaints)
        widest = tab.evaluate("document.documentElement.scrollWidth")
        assert widest <= width, f"{path.name} is {widest} wide in a window of {width}"
        light = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert light == (scheme == "light")
    context.close()


@pytest.mark.slow
def test_the_search_finds_a_page_without_a_server(site, browser):
    tab = browser.new_context(offline=True).new_page()
    tab.goto((site / "search.html").as_uri() + "?q=checkpoint")
    tab.wait_for_selector("#search-results li a", timeout=60_000)
    assert any("trainer.html" in link.get_attribute("href") for link in tab.query_selector_all("#search-results li a"))


def curves():
    """The script that draws the curves of the docs."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    spec = importlib.util.spec_from_file_location("curves", DOCS / "pictures" / "curves.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_each_curve_of_the_docs_is_a_trial_of_which_the_diagnosis_says_what_its_title_says(tmp_path):
    path = DOCS / "pictures" / "shapes.toml"
    run_sweep(load(path), tmp_path / "shapes")
    drawn = curves()
    found = dict(zip(drawn.SHAPES, drawn.findings_of(analysis.load(tmp_path / "shapes")), strict=True))
    assert found.pop("sound") == set()
    assert {shape: shape in said for shape, said in found.items()} == dict.fromkeys(found, True)
    page = (DOCS / "report.md").read_text("utf-8")
    named = re.findall(r"pictures/shape-([\w-]+)\.svg", page)
    assert named == [shape.replace(" ", "-") for shape in drawn.SHAPES]
    assert all((DOCS / "pictures" / f"shape-{name}.svg").is_file() for name in named)


def test_the_tables_have_the_columns_that_their_page_lists_in_its_order(folder):
    run_sweep(sweep("conditional", space={"lr": {"log": [1e-5, 1e-1]}, "update": ["sgd", "adam"]}), folder)
    page = (DOCS / "tables.md").read_text("utf-8")
    own = {"each parameter": ["lr", "update"], "each metric": ["beta_seen", "loss", "val_acc"]}
    for table in ("trials", "reports", "stages", "attempts"):
        (section,) = re.findall(rf"^## {table}\n(.*?)(?=^## |^```|\Z)", page, re.MULTILINE | re.DOTALL)
        listed = []
        for cell in re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)[1:]:
            listed += own.get(cell) or re.findall(r"`(\w+)`", cell)
        assert listed == list(pd.read_parquet(folder / table).columns), table


def test_the_sweep_of_the_pictures_can_be_read_as_any_other():
    path = DOCS / "pictures" / "shapes.toml"
    (stage,) = settings_from(load(path), path.parent).stages
    assert stage.trials == len(stage.include)


@pytest.mark.parametrize("page", ["from-ray-tune", "from-optuna"])
def test_the_migration_pages_count_the_lines_that_they_show(page, monkeypatch):
    spec = importlib.util.spec_from_file_location("migration", ROOT / "benchmarks" / "migration.py")
    migration = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "migration", migration)  # where dataclasses look their module up
    spec.loader.exec_module(migration)
    told = dict(re.findall(r"^\| ([\w =,]+) \| (\d+) \|", (DOCS / f"{page}.md").read_text("utf-8"), re.MULTILINE))
    assert told == {program.name: str(migration.lines(program)) for program in migration.PROGRAMS}
