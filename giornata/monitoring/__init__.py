"""What happens to a model after it answers: accuracy over time, alert rules and their mails."""
