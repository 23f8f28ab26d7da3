"""The embedded CreateOS: a real platform on one machine; it builds, runs, serves and measures applications."""
