"""Archive: history beyond the platform's memory and beyond one machine, as Parquet files and Ibis tables.

archive = ws.archive("history")                    # a directory, or s3://bucket/prefix and the like
archive.collect(ws[:], since="7d")                 # resumes where it left off; fit for cron and papermill
archive.questions.summary(archive.traffic()).to_pandas()
"""

from __future__ import annotations

from createos_nb.archive.archive import Archive

__all__ = ["Archive"]
