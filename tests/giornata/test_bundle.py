"""A bundle is the same bytes for the same content, and opens whole or not at all."""

import dataclasses
import io
import json
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from giornata import bundle as module
from giornata.bundle import Part, digest, open_bundle, write_bundle
from giornata.errors import BundleError


def rezipped(content: bytes, change) -> bytes:
    """The bundle with its files, a dictionary, changed by `change`."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def without(content, **changes):
    return dataclasses.replace(content, **changes)


def test_round_trip(trained):
    opened = open_bundle(trained.content)
    reports = {"search": None, "distributions": {}}
    assert opened == without(
        trained.bundle,
        version=trained.bundle.version.model_copy(update=reports),
        features=json.loads(json.dumps(trained.bundle.features)),
        partition=json.loads(json.dumps(trained.bundle.partition)),
    )
    assert write_bundle(opened) == trained.content == write_bundle(trained.bundle)


def test_path(trained, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(trained.content)
    assert open_bundle(path) == open_bundle(trained.content)
    with pytest.raises(BundleError, match=r"missing\.zip: cannot be read"):
        open_bundle(tmp_path / "missing.zip")


def test_only_data_in_open_formats(trained):
    with zipfile.ZipFile(io.BytesIO(trained.content)) as archive:
        names = archive.namelist()
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        manifest = json.loads(archive.read("manifest.json"))
    assert {name.rsplit(".", 1)[1] for name in names} == {"json", "ubj"}
    assert manifest["uuid"] == trained.bundle.version.uuid
    assert sorted(manifest["files"]) == sorted(set(names) - {"manifest.json"})


@pytest.mark.parametrize(
    "name", ["record.json", "features.json", "parts.json", "parts/00002/model.ubj", "self_test.json"]
)
def test_the_file_at_fault_is_named(trained, name):
    def alter(files):
        files[name] = files[name][:-1] + b"!"

    with pytest.raises(BundleError, match=f"{name} is not what the manifest says"):
        open_bundle(rezipped(trained.content, alter))
    with pytest.raises(BundleError, match=f"{name} is missing"):
        open_bundle(rezipped(trained.content, lambda files: files.pop(name)))


def test_missing_manifest(trained):
    with pytest.raises(BundleError, match=r"manifest\.json is missing"):
        open_bundle(rezipped(trained.content, lambda files: files.pop("manifest.json")))


@pytest.mark.parametrize(
    "name",
    [
        "../evil.json",
        "/etc/passwd",
        "parts/../x.json",
        "parts/00000/../../x.ubj",
        "parts/1/model.ubj",
        "a.pkl",
    ],
)
def test_paths_and_kinds_that_do_not_belong(trained, name):
    def add(files):
        files[name] = b"x"
        manifest = json.loads(files["manifest.json"])
        manifest["files"][name] = {"size": 1, "sha256": digest(b"x")}
        files["manifest.json"] = json.dumps(manifest).encode()

    with pytest.raises(BundleError, match="is not the name of a bundle's file"):
        open_bundle(rezipped(trained.content, add))


def test_extra_file(trained):
    with pytest.raises(BundleError, match=r"parts/00099/model\.ubj is not in the manifest"):
        open_bundle(rezipped(trained.content, lambda files: files.update({"parts/00099/model.ubj": b"x"})))


def test_two_files_of_one_name(trained):
    buffer = io.BytesIO(trained.content)
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("record.json", b"{}")
    with pytest.raises(BundleError, match="two files of one name"):
        open_bundle(buffer.getvalue())


def test_content_that_the_manifest_vouches_for_is_still_checked(trained):
    def replace(name, data):
        def change(files):
            files[name] = data
            manifest = json.loads(files["manifest.json"])
            manifest["files"][name] = {"size": len(data), "sha256": digest(data)}
            files["manifest.json"] = json.dumps(manifest).encode()

        return change

    with pytest.raises(BundleError, match=r"record\.json does not hold what it should"):
        open_bundle(rezipped(trained.content, replace("record.json", b'{"uuid": 1}')))
    with pytest.raises(BundleError, match=r"parts\.json does not begin with the root"):
        open_bundle(rezipped(trained.content, replace("parts.json", b"[]")))
    wrong = b'[{"key": [], "level": "all", "name": "all", "files": ["other.ubj"]}]'
    with pytest.raises(BundleError, match=r"parts/00000/other\.ubj is missing"):
        open_bundle(rezipped(trained.content, replace("parts.json", wrong)))


def test_other_format(trained):
    def change(files):
        files["manifest.json"] = files["manifest.json"].replace(b'"format":1', b'"format":2')

    with pytest.raises(BundleError, match="has format 2; this Giornata reads format 1"):
        open_bundle(rezipped(trained.content, change))


def test_limits(trained, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 100)
    with pytest.raises(BundleError, match=r"has [0-9]+ bytes; at most 100"):
        open_bundle(trained.content)
    with pytest.raises(BundleError, match="at most 100"):
        write_bundle(trained.bundle)
    monkeypatch.undo()
    monkeypatch.setattr(module, "MAX_FILES", 3)
    with pytest.raises(BundleError, match="at most 3"):
        open_bundle(trained.content)


def test_a_bomb_is_not_unpacked(trained):
    """A file that unpacks to more than it declares stops at what it declares."""
    content = rezipped(trained.content, lambda files: files.update({"features.json": b" " * 50_000_000}))
    with pytest.raises(BundleError, match=r"features\.json"):
        open_bundle(content)


def test_write_refuses_names_that_it_would_not_open(trained):
    part = Part(("x",), "city", "city=x", {"../model.ubj": b""})
    with pytest.raises(BundleError, match="is not the name of a bundle's file"):
        write_bundle(without(trained.bundle, parts=(*trained.bundle.parts, part)))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_flipped_bytes_never_change_the_content(trained, data):
    """Any one byte changed: an error, or (in what ZIP keeps beside the content, such as dates) the same content."""
    at = data.draw(st.integers(0, len(trained.content) - 1))
    bit = data.draw(st.integers(0, 7))
    damaged = bytearray(trained.content)
    damaged[at] ^= 1 << bit
    try:
        opened = open_bundle(bytes(damaged))
    except BundleError:
        return
    assert opened == open_bundle(trained.content)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_truncated(trained, data):
    length = data.draw(st.integers(0, len(trained.content) - 1))
    with pytest.raises(BundleError):
        open_bundle(trained.content[:length])


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip" * 100])
def test_no_zip(content):
    with pytest.raises(BundleError, match="damaged or no ZIP"):
        open_bundle(content)
