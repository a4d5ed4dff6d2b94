"""What a job is: kinds, states and transitions, claims and leases, webhooks, counters, telling workers."""
