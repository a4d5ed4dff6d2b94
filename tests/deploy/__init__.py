"""Files that deploy the service: the chart, the dashboard, the alert rules."""
