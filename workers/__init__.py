"""Workers: take jobs, run their steps in runner processes, recover what was lost."""
