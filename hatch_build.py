"""Puts htmx into the package: the wheel of django-htmx brings it, nobody downloads it at run time and nobody commits it."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = "earshot/web/static/vendor"
#: htmx is free of conditions (Zero-Clause BSD); its text goes along all the same
LICENCE = """\
Zero-Clause BSD
===============

Permission to use, copy, modify, and/or distribute this software for
any purpose with or without fee is hereby granted.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL
WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES
OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE
FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY
DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER
IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING
OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
"""


class Htmx(BuildHookInterface):  # type: ignore[type-arg]
    """Copies the minified script into the tree before wheels, source archives and editable installs are made."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        vendor = Path(self.root) / VENDOR
        script = vendor / "htmx.min.js"
        vendor.mkdir(parents=True, exist_ok=True)
        found = find_spec("django_htmx")
        if found is not None and found.origin is not None:
            shutil.copyfile(Path(found.origin).parent / "static/django_htmx/htmx-2.min.js", script)
        elif not script.exists():
            raise RuntimeError("django-htmx is missing: it belongs to build-system.requires in pyproject.toml")
        (vendor / "htmx.LICENSE").write_text(LICENCE, encoding="utf-8")
        build_data["artifacts"].append(f"{VENDOR}/*")
