"""The site builds without a warning, has every page and the reference of the code, and loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def build(site: Path, configuration: Path = ROOT / "mkdocs.yml") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-f", str(configuration), "-d", str(site)],
        # A proxy that is not there: what would reach for the network fails.
        env=os.environ
        | dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
        | {"NO_MKDOCS_2_WARNING": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    pages |= {Path("README.html"), Path("CONTRIBUTING.html"), Path("CHANGELOG.html")}
    wanted = {path.with_name("index.html") if path.stem == "README" else path for path in pages}
    assert {path for path in wanted if not (site / path).exists()} == set()


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("dsl", ["dsl.compile_features", "dsl.CompiledFeatures.columns"]),
        ("documents", ["giornata.documents.load_project", "giornata.documents.ModelSpec"]),
        ("model_types", ["giornata.models.base.ModelType.fit"]),
        ("bundle", ["giornata.bundle.open_bundle"]),
        ("scorer", ["giornata.scorer.Scorer.rows", "giornata.scorer.Prediction"]),
    ],
)
def test_the_reference_of_the_code_has_what_it_should(site: Path, page: str, names: list[str]) -> None:
    text = (site / "reference" / "python" / f"{page}.html").read_text(encoding="utf-8")
    assert [name for name in names if f'id="{name}"' not in text] == []


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    loading = re.compile(r"""<(?:script|img|link)\b[^>]*(?:src|href)=["']?(?:https?:)?//[^>]*>""")
    found = {
        tag for page in site.rglob("*.html") for tag in loading.findall(page.read_text(encoding="utf-8"))
    }
    assert found == set()
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert styles
    assert [style for style in styles if re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", style)] == []


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("[a page](gone.md), [a heading](#gone)", ["target is not found", "no such anchor"]),
        ('<script src="https://example.org/x.js"></script>', ["loads something from elsewhere"]),
    ],
)
def test_a_page_that_is_wrong_ends_the_build(tmp_path: Path, text: str, reasons: list[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(f"# Page\n\n{text}\n")
    hooks = ROOT / "docs" / "site" / "hooks.py"
    (tmp_path / "mkdocs.yml").write_text(
        f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: docs\nnav: [page.md]\nplugins: []\nhooks: [{hooks}]\n"
    )
    done = build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert done.returncode != 0
    assert [reason for reason in reasons if reason not in done.stdout + done.stderr] == []
