"""Who may come in: users with their passwords, and what each role may do."""
