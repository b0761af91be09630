"""InfoNCE and SigLIP."""

from __future__ import annotations

from plait.objectives import InfoNCE, SigLIP
from tests.core.battery.battery import Case
from tests.core.battery.worlds import scenes, vectors

CASES = {
    "info_nce": Case(make=lambda: InfoNCE(["a", "b"], first_to_second=0.75), world=vectors),
    "info_nce/views": Case(make=lambda: InfoNCE(["a", "a:2"]), world=vectors),
    "info_nce/equal": Case(make=lambda: InfoNCE(["a", "b"], equal="c"), world=vectors),
    "info_nce/fused": Case(make=lambda: InfoNCE([["image"], ["image", "text"]]), world=scenes),
    "siglip": Case(make=lambda: SigLIP(["a", "b"], equal="c"), world=vectors),
}
