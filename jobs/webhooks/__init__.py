"""Webhooks: which messages are due, where they may go, and how they are signed."""
