"""What mkdocs calls while it builds the site (`hooks` in mkdocs.yml)."""

from __future__ import annotations

import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.docs import navigation, repository
from tools.docs.commands import command_pages
from tools.docs.python_names import python_pages


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the pages that are made from the code and those of the repository's root, and fills the navigation."""
    made = {**command_pages(), **python_pages(), **repository.pages()}
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    for path, file in repository.linked_files().items():
        files.append(File.generated(config, path, abs_src_path=str(file)))
    config.nav = navigation.filled(config.nav, [each.src_uri for each in files.documentation_pages()])
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Links to files of the repository lead to what the site has of them, and lists nest as on GitHub."""
    nested = re.sub(r"^ {2}(?=- )", " " * 4, markdown, flags=re.MULTILINE)
    return repository.relinked(nested, page.file.src_uri)
