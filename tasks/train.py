"""train: train a challenger, on the GPU pool when one of its workers is ready, else here."""

from __future__ import annotations

from contextlib import closing

from prefect import task
from prefect.cache_policies import NO_CACHE

from tenarai.errors import TrainingError
from tenarai.locale import _
from tenarai.model.challenger import is_complete, name_challenger, train_challenger
from tenarai.night import Night
from tenarai.orchestration.artifacts import TrainingView
from tenarai.orchestration.pools import gpu_worker_is_ready, train_on_gpu_pool
from tenarai.records import FreezeResult


@task(name="train", task_run_name="train", cache_policy=NO_CACHE)
def train(night: Night, frozen: FreezeResult) -> str:
    """Train a challenger on what is new.

    Returns:
        The challenger's id; empty when nothing is new.

    Raises:
        TrainingError: The training failed, was cancelled, or left no model.
    """
    if frozen.info is None or not frozen.is_new:
        return ""
    with night.step(_("train")) as log:
        training, snapshot = night.training, frozen.info.id
        if night.force:  # another seed each time, or a forced night would repeat the last one to the bit
            with night.catalogue() as catalogue:
                num_nights = len(catalogue.nights(night.settings.source))
            training = training.model_copy(update={"seed": training.seed + num_nights})
        model = name_challenger(snapshot, training)
        if not is_complete(night.store, model) and gpu_worker_is_ready():
            log.info(_("{model} is trained on the GPU pool", model=model))
            parameters = {"store": night.store.address, "snapshot": snapshot, "model": model}
            order = train_on_gpu_pool(model, {**parameters, "training": training.model_dump(mode="json")})
            if order.note:
                log.warning(order.note)
                night.notes.append(order.note)
            if order.is_trained and not is_complete(night.store, model):
                raise TrainingError(
                    _("the GPU worker left no model in the store"),
                    expected=_("models/{model}/model.json in {store}", model=model, store=night.store.address),
                    fix=_("give both workers the same store"),
                )
        with closing(TrainingView(log, training)) as view:
            done = train_challenger(night.store, snapshot, model, training, view)
        log.info(done)
        return model
