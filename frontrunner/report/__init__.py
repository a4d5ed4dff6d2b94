"""Rankings and tunings as pages: the style, the charts, and reports in one file that open without a network."""

from frontrunner.report.data import ranking_data
from frontrunner.report.pages import charts_html, ranking_html, tuning_html

__all__ = ["charts_html", "ranking_data", "ranking_html", "tuning_html"]
