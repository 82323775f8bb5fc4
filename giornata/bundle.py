"""The bundle of a model version: one ZIP with everything a prediction needs, the same bytes for the same content.

    manifest.json          format, uuid, model; size and SHA-256 of every other file
    record.json            the version's record without its reports (search, distributions) and sources
    features.json          the compiled features with their fitted state, and the source of the project's functions
                           (UDFs) that they call, under its hash
    partition.json         the compiled partition expressions, if the model has parts
    parts.json             key, level and name of each part, and the files of its model
    parts/00000/<file>     the fitted parameters of part 0 (the root), in an open format
    self_test.json         rows of inputs and the version's predictions for them

Opening verifies names, sizes and hashes and runs nothing: all of it is data. A scorer made from it runs the project's
own functions, which `dsl/udf_code/check.py` restricts to a list of names, and, for a model of type custom, the
project's own class, which may do anything that the process may: create scorers only from bundles out of your own
repository.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from giornata.errors import BundleError, GiornataError
from giornata.records.model_version import KeyValue, ModelVersion

__all__ = ["Bundle", "Part", "SelfTestRow", "digest", "open_bundle", "read_file", "told", "write_bundle"]

FORMAT = 1
MAX_FILES = 50_000
MAX_FILE_BYTES = 256 * 2**20
MAX_BYTES = 2**30
MAX_ARCHIVE_BYTES = MAX_BYTES + 2**26  # what is packed never grows by more than the names that ZIP keeps

_NAME = re.compile(
    r"(record|features|partition|parts|self_test)\.json|parts/\d{5}/[a-z][a-z0-9_]{0,30}\.(ubj|json|npy|npz|safetensors)",
    re.ASCII,
)
_MANIFEST = "manifest.json"
_DATE = (1980, 1, 1, 0, 0, 0)  # ZIP's first: the bytes must not depend on when they are written
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class Part:
    """A part that has a model: the values of its levels, coarsest first (none for the root), and the model's files."""

    key: tuple[KeyValue, ...]
    level: str
    name: str
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class SelfTestRow:
    """Inputs as JSON (times as ISO text) and the prediction for them, which must be the same bit for bit."""

    inputs: Mapping[str, Any]
    prediction: float | str
    part: str
    level: str
    outputs: Mapping[str, float] | None = None


@dataclass(frozen=True)
class _Entry:
    """The entry of a part in `parts.json`."""

    key: list[KeyValue]
    level: str
    name: str
    files: list[str]


_STRICT = ConfigDict(strict=True)
_OBJECT = TypeAdapter(dict[str, Any], config=_STRICT)
_ENTRIES = TypeAdapter(list[_Entry])
_SELF_TEST = TypeAdapter(list[SelfTestRow])


@dataclass(frozen=True)
class Bundle:
    """The content of a bundle. `parts` begins with the root, which predicts where no other part does."""

    version: ModelVersion
    features: Mapping[str, Any]
    partition: Mapping[str, Any] | None
    parts: tuple[Part, ...]
    self_test: tuple[SelfTestRow, ...] = field(default=())


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def write_bundle(bundle: Bundle) -> bytes:
    """The ZIP of `bundle`. The same content gives the same bytes. Raises BundleError when a limit is exceeded."""
    files = _files(bundle)
    manifest = {
        "format": FORMAT,
        "uuid": bundle.version.uuid,
        "model": bundle.version.model,
        "files": {name: {"size": len(content), "sha256": digest(content)} for name, content in files.items()},
    }
    _check_limits({name: len(content) for name, content in files.items()})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in [(_MANIFEST, _json(manifest)), *sorted(files.items())]:
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=6)
    return buffer.getvalue()


def open_bundle(source: bytes | Path) -> Bundle:
    """Read and verify a bundle, given as bytes or as the path of a file.

    Raises BundleError, which names the file, if anything is missing, added, altered, too large, badly named or not
    readable as what it should be.

        >>> bundle = open_bundle(Path("trips.zip"))
        >>> bundle.version.model, [part.name for part in bundle.parts][:3]
        ('trips/minutes', ['all', 'state=Illinois', 'city=Portland (state=Maine)'])
        >>> open_bundle(Path("trip.zip"))
        Traceback (most recent call last):
        giornata.errors.BundleError: trip.zip: cannot be read: No such file or directory
    """
    where = str(source) if isinstance(source, Path) else "bundle"
    try:
        content = read_file(source) if isinstance(source, Path) else source
    except OSError as error:
        raise BundleError(f"{where}: cannot be read: {error.strerror}") from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = _verified_files(archive)
        return _bundle(files)
    except BundleError as error:
        raise BundleError(f"{where}: {error}") from error.__cause__
    except Exception as error:  # zipfile raises what its own reading and its codecs stumble over
        raise BundleError(f"{where}: is damaged or no ZIP file ({told(error)})") from error


def read_file(path: Path) -> bytes:
    """The content of a bundle's file. Raises OSError, and BundleError if it is too large for a bundle."""
    with path.open("rb") as file:
        content = file.read(MAX_ARCHIVE_BYTES + 1)
    if len(content) > MAX_ARCHIVE_BYTES:
        raise BundleError(f"{path}: has more than {MAX_ARCHIVE_BYTES} bytes, which no bundle has")
    return content


def told(error: BaseException) -> str:
    """An error of any kind in one line: its type and its message."""
    said = " ".join(str(error).split())
    if isinstance(error, GiornataError):
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _files(bundle: Bundle) -> dict[str, bytes]:
    record = bundle.version.model_dump(mode="json", exclude={"search", "distributions", "sources"})
    index = [
        {"key": list(part.key), "level": part.level, "name": part.name, "files": sorted(part.files)}
        for part in bundle.parts
    ]
    files = {
        "record.json": _json(record),
        "features.json": _json(bundle.features),
        "parts.json": _json(index),
        "self_test.json": _json([_self_test_row(row) for row in bundle.self_test]),
    }
    if bundle.partition is not None:
        files["partition.json"] = _json(bundle.partition)
    for number, part in enumerate(bundle.parts):
        files |= {f"parts/{number:05}/{name}": content for name, content in part.files.items()}
    return files


def _self_test_row(row: SelfTestRow) -> dict[str, Any]:
    return {name: value for name, value in vars(row).items() if name != "outputs" or value is not None}


def _json(value: object) -> bytes:
    # Keys stay in their order, which is content: features are columns of the matrix, levels go finest first.
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=dict
    ).encode()


def _check_limits(sizes: Mapping[str, int]) -> None:
    if len(sizes) > MAX_FILES:
        raise BundleError(f"has {len(sizes)} files; at most {MAX_FILES} are allowed")
    for name, size in sizes.items():
        if not _NAME.fullmatch(name):
            raise BundleError(f"{name!r} is not the name of a bundle's file")
        if size > MAX_FILE_BYTES:
            raise BundleError(f"{name} has {size} bytes; at most {MAX_FILE_BYTES} are allowed")
    if sum(sizes.values()) > MAX_BYTES:
        raise BundleError(f"has {sum(sizes.values())} bytes; at most {MAX_BYTES} are allowed")


def _verified_files(archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(entries) < len(archive.infolist()):
        raise BundleError("holds two files of one name")
    if _MANIFEST not in entries:
        raise BundleError(f"{_MANIFEST} is missing")
    manifest_entry = entries.pop(_MANIFEST)
    # Sizes are checked before anything is decompressed, and reading stops at the size that an entry declares.
    _check_limits({name: entry.file_size for name, entry in entries.items()})
    for name, entry in [(_MANIFEST, manifest_entry), *entries.items()]:
        if entry.compress_type not in _METHODS:
            raise BundleError(f"{name} is compressed by a method that bundles do not use")
    if manifest_entry.file_size > MAX_FILE_BYTES:
        raise BundleError(
            f"{_MANIFEST} has {manifest_entry.file_size} bytes; at most {MAX_FILE_BYTES} are allowed"
        )
    listed = _listed(_read(archive, manifest_entry))
    for name in sorted(listed.keys() ^ entries.keys()):
        raise BundleError(f"{name} is {'missing' if name in listed else 'not in the manifest'}")
    files = {}
    for name, entry in entries.items():
        files[name] = _read(archive, entry)
        if (len(files[name]), digest(files[name])) != listed[name]:
            raise BundleError(f"{name} is not what the manifest says: its SHA-256 differs")
    return files


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(entry) as file:
            return file.read()
    except Exception as error:
        raise BundleError(f"{entry.filename} is damaged ({told(error)})") from error


def _listed(manifest: bytes) -> dict[str, tuple[int, str]]:
    try:
        content = _parsed(manifest)
        if content["format"] != FORMAT:
            raise BundleError(
                f"{_MANIFEST} has format {content['format']!r:.40}; this Giornata reads format {FORMAT}"
            )
        return {name: (file["size"], file["sha256"]) for name, file in content["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{_MANIFEST} is not a bundle's manifest ({error})") from error


def _bundle(files: dict[str, bytes]) -> Bundle:
    name = "record.json"
    try:
        version = ModelVersion.model_validate_json(files[name])
        name = "features.json"
        features = _OBJECT.validate_python(_parsed(files[name]))
        name = "partition.json"
        partition = _OBJECT.validate_python(_parsed(files[name])) if name in files else None
        name = "parts.json"
        entries = _ENTRIES.validate_python(_parsed(files[name]))
        parts = tuple(_part(number, entry, files) for number, entry in enumerate(entries))
        if not parts or parts[0].key:
            raise BundleError(f"{name} does not begin with the root")
        if len({part.key for part in parts}) < len(parts):
            raise BundleError(f"{name} holds two parts of one key")
        name = "self_test.json"
        self_test = tuple(_SELF_TEST.validate_python(_parsed(files[name])))
    except KeyError as error:
        raise BundleError(f"{error.args[0]} is missing") from error
    except (ValidationError, ValueError, TypeError) as error:
        raise BundleError(f"{name} does not hold what it should ({error})") from error
    if {name for name in files if name.startswith("parts/")} != {
        f"parts/{number:05}/{name}" for number, part in enumerate(parts) for name in part.files
    }:
        raise BundleError("parts.json does not name every file of a part")
    return Bundle(version, features, partition, parts, self_test)


def _parsed(content: bytes) -> Any:
    """JSON as `_json` writes it. Raises ValueError."""
    try:
        return json.loads(content, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _part(number: int, entry: _Entry, files: dict[str, bytes]) -> Part:
    contents = {name: files[f"parts/{number:05}/{name}"] for name in entry.files}
    return Part(tuple(entry.key), entry.level, entry.name, contents)
