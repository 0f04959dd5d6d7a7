"""A small store with one of everything, made without training."""

import hashlib
from dataclasses import asdict

import numpy as np

from tenarai.catalogue import open_catalogue
from tenarai.dataset import freeze, save_snapshot
from tenarai.evaluate import promotions
from tenarai.forget import forget
from tenarai.model import bundle
from tenarai.model.forward import Forward
from tenarai.prepare import NORMALISER_VERSION, prepare_images
from tenarai.records import Look, ModelInfo
from tenarai.settings import Settings
from tenarai.store import Store
from tests.collections_of_digits import fill
from tests.folder_desk import Desk

PATH = "digits/4/0004.png"


class Collection(Desk):
    """A folder and a store with a snapshot, a champion that learned from it, its night, two reports and a study."""

    def __init__(self, place):
        super().__init__(place)
        fill(self.folder, num_each=4, labels="45")
        self.night()
        self.settings = Settings(_env_file=None, source=self.source, store=str(self.place))
        self.store = Store(str(self.place), self.place)
        self.sha256 = next(image.sha256 for image in self.ask("images") if image.path == PATH)
        self.original = self.store.original(self.sha256)
        with self.catalogue() as catalogue:
            prepare_images(self.store, catalogue, self.source, self.settings)
            images, prints = catalogue.images(self.source), catalogue.fingerprints(NORMALISER_VERSION)
            self.pixels = catalogue.digits(NORMALISER_VERSION)[self.sha256].pixels
            frozen = freeze(
                images,
                prints,
                lambda names: catalogue.pixels(NORMALISER_VERSION, names),
                normaliser=NORMALISER_VERSION,
                test_share=0.01,
            )
            self.snapshot = frozen.snapshot.info.id
            save_snapshot(self.store, frozen.snapshot)
            for model, snapshot in (("m-1", self.snapshot), ("m-2", "")):
                self.save_model(model, snapshot)
                catalogue.put_predictions(model, {self.sha256: ("4", 0.9)})
            promotions.write_history(self.store, ())
            look = Look(1, 0.025, "base-1", "m-1", 7, "mlp")
            self.store.write_json({"records": [asdict(look)]}, promotions.LOOKS)
            promotions.promote(self.store, "m-1", why="", by="gate", snapshot=self.snapshot)
            suspects = [{"path": PATH, "sha256": self.sha256}, {"path": "digits/5/b.png", "sha256": "b" * 64}]
            night = {"run": "r1", "snapshot": self.snapshot, "suspects": suspects, "stories": {self.sha256: {}}}
            catalogue.put_night("r1", self.source, night)
        for run, digest in (("r1", "b" * 64), ("r2", self.sha256)):
            self.store.write_json({"snapshot": self.snapshot, "cases": [digest]}, "reports", run, "report.json")
        self.store.write(b"half-written", "reports", "r3", "report.html")
        self.store.write(b"r2\n", "reports", "latest")
        self.store.write(b"<img>", "studies", "one", "report.html")

    def catalogue(self):
        return open_catalogue(f"sqlite:///{self.place}/catalogue.sqlite")

    def save_model(self, model, snapshot):
        info = ModelInfo(id=model, labels=("4", "5"), normaliser=NORMALISER_VERSION, recipe="mlp", epochs=1)
        rng, arrays = np.random.default_rng(0), {"out_of_fold": np.zeros((8, 2))}
        weights = [rng.normal(size=shape).astype("f4") for shape in ((784, 8), (8,), (8, 2), (2,))]
        pixels = bundle.check_digits()[:1]
        probe = {"pixels": pixels, "expected": Forward("mlp", weights).predict(pixels)}
        contents = {
            "model.keras": b"network",
            "history.json": b'{"folds": [], "refit": {"loss": [0.5]}}',
            "weights.npz": bundle.pack_weights(weights, **probe),
            "predictions.npz": bundle.pack_weights([], **arrays),
            "card.md": b"card",
        }
        for name, data in contents.items():
            self.store.write(data, "models", model, name)
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        record = bundle.to_record(info) | {"digests": digests, "snapshot": snapshot}
        self.store.write_json(record, "models", model, "model.json")

    def forget(self, path=PATH):
        lines = []
        forget(self.settings, path, lines.append)
        return list(map(str, lines))
