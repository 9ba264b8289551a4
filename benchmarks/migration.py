"""The same sweep in Ray Tune, in Optuna and here: lines of code, time, files left behind, the best found.

    .venv/bin/python benchmarks/migration.py [REPEATS]

The programs are those of docs/from-ray-tune.md and docs/from-optuna.md, word for word. All in one run, taking turns,
each in a new folder, from the start of the interpreter to its end; medians, and the spread. Processor time is that of
all processes that a program has started, whoever they belong to in the end: it depends less than wall time on what else
the machine does. The training program is the same for all and is not counted. Ray's own session folder is counted with
the files, since it stays as well.
"""

import contextlib
import ctypes
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

DOCS = pathlib.Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```(?:python|toml) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BIN = pathlib.Path(sys.executable).parent
PR_SET_CHILD_SUBREAPER = 36  # of Linux's prctl: daemons of a program become ours when it ends


@dataclass(frozen=True)
class Program:
    """One way to say the sweep.

    Attributes:
        name: Of the tool.
        page: Of the docs, that has it.
        file: The block of that page that is the sweep.
        command: What runs it; what it prints tells the best value.
        changes: Words of the block that are replaced before it runs.
    """

    name: str
    page: str
    file: str
    command: tuple[str, ...]
    changes: tuple[tuple[str, str], ...] = ()


PROGRAMS = (
    Program("Ray Tune, as it comes", "from-ray-tune", "ray_tune.py", ("python",), ((", reuse_actors=True", ""),)),
    Program("Ray Tune, reuse_actors=True", "from-ray-tune", "ray_tune.py", ("python",)),
    Program("Optuna, n_jobs=2", "from-optuna", "optuna_sweep.py", ("python",)),
    Program("coarsefine", "from-ray-tune", "sweep.toml", ("sweeps", "run")),
)


@dataclass(frozen=True)
class Measured:
    """What a program took, and left.

    Attributes:
        seconds: Wall time.
        processor: Processor time, in seconds, of all its processes.
        files: How many it left.
        size: Their bytes.
        best: The best validation accuracy that it told.
    """

    seconds: float
    processor: float
    files: int
    size: int
    best: float


def blocks(page: str) -> dict[str, str]:
    """The files of a page of the docs, by name."""
    return dict(BLOCK.findall((DOCS / f"{page}.md").read_text("utf-8")))


def lines(program: Program) -> int:
    """Lines of code of the sweep: neither empty nor only a comment."""
    text = blocks(program.page)[program.file]
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.splitlines())


def measure(program: Program) -> Measured:
    """Run a program once, in a folder of its own that it leaves its files in."""
    files = blocks(program.page)
    with tempfile.TemporaryDirectory(prefix="m", ignore_cleanup_errors=True) as place:  # short: sockets lie below it
        work, temporary = pathlib.Path(place, "work"), pathlib.Path(place, "tmp")
        work.mkdir()
        temporary.mkdir()
        text = files[program.file]
        for before, after in program.changes:
            if before not in text:
                sys.exit(f"docs/{program.page}.md no longer says {before!r}")
            text = text.replace(before, after)
        written = {"train.py": files["train.py"], program.file: text}
        for name, content in written.items():
            (work / name).write_text(content)
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "RAY_TMPDIR": str(temporary)}
        environment.pop("RAY_ADDRESS", None)
        began, used = time.perf_counter(), processor_time()
        done = subprocess.run(
            [BIN / program.command[0], *program.command[1:], program.file],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - began
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()
        used = processor_time() - used
        if done.returncode:
            sys.exit(f"{program.name} ended with code {done.returncode}\n{done.stdout}{done.stderr}")
        left = [path for path in pathlib.Path(place).rglob("*") if path.is_file() and path.name not in written]
        size = sum(path.stat().st_size for path in left)
        return Measured(seconds, used, len(left), size, best(done.stdout + done.stderr))


def processor_time() -> float:
    """Seconds that all ended children of this process have used, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def best(said: str) -> float:
    """The first row of the last table that a program printed: its best validation accuracy."""
    told = re.findall(r"val_acc: ([\d.]+)", said) or re.findall(r"^\d+ +(\d\.\d+)", said, re.MULTILINE)[-3:]
    return max(map(float, told))


def main() -> None:
    """Print the table, in Markdown."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    found: dict[str, list[Measured]] = {program.name: [] for program in PROGRAMS}
    for _ in range(repeats):
        for program in PROGRAMS:
            found[program.name].append(measure(program))
            print(program.name, found[program.name][-1], f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    print(f"median of {repeats} (lowest - highest), {os.cpu_count()} cores")
    print("| | lines of code | seconds | processor seconds | files left | their size | best val_acc |")
    print("|---|---|---|---|---|---|---|")
    for program in PROGRAMS:
        runs = found[program.name]
        print(
            f"| {program.name} | {lines(program)} | {spread([each.seconds for each in runs], 1)} "
            f"| {spread([each.processor for each in runs], 1)} "
            f"| {statistics.median_low([each.files for each in runs])} "
            f"| {statistics.median_low([each.size for each in runs]) / 1024:,.0f} KiB "
            f"| {spread([each.best for each in runs], 3)} |"
        )


def spread(values: list[float], digits: int) -> str:
    """Median, lowest and highest."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} - {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
