"""Everything in a folder, as a value."""

import shutil


def state_of(place):
    """Everything in a folder: bytes of files, None for folders."""
    found = {}
    for path in sorted(place.rglob("*")):
        found[str(path.relative_to(place))] = path.read_bytes() if path.is_file() else None
    return found


def restore(place, state):
    """Put a folder into a state."""
    for path in place.iterdir():
        shutil.rmtree(path)
    for name, content in state.items():
        if content is None:
            (place / name).mkdir()
        else:
            (place / name).write_bytes(content)


def fingerprint(state):
    """What two states have in common between which no driver can tell."""
    return tuple((name, content) for name, content in sorted(state.items()) if not name.endswith(".lock"))
