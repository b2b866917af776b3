"""Names for files of captures that nothing else has, or had."""

from allegro.trigger.job import Job
from allegro.trigger.jobs import JobStore
from allegro.trigger.names import free_name
from allegro.trigger.publish import TEXT_SUFFIX
from allegro.trigger.rows import Row
from allegro.trigger.surroundings import Surroundings


def unused_name(store: JobStore, around: Surroundings, job: Job, row: Row | None = None) -> str:
    """The first name of the sequence that no file, job or row has; `row`: for that row of the job."""

    directories = (around.storage, around.upload, around.sent)
    shape = (row or job).shape

    def taken(name: str) -> bool:
        # A capture that was renamed may have left its text behind, which would be that of another one.
        names = (name, name + TEXT_SUFFIX) if shape.classic else (name,)
        return store.uses_name(name) or any(
            directory is not None and (directory / each).exists()
            for directory in directories
            for each in names
        )

    return free_name(
        job.press_ns, job.source, job.key, taken, row=row.name if row else "", suffix=shape.suffix
    )
