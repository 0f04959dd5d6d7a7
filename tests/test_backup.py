"""A store in one file, and back: the same to the bit, or nothing at all."""

import hashlib
import io
import json
import tarfile
from contextlib import suppress

import pytest
from click.testing import CliRunner

from tenarai.catalogue import copy_catalogue, open_catalogue
from tenarai.cli.main import main
from tenarai.errors import SettingsError, StoreBusyError, StoreError, StoreVersionError
from tenarai.records import Digit, Event, EventKind, Image, Role
from tenarai.store import locate_store, open_store
from tenarai.store.backup import back_up, restore

SOURCE = "folder:/somewhere"


def fill_catalogue(address):
    image = Image(SOURCE, "id", "digits/4/手.png", Role.DIGITS, "4", hashlib.sha256(b"ink").hexdigest(), 3, stamp="s")
    events = [Event(f"r{n}", EventKind.ADDED, "id", image.path, "4", None, None, image.sha256) for n in range(1200)]
    with open_catalogue(address) as catalogue:
        catalogue.apply_sync(SOURCE, [image], events, {"token": "7"})
        catalogue.put_digits([Digit(image.sha256, 1, bytes(range(196)) * 4, bytes(32), image.sha256)])
        catalogue.put_readings("m-1", {image.sha256: ("4", 1 / 3)})
        catalogue.put_night("r2", SOURCE, {"verdict": "kept"})
        catalogue.put_night("r1", SOURCE, {"verdict": "promoted"})


def content(address):
    with open_catalogue(address) as catalogue:
        images = catalogue.images(SOURCE)
        return (
            images,
            catalogue.events(SOURCE),
            catalogue.source_state(SOURCE),
            catalogue.digits(1),
            catalogue.readings("m-1", [image.sha256 for image in images]),
            catalogue.nights(SOURCE),
        )


def files_of(store):
    return {"/".join(parts): store.read(*parts) for parts in store.files() if "catalogue" not in parts[0]}


@pytest.fixture
def store(tmp_path):
    store = open_store(str(tmp_path / "store"))
    store.put_original(b"ink")
    store.write_json({"id": "m-1"}, "models", "m-1", "model.json")
    store.write(bytes(range(256)) * 100, "models", "m-1", "model.keras")
    store.write_json([{"model": "m-1"}], "champion.json")
    store.write("手習い".encode(), "reports", "r1", "report.html")
    fill_catalogue(catalogue_of(store))
    return store


def catalogue_of(store):
    return f"sqlite:///{store.root / 'catalogue.sqlite'}"


@pytest.fixture
def archive(store, tmp_path):
    back_up(store, catalogue_of(store), tmp_path / "backup.tar", print)
    return tmp_path / "backup.tar"


def test_a_restored_store_is_the_same_to_the_bit(store, archive, tmp_path):
    number = restore(archive, str(tmp_path / "new"), "", print)
    new = open_store(str(tmp_path / "new"), create=False)
    assert files_of(new) == files_of(store)
    assert content(catalogue_of(new)) == content(catalogue_of(store))
    assert number == len(files_of(store)) + 1


def test_a_backup_of_a_restored_store_is_the_same_backup(store, archive, tmp_path):
    restore(archive, str(tmp_path / "new"), "", print)
    new = open_store(str(tmp_path / "new"))
    back_up(new, catalogue_of(new), tmp_path / "again.tar", print)
    with tarfile.open(archive) as one, tarfile.open(tmp_path / "again.tar") as other:
        assert one.getnames() == other.getnames()


def test_an_object_store_is_backed_up_and_restored_as_well(store, archive, tmp_path):
    address = f"memory://{tmp_path.name}-backup"
    restore(archive, address, f"sqlite:///{tmp_path / 'apart.sqlite'}", print)
    remote = open_store(address, create=False)
    assert files_of(remote) == files_of(store)
    assert content(f"sqlite:///{tmp_path / 'apart.sqlite'}") == content(catalogue_of(store))
    back_up(remote, f"sqlite:///{tmp_path / 'apart.sqlite'}", tmp_path / "remote.tar", print)
    restore(tmp_path / "remote.tar", str(tmp_path / "home again"), "", print)
    assert files_of(open_store(str(tmp_path / "home again"))) == files_of(store)


@pytest.mark.services
def test_a_catalogue_goes_to_postgresql_and_back_and_counts_on_where_it_was(store, tmp_path, postgresql):
    address = f"postgresql://{postgresql.make_database()}"
    copy_catalogue(catalogue_of(store), address)
    assert content(address) == content(catalogue_of(store))
    with open_catalogue(address) as catalogue:
        catalogue.put_night("r3", SOURCE, {"verdict": "kept"})
    back = f"sqlite:///{tmp_path / 'back.sqlite'}"
    copy_catalogue(address, back)
    assert content(back) == content(address)
    with pytest.raises(SettingsError, match="holds something already"):
        copy_catalogue(back, address)


def test_a_restored_store_reads_the_same(tmp_path, monkeypatch):
    """By the commands, as a person types them."""
    from tests.collections_of_digits import picture, save

    monkeypatch.chdir(tmp_path)
    open_store("store")
    file = str(save(tmp_path / "four.png", picture(4)))
    assert CliRunner().invoke(main, ["backup", "--store", "store", "backup.tar"]).exit_code == 0
    done = CliRunner().invoke(main, ["restore", "--store", "new", "backup.tar"])
    assert done.exit_code == 0, done.output
    read = [CliRunner().invoke(main, ["read", "--json", "--store", name, file]).output for name in ("store", "new")]
    assert read[0] == read[1]
    assert json.loads(read[0])["label"] == "4"


def test_neither_a_file_nor_a_store_is_ever_overwritten(store, archive, tmp_path):
    before = archive.read_bytes()
    with pytest.raises(SettingsError, match="exists"):
        back_up(store, catalogue_of(store), archive, print)
    with pytest.raises(SettingsError, match="something at"):
        restore(archive, str(store.root), "", print)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/diary.txt").write_text("dear diary")
    with pytest.raises(SettingsError, match="something at"):
        restore(archive, str(tmp_path / "mine"), "", print)
    assert archive.read_bytes() == before
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["diary.txt"]


def test_no_backup_is_made_while_a_night_works_on_the_store(store, tmp_path):
    with store.lock(), pytest.raises(StoreBusyError, match="another night"):
        back_up(open_store(str(store.root)), catalogue_of(store), tmp_path / "backup.tar", print)
    assert not [path for path in tmp_path.iterdir() if "backup" in path.name]


# ---- what a stranger may hand over


def forge(file, members, manifest=None):
    """An archive of (TarInfo, bytes), with a fitting list at its end unless one is given."""
    with tarfile.open(file, "w:") as archive:
        for member, data in members:
            member.size = len(data) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(data))
        files = {m.name: [len(d), hashlib.sha256(d).hexdigest()] for m, d in members}
        data = manifest if manifest is not None else json.dumps({"format": 1, "files": files}).encode()
        last = tarfile.TarInfo("backup.json")
        last.size = len(data)
        archive.addfile(last, io.BytesIO(data))
    return file


def file_named(name, data=b"x", kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member, data


WHOLE = [file_named("store.json", b'{"format": 1}'), file_named("catalogue.sqlite", b"")]


def refuse(file, tmp_path, match, error=StoreError):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=match):
        restore(file, str(tmp_path / "new"), "", print)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["../outside", "/tmp/outside", "models/../../outside", "a//b", "./store", ".lock", "blobs/.hidden", "a\\b"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    refuse(forge(tmp_path / "evil.tar", [*WHOLE, file_named(name)]), tmp_path, "no name for a file")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
def test_links_devices_and_folders_are_refused(tmp_path, kind):
    evil = file_named("models", b"", kind, "/etc")
    refuse(forge(tmp_path / "evil.tar", [*WHOLE, evil]), tmp_path, "a link, a device or a folder")


def test_sizes_and_digests_that_do_not_fit_the_list_are_refused(tmp_path):
    files = {m.name: [len(d), hashlib.sha256(d).hexdigest()] for m, d in WHOLE}
    larger = {"format": 1, "files": {**files, "big": [10**15, "0" * 64]}}
    refuse(
        forge(tmp_path / "a.tar", [*WHOLE, file_named("big")], json.dumps(larger).encode()), tmp_path, "instead of 1,0"
    )
    other = {"format": 1, "files": {**files, "big": [1, "0" * 64]}}
    refuse(forge(tmp_path / "b.tar", [*WHOLE, file_named("big")], json.dumps(other).encode()), tmp_path, "other bytes")


def test_a_header_that_promises_a_terabyte_is_refused_without_reading_it(tmp_path):
    """The number alone would make a careless reader ask for that much memory."""
    member = tarfile.TarInfo("store.json")
    member.size = 10**12
    (tmp_path / "evil.tar").write_bytes(member.tobuf() + b"x" * 512)
    refuse(tmp_path / "evil.tar", tmp_path, "cannot be restored")


def test_a_sparse_file_that_unpacks_to_more_than_it_is_is_refused(tmp_path):
    member = tarfile.TarInfo("blobs/00/sparse")
    member.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.map": "0,1",
        "GNU.sparse.size": "1000000000",
    }
    with tarfile.open(tmp_path / "evil.tar", "w:", format=tarfile.PAX_FORMAT) as archive:
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    refuse(tmp_path / "evil.tar", tmp_path, "a link, a device or a folder")


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"format": 1}',
        b'{"format": "1", "files": {}}',
        b'{"format": 1, "files": {}}',
        b'{"format": 1, "files": {"store.json": [1]}}',
        b"[" * 100_000,
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path, manifest):
    refuse(forge(tmp_path / "evil.tar", WHOLE, manifest), tmp_path, "cannot be restored")


def test_a_file_in_it_twice_or_beside_its_list_is_refused(tmp_path):
    refuse(forge(tmp_path / "twice.tar", [*WHOLE, file_named("a"), file_named("a", b"y")]), tmp_path, "twice")
    files = {m.name: [len(d), hashlib.sha256(d).hexdigest()] for m, d in WHOLE}
    listed = json.dumps({"format": 1, "files": files}).encode()
    refuse(forge(tmp_path / "more.tar", [*WHOLE, file_named("a")], listed), tmp_path, "not in its list")
    listed = json.dumps({"format": 1, "files": {**files, "gone": [1, "0" * 64]}}).encode()
    refuse(forge(tmp_path / "less.tar", WHOLE, listed), tmp_path, "not in it")


def test_an_archive_cut_off_anywhere_is_refused(archive, tmp_path):
    whole = archive.read_bytes()
    for cut in (0, 100, 512, 5_000, len(whole) // 2, len(whole) - 20_000):
        (tmp_path / "cut.tar").write_bytes(whole[:cut])
        refuse(tmp_path / "cut.tar", tmp_path, "cannot be restored")


def test_a_flipped_bit_in_any_file_is_noticed(store, archive, tmp_path):
    whole = bytearray(archive.read_bytes())
    place = whole.index("手習い".encode())
    whole[place] ^= 1
    (tmp_path / "flipped.tar").write_bytes(whole)
    refuse(tmp_path / "flipped.tar", tmp_path, "other bytes")


@pytest.mark.parametrize("data", [b"dear diary" * 1000, b"\x1f\x8b" + b"\0" * 1000, b"PK\x03\x04" + b"\0" * 1000])
def test_what_is_no_archive_is_one_clear_message(tmp_path, data):
    (tmp_path / "letter.tar").write_bytes(data)
    refuse(tmp_path / "letter.tar", tmp_path, "cannot be restored.*tenarai backup")


def test_a_compressed_archive_is_refused_so_nothing_grows(archive, tmp_path):
    import gzip

    (tmp_path / "backup.tar.gz").write_bytes(gzip.compress(archive.read_bytes()))
    refuse(tmp_path / "backup.tar.gz", tmp_path, "cannot be restored")


def test_a_backup_by_a_newer_version_is_refused(tmp_path):
    manifest = json.dumps({"format": 99, "files": {}}).encode()
    refuse(forge(tmp_path / "new.tar", WHOLE, manifest), tmp_path, "newer version.*format 99", StoreVersionError)
    members = [file_named("store.json", b'{"format": 99}'), WHOLE[1]]
    refuse(forge(tmp_path / "new store.tar", members), tmp_path, "newer version.*format 99", StoreVersionError)


def test_a_full_disk_leaves_neither_half_a_backup_nor_half_a_store(store, archive, tmp_path, monkeypatch):
    def no_space(*_, **__):
        raise OSError(28, "No space left on device")

    before = sorted(tmp_path.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "addfile", no_space)
        with pytest.raises(StoreError, match="No space left"):
            back_up(store, catalogue_of(store), tmp_path / "second.tar", print)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", no_space)
        with pytest.raises(StoreError, match="No space left"):
            restore(archive, str(tmp_path / "new"), "", print)
    assert sorted(tmp_path.rglob("*")) == before


def test_only_the_last_file_makes_a_remote_store_of_what_was_restored(archive, tmp_path, monkeypatch):
    address = f"memory://{tmp_path.name}-half"
    write = type(locate_store(address)).write

    def write_until_models(self, data, *parts):
        if parts[0] == "reports":
            raise StoreError("the line was cut")
        write(self, data, *parts)

    monkeypatch.setattr("tenarai.store.Store.write", write_until_models)
    with suppress(StoreError):
        restore(archive, address, f"sqlite:///{tmp_path / 'apart.sqlite'}", print)
    assert locate_store(address).exists("models")
    assert not locate_store(address).exists("store.json")


def test_the_archive_is_for_its_owner_only(archive):
    assert archive.stat().st_mode & 0o077 == 0
