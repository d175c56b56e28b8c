"""Calls over HTTP: the guard, the signature, and one request."""
