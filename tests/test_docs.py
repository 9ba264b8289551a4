"""Every code block of the docs is run: files are written, commands executed beside them, page by page."""

import os
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

from sweeps.settings import settings_from
from sweeps.sweepfile import load

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATIENCE_S = 500  # other tools' sweeps, which some pages show beside ours, take their time on a busy machine


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_code_block_runs(page, tmp_path):
    blocks = BLOCK.findall(page.read_text())
    assert all(language in ("python", "toml", "yaml", "sh", "text") for language, _, _ in blocks)
    environment = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
    for language, name, text in blocks:
        if language == "sh" and name == "cluster":
            pass  # tests/cluster/test_hosts.py runs these, on three hosts
        elif language == "sh":
            done = subprocess.run(
                ["bash", "-ec", text], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
            )
            assert done.returncode == 0, done.stdout + done.stderr
        elif language != "text":
            assert name, f"{page.name}: a block of {language} without a file name"
            (tmp_path / name).write_text(text)
            if name == "sweep.toml":
                settings_from(load(tmp_path / name), tmp_path)
            if name in ("script.py", "table.py"):
                done = subprocess.run(
                    [sys.executable, name],
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE_S,
                )
                assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", [*PAGES, ROOT / "DESIGN.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = [link for link in re.findall(r"\]\(([^)#]+)", page.read_text()) if "://" not in link]
    assert all((page.parent / link).exists() for link in links), links


def test_every_dependency_has_a_line_in_the_design():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = sum(project["optional-dependencies"].values(), project["dependencies"])
    names = {re.split(r"[\[><=]", each)[0] for each in wanted}
    explained = set(re.findall(r"^\| ([\w-]+)", (ROOT / "DESIGN.md").read_text(), re.MULTILINE))
    assert names - explained == set()


def test_the_commands_of_the_cluster_page_are_those_that_three_hosts_are_tested_with():
    page, header = (ROOT / "docs" / "clusters.md").read_text(), (ROOT / "cluster.yaml").read_text()
    road, job = [text.split("\n")[:-1] for _, name, text in BLOCK.findall(page) if name == "cluster"]
    tested = [line.strip("# ").partition("   ")[0] for line in header.splitlines() if line.startswith("#   ray ")]
    assert road == tested
    assert job[0].startswith("RAY_AUTH_MODE=token ray job submit ")
