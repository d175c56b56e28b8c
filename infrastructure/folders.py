"""Folders of files that the embedded service keeps."""

from pathlib import Path

from domain.errors import Misconfigured


def make_folder_of(file: Path) -> None:
    """Make the folder that a file is to lie in.

    Raises:
        Misconfigured: it cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"The folder {file.parent} cannot be made: {error.strerror}. Set PLAYHEAD_HOME.") from error
