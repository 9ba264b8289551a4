"""A run knows its trainer's code by digests of its file and of what that imports from its own project; none is run."""

import pathlib
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.imports import imported
from sweeps.source import digests
from workers.messages import Function

NAMES = ["train.py", "a.py", "b.py", "pack/__init__.py", "pack/c.py", "pack/deep/d.py"]
FORMS = {  #: ways to write an import of a file
    "train.py": ["import train"],
    "a.py": ["import a", "from a import x", "if 0:\n    import a as other", "def f():\n    from a import *"],
    "b.py": ["import b, math", "import numpy, b"],
    "pack/__init__.py": ["import pack", "from pack import x"],
    "pack/c.py": ["import pack.c", "from pack import c", "from pack.c import x"],
    "pack/deep/d.py": ["import pack.deep.d", "from pack.deep import d as x"],
}
IMPORTS = st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES)).map(sorted))


def project(place, files):
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return place / "train.py"


def names(files, root):
    return [path.relative_to(root).as_posix() for path in files]


@given(IMPORTS, st.randoms(use_true_random=False))
def test_found_is_what_can_be_reached_and_the_packages_on_the_way(graph, chance):
    lines = {name: [chance.choice(FORMS[each]) for each in graph.get(name, [])] for name in NAMES}
    reached, unread = set(), ["train.py"]
    while unread:
        ways = graph.get(unread.pop(), [])
        new = {*ways, *(["pack/__init__.py"] if any(way.startswith("pack") for way in ways) else [])} - reached
        reached |= new
        unread += new
    with tempfile.TemporaryDirectory() as place:
        root = pathlib.Path(place)
        file = project(root, {name: "\n".join(each) for name, each in lines.items()})
        assert names(imported(file, root), root) == sorted(reached - {"train.py"})


def test_relative_imports_are_found_from_where_they_stand(tmp_path):
    texts = {
        "pack/__init__.py": "",
        "pack/train.py": "from . import near\nfrom .deep.far import x",
        "pack/near.py": "from .deep import other",
        "pack/deep/far.py": "from .. import back\nfrom ..near import y",
        "pack/deep/other.py": "",
        "pack/back.py": "",
        "near.py": "",
        "alone.py": "",
    }
    project(tmp_path, texts)
    found = names(imported(tmp_path / "pack/train.py", tmp_path), tmp_path)
    names_below = ["__init__.py", "back.py", "deep/far.py", "deep/other.py", "near.py"]
    assert found == [f"pack/{name}" for name in names_below]


@pytest.mark.parametrize("text", ["import helper\n(", "import helper\n\0", "\xff", '"\\d"'])
def test_a_file_that_cannot_be_read_as_python_imports_nothing_and_says_nothing(tmp_path, text):
    file = project(tmp_path, {"train.py": text, "helper.py": "raise SystemExit"})
    assert imported(file, tmp_path) == []


def test_of_an_installed_trainer_no_library_is_looked_at(tmp_path):
    file = project(tmp_path / "site-packages", {"train.py": "import numpy", "numpy/__init__.py": ""})
    assert imported(file, file.parent) == []


CASES = {
    "a file": ("{folder}/train.py:train", ["train", "train/helper.py"]),
    "a command": ("{folder}/train.py --lr {{lr}}", ["train", "train/helper.py"]),
    "a module": ("pack.train:train", ["train", "train/pack/__init__.py", "train/pack/helper.py"]),
    "a program": ("true {{lr}}", []),
}


@pytest.mark.parametrize(("source", "keys"), CASES.values(), ids=CASES)
def test_a_digest_is_kept_of_each_file_however_the_trainer_is_named(tmp_path, monkeypatch, source, keys):
    texts = {"pack/__init__.py": "", "pack/train.py": "from .helper import x", "pack/helper.py": "x = 1"}
    project(tmp_path, texts | {"train.py": "import helper", "helper.py": "raise SystemExit"})
    monkeypatch.syspath_prepend(tmp_path)
    found = digests(Function(source.format(folder=tmp_path)), None)
    assert sorted(found) == keys
    assert all(digest.startswith("sha256:") for digest in found.values())
    for name in ("helper.py", "pack/helper.py"):
        (tmp_path / name).write_text("x = 2")
    now = digests(Function(source.format(folder=tmp_path)), None)
    assert [key for key in found if now[key] != found[key]] == [key for key in keys if "helper" in key]
