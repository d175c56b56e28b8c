"""Calls over SMTP: e-mail."""
