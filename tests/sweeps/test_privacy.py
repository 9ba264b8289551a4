"""What is a user's own stays so: files that nobody else may read, and no password or key in any of them."""

import os
import pathlib
import stat

import pytest
import tomli_w
from conftest import run_sweep, sweep
from hypothesis import given
from hypothesis import strategies as st

from sweeps.errors import UsageError
from sweeps.secret import hidden, refuse_secrets
from sweeps.settings import settings_from

STAGES = [{"name": "one", "trials": 4, "epochs": 1}]
SECRET = "hunter2-s3cr3t"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_all_of_a_run_is_its_owners_alone_whatever_the_umask(folder, mask):
    before = os.umask(mask)
    try:
        run_sweep(sweep("printing", stages=STAGES, run={"budget": 60}), folder, backend="local")
        run_sweep(sweep("printing", stages=[STAGES[0] | {"trials": 6}]), folder, backend="local")
    finally:
        os.umask(before)
    found = [folder, *folder.rglob("*")]
    assert len([path for path in found if path.suffix == ".log"]) == 6
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


NAMED = {
    "password": SECRET,
    "db_password": SECRET,
    "dbPassword": SECRET,
    "PASSWORD": SECRET,
    "api_token": SECRET,
    "hf_token": SECRET,
    "wandb_api_key": SECRET,
    "apiKey": SECRET,
    "aws_secret_access_key": SECRET,
    "client_secret": SECRET,
    "credentials": SECRET,
}
WRITTEN = {name: {"space": {"lr": {"log": [1e-5, 1e-2]}, name: value}} for name, value in NAMED.items()}
WRITTEN |= {
    "fixed": {"space": {"token": {"fixed": SECRET}}},
    "a choice": {"space": {"token": [SECRET, "other"]}},
    "inside a choice": {"space": {"store": [{"api_key": SECRET}, {"api_key": "y"}]}},
    "a URL": {"space": {"store": f"postgres://me:{SECRET}@db.example/x"}},
    "a URL's query": {"space": {"store": f"https://example.com/data?version=1&api_key={SECRET}"}},
    "an address": {"run": {"address": f"ray://me:{SECRET}@head:10001"}},
    "an include": {"stage": [STAGES[0] | {"include": [{"lr": 1e-3, "password": SECRET}]}]},
    "an option of a command": {"train": f"train.py --lr {{lr}} --api-key={SECRET}"},
}


@pytest.mark.parametrize("changes", WRITTEN.values(), ids=WRITTEN)
def test_a_secret_in_a_sweep_file_is_refused_and_said_nowhere(call, tmp_path, changes):
    (tmp_path / "sweep.toml").write_text(tomli_w.dumps(sweep(stages=STAGES) | changes))
    for verb in ("run", "plan", "check"):
        refused = call(verb, "sweep.toml")
        assert (refused.code, refused.out) == (2, "")
        assert "settings are stored: let the trainer read it from the environment" in refused.err
        assert SECRET not in refused.err
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.toml"]


def test_a_secret_of_the_command_line_is_refused_too(call, tmp_path):
    (tmp_path / "sweep.toml").write_text(tomli_w.dumps(sweep(stages=STAGES)))
    refused = call("plan", "sweep.toml", "--set", f"space.api_token={SECRET}")
    assert refused.code == 2
    assert SECRET not in refused.err


HARMLESS = [
    {"max_token": 512, "token": {"int": [1, 9]}, "password_length": 8, "tokenizer": "bpe", "secretary": "x"},
    {"pad_token": "<pad>", "mask_token": ["[MASK]", "<mask>"], "key": "query", "keys": "a", "public_key": "b"},
    {"data": "s3://bucket/path?versionId=3", "repository": "ssh://git@example.com/x.git", "hours": "10:30@home"},
]


@pytest.mark.parametrize("space", HARMLESS, ids=range(len(HARMLESS)))
def test_what_only_sounds_like_a_secret_is_taken(space):
    space = {f"{name}_" if name == "data" else name: value for name, value in space.items()}
    assert settings_from(sweep(space=space), pathlib.Path()).space.names == tuple(space)


def test_what_a_trainer_says_is_stored_without_the_passwords_in_its_urls(folder, tmp_path, call):
    trainer = tmp_path / "leaky.py"
    trainer.write_text(
        f"def train(lr):\\n    url = 'https://me:{SECRET}@db.example/x?api_key={SECRET}'\\n"
        "    print(url)\\n    raise ConnectionError(f'cannot reach {url}')\\n".replace("\\n", "\n")
    )
    written = sweep(stages=STAGES) | {"train": f"{trainer}:train"}
    _, said = run_sweep(written, folder, backend="local")
    call("report", folder)
    assert stat.S_IMODE((folder / "report.html").stat().st_mode) == 0o600
    shown = call("show", folder, "one/0").out
    assert "https://me:***@db.example/x?api_key=***" in shown
    for text in (said, shown, *(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())):
        assert f"{SECRET}@" not in text
        assert f"={SECRET}" not in text


@given(st.text(max_size=40), st.text(alphabet="abc/?&=@: \n", max_size=10))
def test_what_holds_no_secret_is_left_as_it_is_and_masking_twice_is_masking_once(text, around):
    secret = f"https://me:{SECRET}@host/{around}"
    assert hidden(hidden(text + secret)) == hidden(text + secret)
    assert SECRET not in hidden(text + " " + secret)
    if "://" not in text and "--" not in text:
        assert hidden(text) == text


def test_a_secret_is_found_at_any_depth():
    written = {"password": SECRET}
    for _ in range(50):
        written = {"x": [written]}
    with pytest.raises(UsageError, match=r"password looks like a secret"):
        refuse_secrets(written)
