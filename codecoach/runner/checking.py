"""What every runner asks of a request before it runs anything."""

from pathlib import PurePosixPath

from codecoach import languages
from codecoach.errors import InputRefused
from codecoach.runner.port import RunRequest

MAX_FILES = 200
MAX_MB = 32
_DEPTH = 8
_ARGUMENTS_CHARACTERS = 30_000  # the kernel takes 128 KB per argument
_NAME_BYTES = 200


def check(request: RunRequest) -> None:
    """Raise InputRefused for a request that names unusable files or arguments."""
    if request.language not in languages.BY_ID:
        raise InputRefused("language_unknown", language=request.language)
    if not request.files:
        raise InputRefused("program_empty")
    if len(request.files) > MAX_FILES:
        raise InputRefused("program_files_too_many", limit=MAX_FILES)
    if sum(file.size_bytes for file in request.files) > MAX_MB * 1024 * 1024:
        raise InputRefused("program_too_large", megabytes=MAX_MB)
    names: set[str] = set()
    folders: set[str] = set()
    for file in request.files:
        folders |= {str(parent) for parent in PurePosixPath(file.name).parents}
        if not is_usable_name(file.name) or file.name in names:
            raise InputRefused("program_file_name", name=file.name)
        names.add(file.name)
    for name in folders & names:
        raise InputRefused("program_file_name", name=name)
    if any("\0" in argument for argument in request.args) or sum(map(len, request.args)) > _ARGUMENTS_CHARACTERS:
        raise InputRefused("program_argument")


def is_usable_name(name: str) -> bool:
    """Whether it is the name of a file plainly inside a folder, on every system a person may save it to."""
    parts = name.split("/")
    clean = name.isprintable() and "\\" not in name
    return clean and 0 < len(parts) <= _DEPTH and all(_is_usable_part(part) for part in parts)


def _is_usable_part(part: str) -> bool:
    return part not in ("", ".", "..") and len(part.encode("utf-8", "replace")) <= _NAME_BYTES
