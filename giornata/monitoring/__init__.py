"""Monitoring of deployed models: accuracy over time, alert rules and their mails."""
