"""Builds pages of the site from files outside docs/, and points links between them to the right place.

mkdocs.yml names this file. README.md, CONTRIBUTING.md and the notebook stay the only copies of their text.
"""

import json
import posixpath
import re
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "docs/use_a_model.ipynb": "use_a_model.md",
}
"""Path in the repository to the page of the site."""
SOURCES = {page: path for path, page in PAGES.items()}

LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)([^)\s#]+)(#[^)\s]*)?\)")
BADGE = re.compile(r"^\[!\[.*\n", re.MULTILINE)
REMOTE = re.compile(
    r"""<(?:script|img|iframe)[^>]*\ssrc=["']?(?:https?:)?//[^>]*|<link[^>]*(?:stylesheet|preconnect)[^>]*//[^>]*"""
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages whose source is not a Markdown file in docs/."""
    for path, page in PAGES.items():
        text = (ROOT / path).read_text("utf-8")
        content = notebook(json.loads(text)) if path.endswith(".ipynb") else BADGE.sub("", text)
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links between files of the repository as links between pages.

    A link to a file that is no page leads to the repository (REPOSITORY_URL); without that, only its text
    remains. A link to a missing file stays, so that --strict reports it.
    """
    here = page.file.src_uri
    source = SOURCES.get(here, f"docs/{here}")

    def rewritten(link: re.Match[str]) -> str:
        text, target, anchor = link[1], link[2], link[3] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        name = PAGES.get(path, path.removeprefix("docs/"))
        if name in files.src_uris:
            return f"[{text}]({posixpath.relpath(name, posixpath.dirname(here) or '.')}{anchor})"
        if not (ROOT / path).exists():
            return link[0]
        return f"[{text}]({config.repo_url}/blob/HEAD/{path}{anchor})" if config.repo_url else text

    return LINK.sub(rewritten, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Check that the page loads nothing from the network.

    Raises:
        PluginError: if it does.
    """
    if remote := REMOTE.search(output):
        raise PluginError(
            f"{page.file.src_uri}: loads {remote[0]}; expected a file of the site. Check mkdocs.yml."
        )
    return output


def notebook(content: dict[str, Any]) -> str:
    """Write a notebook with text outputs as Markdown."""
    parts = []
    for cell in content["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            text = "".join(output.get("text", output.get("data", {}).get("text/plain", [])))
            parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts)


class PlainText(griffe.Extension):
    """Docstrings are plain text, in which `<class>` is a placeholder and Source a paragraph."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Convert the docstring of a module, class, function or attribute to Markdown."""
        if obj.docstring:
            text = obj.docstring.value.replace("<", "&lt;")
            obj.docstring.value = re.sub(r"^Source:\n +", "**Source:** ", text, flags=re.MULTILINE)
