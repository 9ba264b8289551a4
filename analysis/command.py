"""The whole command: the verbs that run, of `sweeps.cli`, and those that tell, here.

Nothing heavy is imported before a verb needs it.
"""

from __future__ import annotations

import pathlib

import click

from sweeps.cli import cli, main, say

__all__ = ["cli", "main"]

_FILE = click.Path(path_type=pathlib.Path)


@cli.command()
@click.argument("run", type=_FILE)
@click.option("--out", type=_FILE, help="The file; RUN/report.html by default.")
@click.option("--live", is_flag=True, help="While RUN goes on: write it every few seconds; the browser follows.")
def report(run: pathlib.Path, out: pathlib.Path | None, live: bool) -> None:
    """Write what RUN found as one HTML file that works offline.

    \b
    sweeps report runs/sweep
    sweeps report runs/sweep --out sweep.html
    sweeps report runs/sweep --live
    """
    from analysis.following import follow, held
    from analysis.report import write_report

    say(str(write_report(run, out, live=live and held(run))))
    if live:
        follow(run, out)


@cli.command()
@click.argument("run", type=_FILE)
@click.argument("trial")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of words.")
def show(run: pathlib.Path, trial: str, as_json: bool) -> None:
    """Config, curve, findings, log and traceback of one TRIAL of RUN: `coarse/17`, or `17` where there is one stage.

    \b
    sweeps show runs/sweep coarse/17
    sweeps show runs/sweep fine/3 --json
    """
    from analysis.telling import told, told_json
    from sweeps.reading import Run

    opened = Run(run)
    say(told_json(opened, trial) if as_json else "\n".join(told(opened, trial)))


@cli.command()
@click.argument("run", type=_FILE)
@click.option("--to", required=True, type=click.Choice(["csv", "tensorboard", "mlflow", "wandb", "optuna"]))
@click.option("--out", required=True, metavar="PLACE", help="A folder; a file for optuna; or MLflow's address.")
def export(run: pathlib.Path, to: str, out: str) -> None:
    """Give RUN to another tool, and say how that tool opens it.

    \b
    sweeps export runs/sweep --to csv --out tables
    sweeps export runs/sweep --to optuna --out study.log
    """
    from analysis.export import export as given

    say(given(run, to, out))
