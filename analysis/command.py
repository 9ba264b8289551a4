"""The whole command: the verbs that run, of `sweeps.cli`, and those that tell, here.

Nothing heavy is imported before a verb needs it.
"""

from __future__ import annotations

import pathlib

import click

from sweeps.cli import cli, main

__all__ = ["cli", "main"]

_FILE = click.Path(path_type=pathlib.Path)


@cli.command()
@click.argument("run", type=_FILE)
@click.option("--out", type=_FILE, help="The file; RUN/report.html by default.")
def report(run: pathlib.Path, out: pathlib.Path | None) -> None:
    """Write what RUN found as one HTML file that works offline.

    \b
    sweeps report runs/sweep
    sweeps report runs/sweep --out sweep.html
    """
    from analysis.report import write_report

    click.echo(write_report(run, out))


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

    click.echo(given(run, to, out))
