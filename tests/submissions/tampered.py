"""What somebody may do to a bundle, by what it is: each makes another file of an honest one."""

import hashlib
import json
import shutil
import stat
import warnings
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile, ZipInfo


def members(path):
    with ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def write(path, content):
    """Pairs of names, or whole ZipInfos, and content."""
    with warnings.catch_warnings(), ZipFile(path, "w", ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # a name that stands twice
        for name, data in content:
            archive.writestr(name, data)


def changed(path, change):
    """With other members."""
    content = members(path)
    change(content)
    write(path, content.items())


def said(path, change, *, sums=False):
    """With another bundle.json; with checksums of what is there where they are asked for."""

    def act(content):
        tree = json.loads(content["bundle.json"])
        change(tree)
        if sums:
            tree["files"] = {
                name: hashlib.sha256(data).hexdigest()
                for name, data in content.items() if name != "bundle.json"
            }  # fmt: skip
        content["bundle.json"] = json.dumps(tree).encode()

    changed(path, act)


def first(content):
    return next(name for name in content if name != "bundle.json")


def with_voxels(path, make, *, sums=True):
    """With other voxels of the first case; the checksums are those of a careful forger."""

    def act(content):
        name = first(content)
        content[name] = make(content[name])

    changed(path, act)
    if sums:
        said(path, lambda tree: None, sums=True)


def special(path, prepare):
    """With the first member as another kind of entry."""
    content = members(path)
    name = first(content)
    info = ZipInfo(name)
    info.external_attr = 0o644 << 16
    info.compress_type = ZIP_DEFLATED
    prepare(info)
    write(path, [(info if n == name else n, data) for n, data in content.items()])


def link(info):
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


def squeezed(info):
    info.compress_type = ZIP_BZIP2


def encrypted(path):
    """The flag of encryption on the first entry, in both of its headers."""
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    path.write_bytes(bytes(data))


def damaged(path):
    """A byte of the first member's compressed voxels."""
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.write_bytes(bytes(data))


def twice(path):
    content = list(members(path).items())
    write(path, [*content, content[0]])


def key_twice(content):
    text = content["bundle.json"].decode()
    content["bundle.json"] = text.replace('"kind":', '"kind": "maps", "kind":', 1).encode()


def renamed(path, name):
    """The first case under another name, everywhere."""

    def act(content):
        old = first(content)
        content[f"0/{name}.u8"] = content.pop(old)
        tree = json.loads(content["bundle.json"])
        case = old.removeprefix("0/").removesuffix(".u8")
        tree["folds"]["0"] = [name if c == case else c for c in tree["folds"]["0"]]
        content["bundle.json"] = json.dumps(tree).encode()

    changed(path, act)
    said(path, lambda tree: None, sums=True)


def left_out(path):
    """A bad case less, and nothing said of it anywhere."""

    def act(content):
        old = first(content)
        del content[old]
        tree = json.loads(content["bundle.json"])
        tree["folds"]["0"].remove(old.removeprefix("0/").removesuffix(".u8"))
        content["bundle.json"] = json.dumps(tree).encode()

    changed(path, act)
    said(path, lambda tree: None, sums=True)


def other_fold(path):
    """The same cases for a fold that the run does not have."""

    def act(content):
        for name in [name for name in content if name != "bundle.json"]:
            content[name.replace("0/", "7/", 1)] = content.pop(name)

    changed(path, act)
    said(path, lambda tree: tree.update(folds={"7": tree["folds"]["0"]}), sums=True)


def bomb(path):
    """16 MB of zeros, which are 16 kB in the file, in the place of a case."""
    with_voxels(path, lambda _: b"\0" * (1 << 24))


#: Name -> what is done to the file, and what the refusal says.
TAMPERED = {
    "cut short": (lambda p: p.write_bytes(p.read_bytes()[:-40]), "cannot be read"),
    "no zip file": (lambda p: p.write_text("PK"), "cannot be read"),
    "a folder": (lambda p: (p.unlink(), p.mkdir()), "cannot be read"),
    "a damaged byte": (damaged, "cannot be read"),
    "encrypted": (encrypted, "is encrypted"),
    "compressed in another way": (lambda p: special(p, squeezed), "compressed in a way"),
    "a link": (lambda p: special(p, link), "no plain file"),
    "a member twice": (twice, "stands twice"),
    "no bundle.json": (
        lambda p: changed(p, lambda c: c.pop("bundle.json")), "holds no bundle.json",
    ),
    "no JSON": (lambda p: changed(p, lambda c: c.update({"bundle.json": b"{"})), "no JSON"),
    "a key twice": (lambda p: changed(p, key_twice), "a key stands twice"),
    "another schema": (lambda p: said(p, lambda t: t.update(schema=2)), "schema"),
    "rows of one's own": (
        lambda p: changed(p, lambda c: c.update({"rows.parquet": b"best"})), "does not belong",
    ),
    "a score in bundle.json": (lambda p: said(p, lambda t: t.update(dsc=0.99)), "dsc"),
    "a way out of the folder": (
        lambda p: changed(p, lambda c: c.update({"../../evil": b""})), "does not belong",
    ),
    "a way out in a case": (lambda p: renamed(p, "../../evil"), "names no fold or case"),
    "a case missing": (lambda p: changed(p, lambda c: c.pop(first(c))), "it has no"),
    "a bad case left out": (left_out, "cases of fold 0"),
    "a case of another run": (lambda p: renamed(p, "patient999"), "cases of fold 0"),
    "voxels changed": (
        lambda p: with_voxels(p, lambda v: v[:-1] + b"\1", sums=False), "checksum differs",
    ),
    "checksums of others": (
        lambda p: said(p, lambda t: t["files"].update(dict.fromkeys(t["files"], "0" * 64))),
        "checksum differs",
    ),
    "no checksum": (lambda p: said(p, lambda t: t.update(files={})), "has no checksum"),
    "too few voxels": (lambda p: with_voxels(p, lambda v: v[:-7]), "its scan has"),
    "a pickled array": (
        lambda p: with_voxels(p, lambda v: b"\x93NUMPY\x01\x00" + v), "its scan has",
    ),
    "a bomb": (bomb, "its scan has"),
    "an organ that is not there": (
        lambda p: with_voxels(p, lambda v: b"\7" * len(v)), "holds the label 7",
    ),
    "other data": (lambda p: said(p, lambda t: t.update(data="0" * 64)), "its data are"),
    "another run": (lambda p: said(p, lambda t: t.update(run="acdc-quick-1")), "its run are"),
    "another fold": (other_fold, "has no fold 7"),
    "other organs": (lambda p: said(p, lambda t: t["organs"].reverse()), "its organs are"),
    "another supervision": (
        lambda p: said(p, lambda t: t.update(supervision="none at all")), "supervision",
    ),
    "a name of camzoo's": (lambda p: said(p, lambda t: t.update(method="CAM[aff]")), "own"),
    "a name that hides": (
        lambda p: said(p, lambda t: t.update(method="best\u202e")), "which is no name",
    ),
    "nothing said of the backbone": (
        lambda p: said(p, lambda t: t["about"].update(seen="")), "about.seen",
    ),
}  # fmt: skip


def tampered(honest, name, folder):
    """A copy of an honest bundle, tampered with."""
    path = folder / "bundle.zip"
    shutil.copyfile(honest, path)
    TAMPERED[name][0](path)
    return path
