"""For tests of the sync: a folder on disk, a store, and nights that sync the one into the other."""

from tenarai.catalogue import open_catalogue
from tenarai.settings import Settings
from tenarai.store import open_store
from tenarai.sync import open_source


class Desk:
    """A folder of files, a store, and nights that sync the one into the other."""

    def __init__(self, place):
        self.folder, self.place = place / "folder", place / "store"
        self.folder.mkdir()
        self.source, self.num_nights = f"folder:{self.folder}", 0

    def put(self, path, content="ink"):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def night(self, **options):
        self.num_nights += 1
        settings = options.pop("settings", Settings(_env_file=None))
        store = open_store(str(self.place))
        with open_catalogue(f"sqlite:///{self.place}/catalogue.sqlite") as catalogue:
            source = open_source(settings.model_copy(update={"source": self.source}))
            return source.sync(store, catalogue, f"r{self.num_nights}", **options)

    def ask(self, question, *arguments, **options):
        with open_catalogue(f"sqlite:///{self.place}/catalogue.sqlite") as catalogue:
            return getattr(catalogue, question)(self.source, *arguments, **options)

    def labels(self):
        return {image.path: image.label for image in self.ask("images")}

    def rejections(self):
        return {rejection.path: rejection.reason for rejection in self.ask("rejections", 1)}

    def events(self):
        return [(event.kind, event.path) for event in self.ask("events", f"r{self.num_nights}")]

    def originals(self):
        return sorted(path.read_bytes() for path in (self.place / "blobs").rglob("*") if path.is_file())

    def everything(self):
        """Every file of the store with its bytes and time of change."""
        files = sorted(path for path in self.place.rglob("*") if path.is_file())
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
