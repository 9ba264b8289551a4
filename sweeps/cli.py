"""The command: verbs, their options, their exit codes. Results go to stdout, everything else to stderr.

Nothing heavy is imported before a verb needs it: `sweeps --help` answers at once.
"""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import click

from sweeps import __version__
from sweeps.errors import SweepError

_LONGEST = 1000  # characters of a line of an error

_FOLDER = click.Path(path_type=pathlib.Path)
_SWEEP = click.argument("sweep", type=_FOLDER)
_RUN = click.argument("run", type=_FOLDER)
_SET = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key: stage.coarse.trials=20"
)
_SEED = click.option("--seed", type=click.IntRange(0), help="Another seed than the file's.")
_OUT = click.option(
    "--out", type=_FOLDER, default=pathlib.Path("runs"), envvar="SWEEPS_OUT", show_default=True, help="Folder of runs."
)
_NAME = click.option("--name", help="Name of the run; the sweep file's by default.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object instead of words.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sweeps")
def cli() -> None:
    """Coarse-to-fine hyperparameter sweeps.

    \b
    sweeps init demo                  a trainer and a sweep file that run at once
    sweeps run demo/sweep.toml        run it; the same command again goes on
    sweeps best runs/sweep -k 10      the best configs
    """


@cli.command()
@click.argument("folder", type=_FOLDER, default=pathlib.Path("."))
def init(folder: pathlib.Path) -> None:
    """Write a trainer and a sweep file that run at once, into FOLDER. Overwrites nothing.

    \b
    sweeps init
    sweeps init demo && sweeps run demo/sweep.toml
    """
    from sweeps.starter import write_starter

    for path in write_starter(folder):
        say(str(path))
    say(f"next: sweeps run {folder / 'sweep.toml'}", err=True)


@cli.command()
@_SWEEP
@_SET
@_SEED
@_OUT
@_NAME
@_JSON
def plan(
    sweep: pathlib.Path,
    overrides: tuple[str, ...],
    seed: int | None,
    out: pathlib.Path,
    name: str | None,
    as_json: bool,
) -> None:
    """Say what SWEEP would run, without running it.

    \b
    sweeps plan sweep.toml
    sweeps plan sweep.toml --set stage.coarse.trials=20 --json
    """
    from sweeps.hold import place
    from sweeps.planning import plan_json, plan_lines

    settings, _, _ = _prepared(sweep, overrides, seed)
    folder = place(out, name or sweep.stem)
    say(plan_json(settings, folder) if as_json else "\n".join(plan_lines(settings, folder)))


@cli.command()
@_SWEEP
@_SET
@_SEED
@click.option(
    "--classes", type=click.IntRange(2), help="How many classes the data have, if `data.classes` does not say."
)
@_JSON
def check(
    sweep: pathlib.Path, overrides: tuple[str, ...], seed: int | None, classes: int | None, as_json: bool
) -> None:
    """Try the trainer of SWEEP out: a few short runs on this machine, before the many.

    \b
    sweeps check sweep.toml
    sweeps check sweep.toml --classes 10 --json
    """
    from sweeps.preflight import json_of, lines_of, passed, preflight

    made = []
    for each in preflight(*_read(sweep, overrides, seed), classes):
        made.append(each)
        if not as_json:
            say("\n".join(lines_of(each)))
    if as_json:
        say(json_of(made))
    sys.exit(0 if passed(made) else 1)


@cli.command()
@_SWEEP
@_SET
@_SEED
@_OUT
@_NAME
@click.option("--backend", default="auto", show_default=True, type=click.Choice(["auto", "local", "inline", "ray"]))
@click.option("--address", help="Of a Ray cluster, or 'auto': run there.")
@click.option("--slots", type=click.IntRange(1), help="How many trials run at the same time.")
@click.option("--accept-changes", is_flag=True, help="Go on although the trainer or its stop rules have changed.")
@click.option("--new", "afresh", is_flag=True, help="Begin a new run, sweep-2, where there is one of that name.")
@click.option("--no-color", "--no-colour", "plain", is_flag=True, help="No colours.")
def run(
    sweep: pathlib.Path,
    overrides: tuple[str, ...],
    seed: int | None,
    out: pathlib.Path,
    name: str | None,
    backend: str,
    address: str | None,
    slots: int | None,
    accept_changes: bool,
    afresh: bool,
    plain: bool,
) -> None:
    """Run SWEEP; the same command again runs what is missing.

    \b
    sweeps run sweep.toml
    sweeps run sweep.toml --slots 4 --set stage.coarse.trials=20 --name try
    """
    from sweeps.hold import place
    from sweeps.launch import launch
    from sweeps.progress import open_view
    from sweeps.reading import Run
    from sweeps.summary import closing

    if slots is not None:
        overrides = (*overrides, f"run.slots={slots}")
    settings, train, setup = _prepared(sweep, overrides, seed)
    folder = place(out, name or sweep.stem, afresh)
    view = open_view(sys.stderr, colour=False if plain else None)
    ended = launch(settings, train, setup, folder, backend, view, address, accept_changes)
    done = Run(folder)
    if ended.text is not None:
        say(f"{ended.text}; what ended is stored", err=True)
    command = None if ended.text is None else "the same command again runs what is missing"
    for line in closing(done, command):
        say(line, err=True)
    sys.exit(ended.code)


@cli.command()
@_RUN
@_JSON
def status(run: pathlib.Path, as_json: bool) -> None:
    """How RUN stands.

    \b
    sweeps status runs/sweep
    sweeps status runs/sweep --json
    """
    from sweeps.inspecting import status_json, status_lines
    from sweeps.reading import Run

    opened = Run(run)
    say(status_json(opened) if as_json else "\n".join(status_lines(opened)))


@cli.command()
@_RUN
@click.option("-k", "count", type=click.IntRange(1), default=5, show_default=True, help="How many.")
@_JSON
def best(run: pathlib.Path, count: int, as_json: bool) -> None:
    """The best configs of RUN.

    \b
    sweeps best runs/sweep -k 10
    sweeps best runs/sweep --json
    """
    from sweeps.reading import Run
    from sweeps.summary import as_json as json_of
    from sweeps.summary import ranked

    opened = Run(run)
    found, metric = ranked(opened, count), opened.settings.objective.metric
    if as_json:
        say(json_of(found, metric))
        return
    if not found:
        say(f"no trial has reported a finite {metric} yet", err=True)
    for each in found:
        say(f"{each.line(metric)}  {each.stage}, epoch {each.epoch}")


def _prepared(sweep: pathlib.Path, overrides: tuple[str, ...], seed: int | None) -> tuple[Any, Any, Any]:
    """Settings, trainer and setup of a sweep file, all checked."""
    from sweeps.launch import check

    settings, train, setup = _read(sweep, overrides, seed)
    check(settings, train, setup)
    return settings, train, setup


def _read(sweep: pathlib.Path, overrides: tuple[str, ...], seed: int | None) -> tuple[Any, Any, Any]:
    """Settings of a sweep file, and where its trainer and setup are; neither is loaded."""
    from sweeps.launch import reference
    from sweeps.settings import settings_from
    from sweeps.sweepfile import load

    settings = settings_from(load(sweep, overrides), sweep.parent, seed=seed)
    setup = None if settings.setup is None else reference(settings.setup, settings.folder)
    return settings, reference(settings.train, settings.folder), setup


def say(text: str, *, err: bool = False) -> None:
    """Print lines that hold other people's words, none of which can steer a terminal."""
    from sweeps.wording import clean

    click.echo("\n".join(clean(line) for line in text.split("\n")), err=err)


def main() -> None:
    """Run the command; an error of ours is one clear message and its exit code, never a traceback."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SweepError as error:
        for line in str(error).splitlines():
            short = line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
            say(f"sweeps: {short}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
