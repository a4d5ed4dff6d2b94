"""What the service carries, with real servers and processes: `load`, `claims`, `chaos`, `recovery`."""
