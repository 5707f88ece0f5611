"""Figures, charts, the report page, Markdown and LaTeX tables."""
