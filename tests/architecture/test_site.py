"""What `mkdocs build --strict` does not check: links that leave the site, and remote files."""

from types import SimpleNamespace

import pytest
from mkdocs.exceptions import PluginError

from docs import hooks


def rewritten(text: str, page: str, repository: str = "") -> str:
    files = SimpleNamespace(src_uris={"index.md": None, "predict.md": None, "api/load.md": None})
    return hooks.on_page_markdown(
        text,
        SimpleNamespace(file=SimpleNamespace(src_uri=page)),
        SimpleNamespace(repo_url=repository),
        files,
    )


@pytest.mark.parametrize(
    ("text", "page", "expected"),
    [
        pytest.param(
            "[p](docs/predict.md#export)", "index.md", "[p](predict.md#export)", id="from the README"
        ),
        pytest.param("[r](../README.md#guides)", "predict.md", "[r](index.md#guides)", id="to the README"),
        pytest.param("[p](../predict.md)", "api/load.md", "[p](../predict.md)", id="from a folder"),
        pytest.param("[d](https://dvc.org)", "index.md", "[d](https://dvc.org)", id="to another site"),
        pytest.param("[x](docs/absent.md)", "index.md", "[x](docs/absent.md)", id="to a missing file"),
    ],
)
def test_links_between_files_become_links_between_pages(text, page, expected):
    assert rewritten(text, page) == expected


def test_a_link_to_a_file_that_is_no_page_leads_to_the_repository():
    expected = "[l](https://example.org/me/it/blob/HEAD/LICENSE)"

    assert rewritten("[l](LICENSE)", "index.md", "https://example.org/me/it") == expected


def test_without_a_repository_only_the_text_of_such_a_link_remains():
    assert rewritten("the [licence](../LICENSE)", "predict.md") == "the licence"


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://unpkg.com/x.js"></script>',
        '<link rel="stylesheet" href="https://fonts.googleapis.com/css">',
        '<img alt="badge" src="//img.shields.io/x.svg">',
    ],
)
def test_a_page_that_loads_a_remote_file_is_an_error(html):
    page = SimpleNamespace(file=SimpleNamespace(src_uri="index.md"))

    with pytest.raises(PluginError, match=r"index\.md: loads <\w+ .*//"):
        hooks.on_post_page(html, page, None)
