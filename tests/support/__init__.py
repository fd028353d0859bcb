"""Builders and runners that several test folders share."""
