"""The two work pools: `cpu` runs the nights, `gpu` trains."""

from __future__ import annotations

CPU_POOL = "cpu"
GPU_POOL = "gpu"


def gpu_worker_is_ready() -> bool:
    """Whether a worker of the GPU pool has sent its heartbeat lately; False where there is no such pool."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import WorkPoolStatus
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            return client.read_work_pool(GPU_POOL).status == WorkPoolStatus.READY
        except ObjectNotFound:
            return False
