"""Code from a folder: pipelines as a checkout has them, in the place of those that are installed."""

import sys
from pathlib import Path

from domain.errors import InvalidRequest


def use_code_of(folder: Path) -> None:
    """Let modules of this folder, or of its `src`, be imported first. To be called before pipelines are loaded.

    Raises:
        InvalidRequest: there is no such folder.
    """
    if not folder.is_dir():
        raise InvalidRequest(
            f"--against {folder}: there is no such folder. Name one with the code, such as a checkout."
        )
    found = [each for each in (folder / "src", folder) if each.is_dir()]
    sys.path[:0] = [str(each.resolve()) for each in found]


def require_code_of(folder: Path) -> None:
    """See that code of this folder was loaded: else the installed code would be taken for it.

    Raises:
        InvalidRequest: none was.
    """
    place = folder.resolve()
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    if not any(file is not None and Path(file).resolve().is_relative_to(place) for file in files):
        raise InvalidRequest(
            f"--against {folder}: no pipeline was loaded from there. Name the folder in which its package lies "
            "(or the folder over its src)."
        )
