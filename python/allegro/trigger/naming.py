"""Names for files of captures that nothing else has, or had."""

from allegro.trigger.jobs import Job, JobStore
from allegro.trigger.names import free_name
from allegro.trigger.rows import Row
from allegro.trigger.surroundings import Surroundings


def unused_name(store: JobStore, around: Surroundings, job: Job, row: Row | None = None) -> str:
    """The first name of the sequence that no file, job or row has; `row`: for that row of the job."""

    directories = (around.storage, around.upload, around.sent)

    def taken(name: str) -> bool:
        return store.uses_name(name) or any(
            directory is not None and (directory / name).exists() for directory in directories
        )

    suffix = (row or job).shape.suffix
    return free_name(job.press_ns, job.source, job.key, taken, row=row.name if row else "", suffix=suffix)
