"""The CreateOS API: every operation declared once, callable blocking and awaiting."""
