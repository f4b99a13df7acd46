"""Names of networks on the Hugging Face hub: those that are cached on this machine, and the hub's search."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inverter.sources.hub import hub
from inverter.sources.quiet import quiet
from inverter.sources.source import require

TASKS = ("image-classification", "image-feature-extraction", "zero-shot-image-classification", "image-segmentation")
"""Of the hub's models, those that take pictures and are no text generators."""
MOST = 100
"""Names that a search returns for each task: those that are downloaded most."""


def cached() -> Iterable[str]:
    """Names of the cached repositories that transformers load and that take pictures."""
    require("transformers", "hf")
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        with quiet():
            found = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return []
    return [f"hf:{repo.repo_id}" for repo in found if repo.repo_type == "model" and _of_pictures(repo)]


def _of_pictures(repo: Any) -> bool:
    files = {file.file_name: file.file_path for revision in repo.revisions for file in revision.files}
    if "preprocessor_config.json" not in files or "config.json" not in files:
        return False
    try:
        return "model_type" in json.loads(Path(files["config.json"]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def searched(pattern: str) -> Iterable[str]:
    """Names that the hub's search finds for a pattern; none without one.

    Args:
        pattern: as for `list_models`: its longest part without wildcards is searched for.

    Raises:
        Unreachable: if the hub cannot be reached.
    """
    words = max(re.split(r"\[.*?\]|[*?]", pattern.removeprefix("hf:")), key=len).strip("/")
    if not words:
        return []
    from huggingface_hub import HfApi

    names: list[str] = []
    search = f"the hub's answer to a search for {words!r}"
    with hub(search, instead="list_models(source='hf') lists what is cached on this machine", fetched=search):
        for task in TASKS:
            found = HfApi().list_models(
                search=words, pipeline_tag=task, filter="transformers", sort="downloads", limit=MOST
            )
            names += [f"hf:{each.id}" for each in found]
    return names
