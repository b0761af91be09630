"""The figures by hand in docs/diagnostics.md, in the order of the page."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "diagnostics.md"


def test_the_examples_hold() -> None:
    examples = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(examples) > 8
    exec(compile("\n".join(examples), str(PAGE), "exec"), {})
