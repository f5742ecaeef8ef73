"""Training: a loop made of parts, and what one does around it."""

__all__: list[str] = []
