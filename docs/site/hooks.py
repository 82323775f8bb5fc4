"""Adds README, CONTRIBUTING and CHANGELOG to the site, and rewrites links so that they work inside of it."""

import re
from pathlib import Path
from posixpath import normpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
TOP_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")

_FROM_ELSEWHERE = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|preconnect|icon))[^>]*\bhref=["']?(?:https?:)?//"""
)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write out the pages of folders in the menu."""
    config.nav = [_written_out(item, Path(config.docs_dir)) for item in config.nav or []]
    return config


def _written_out(item: Any, docs: Path) -> Any:
    if not isinstance(item, dict):
        return item
    ((title, within),) = item.items()
    if not isinstance(within, list):
        return item
    pages: list[Any] = []
    for each in within:
        if isinstance(each, str) and each.endswith("/*"):
            found = sorted(
                (docs / each).parent.glob("*.md"), key=lambda page: (page.name != "README.md", page.name)
            )
            pages += [page.relative_to(docs).as_posix() for page in found]
        else:
            pages.append(_written_out(each, docs))
    return {title: pages}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages at the top of the repository."""
    for name in TOP_PAGES:
        files.append(File.generated(config, name, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: Any) -> str:
    """Lead links to where their files are on the site; what is no page of it, such as code, is named without a link."""
    source = page.file.src_uri
    folder = ROOT if source in TOP_PAGES else ROOT / "docs" / Path(source).parent

    def led(link: re.Match[str]) -> str:
        image, text, target, anchor = link[1], link[2], link[3], link[4] or ""
        path = Path(normpath(folder / target)).relative_to(ROOT).as_posix()
        uri = path.removeprefix("docs/") if path not in TOP_PAGES else path
        if files.get_file_from_path(uri) is None:
            return link[0] if not (ROOT / path).exists() else text
        depth = source.count("/")
        return f"{image}[{text}]({'../' * depth}{uri}{anchor})"

    return _LINK.sub(led, markdown)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """End the build where a page would load something from another host."""
    if found := _FROM_ELSEWHERE.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from elsewhere: {found[0]}…")
    return output
