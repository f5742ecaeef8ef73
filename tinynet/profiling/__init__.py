"""Seeing what runs and what it takes: `profile`.

* `block`: `profile`, the `with` block, its table and its trace
* `spans`: what Python did meanwhile: ranges, operations, gradient rules, and what they launched
* `calls`: calls of tinynet from outside, for who asks
* `table`: by kernel, against the device's measured peaks
* `trace`: rows for Perfetto, with arrows between what belongs together
"""

from tinynet.profiling.block import Profile, profile
from tinynet.profiling.spans import Span
from tinynet.profiling.table import Row, rows

__all__ = ["Profile", "Row", "Span", "profile", "rows"]
