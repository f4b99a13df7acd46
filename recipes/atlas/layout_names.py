"""The layout algorithms of an atlas by name. Standard library only, so that help texts need no numpy."""

from typing import Literal, get_args

Layout = Literal["umap", "tsne"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
