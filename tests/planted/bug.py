"""What a planted bug is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """A mistake: in `file` it has `wrong` in the place of `right`, which is there once; `test` must fail then."""

    name: str
    file: str
    right: str
    wrong: str
    test: str
