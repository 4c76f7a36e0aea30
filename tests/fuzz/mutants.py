"""Spoilt files, each from a good one and a number: the same number gives the same file again.

Bytes are flipped, cut, moved and replaced, wherever they stand. As that ends at the first checksum
of a container, what is inside of those is spoilt, too, and packed up as it should be.
"""

import copy
import gzip
import io
import json
import random
import re
import struct
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq

#: What the numbers of a header do worst as.
EXTREMES = (0, 1, -1, 127, 128, 255, 32767, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63)
REALS = (float("nan"), float("inf"), float("-inf"), -0.0, 1e-310, 1e38, 1e300, -1.0, 0.5)
#: What parsers of text stumble over; some of it is markup to whoever shows it.
WORDS = (
    b"", b"0", b"-1", b"1e308", b"nan", b"inf", b"9" * 25, b"9" * 5000, b"0x10", b"1_0", b"true",
    b"null", b"none", b"%s%n", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\r", b"a" * 9000,
    b"../../x", b"/etc/passwd", b"C:\\x", b"~", b"$HOME", b"[red]", b"<script>", b"\x1b[31m", b"|",
    "\u202e\u2028é".encode(), b"[" * 3000, b"{" * 3000, b"(" * 300, b"a." * 2000, b'"', b"'", b"#",
    b"&a", b"*a", b"!!int ''", b"!!timestamp x", b"!!python/name:os.system", b": ", b", ", b"\\",
)  # fmt: skip
#: The same as JSON has it.
VALUES = (
    None, True, 0, -1, 0.5, 1e308, float("nan"), 10**30, "", "a", "a\nb", "../../x", "\0",
    "\x1b[31m", "\ud800", "a" * 9000, [], {}, [[]], ["a"], {"a": 1}, {"": None}, [None] * 3000,
)  # fmt: skip
#: Where the headers of most formats end.
HEADER = 400


def mutant(name, good, rng, others=()):
    """Return another content for the file ``name``.

    Args:
        name: Its ending says what may be inside.
        good: What it holds.
        rng: Draws all that is done to it.
        others: What else may be spliced in.
    """
    inside = next((spoil for ending, spoil in INSIDE.items() if name.endswith(ending)), None)
    if inside is not None and rng.random() < 0.6:
        return inside(good, rng)
    return _bytes(good, rng, others)


def _bytes(good, rng, others=()):
    data = bytearray(good)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(WAYS)(data, rng, others)
    return bytes(data)


def _place(data, rng):
    """Headers are as likely as all that follows."""
    return rng.randrange(min(len(data), HEADER) if rng.random() < 0.5 else len(data) + 1 or 1)


def _block(data, rng):
    start = rng.randrange(len(data) + 1)
    return slice(start, start + int(2 ** rng.uniform(0, 12)))


def flip(data, rng, _others):
    for _ in range(rng.choice((1, 1, 3, 20))):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def cut(data, rng, _others):
    del data[rng.randrange(len(data) + 1) :]


def extreme(data, rng, _others):
    order, place = rng.choice("<>"), _place(data, rng) if data else 0
    if rng.random() < 0.3:
        new = struct.pack(order + rng.choice("fd"), rng.choice(REALS[:5]))
    else:
        width, value = rng.choice((1, 2, 4, 8)), rng.choice((*EXTREMES, len(data)))
        new = (value % 2 ** (8 * width)).to_bytes(width, "little" if order == "<" else "big")
    data[place : place + len(new)] = new


def remove(data, rng, _others):
    del data[_block(data, rng)]


def double(data, rng, _others):
    found = _block(data, rng)
    data[found.start : found.start] = data[found] * rng.choice((1, 1, 3, 50))


def splice(data, rng, others):
    source = rng.choice((bytes(data), *others))
    data[_block(data, rng)] = source[_block(source, rng)]


def blank(data, rng, _others):
    found = _block(data, rng)
    data[found] = bytes([rng.choice((0, 32, 255))]) * len(data[found])


def word(data, rng, _others):
    """Another text in the place of a word of the header, or of a line."""
    header = bytes(data[: 4 * HEADER])
    found = list(re.finditer(rng.choice((rb"[\w.+-]+", rb"[^\n]+")), header)) or [None]
    one = rng.choice(found)
    data[slice(*one.span()) if one else slice(0, 0)] = rng.choice(WORDS)


WAYS = (flip, cut, extreme, extreme, remove, double, splice, blank, word, word)


# Inside of containers -----------------------------------------------------------------------------


def _gzipped(good, rng):
    return gzip.compress(_bytes(gzip.decompress(good), rng), 1, mtime=0)


def _zipped(good, rng):
    """Another member or another name, with the sums of what is there."""
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    k = rng.randrange(len(members))
    name, data = members[k]
    if rng.random() < 0.2:
        name = _bytes(name.encode(), rng).decode("latin-1").replace("\0", "") or "x"
    else:
        data = mutant(name, data, rng)
    members[k] = (name, data)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as made:
        for member in members:
            made.writestr(zipfile.ZipInfo(member[0][:60000]), member[1])
    return out.getvalue()


def _json(good, rng):
    tree = json.loads(good)
    for _ in range(rng.choice((1, 1, 2))):
        tree = _other_value(tree, rng)
    return _dumped(tree)


def _dumped(tree):
    return json.dumps(tree, default=str).encode("utf-8", "surrogatepass")


def _other_value(tree, rng):
    """The tree with one of its values replaced, left out or put under another name."""
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.05:
        return copy.deepcopy(rng.choice(VALUES))  # lists among them are changed by later turns
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    key = rng.choice(keys)
    chance = rng.random()
    if chance < 0.05:
        del tree[key]
    elif chance < 0.1 and isinstance(tree, dict):
        tree[rng.choice(("", "a\nb", "\x1b[31m", "a" * 9000, "__class__", "0"))] = tree.pop(key)
    elif chance < 0.15 and isinstance(tree, list):
        tree.append(tree[key])
    else:
        tree[key] = _other_value(tree[key], rng)
    return tree


def _safetensors(good, rng):
    """Another header in front of the same numbers, with its own length."""
    length = int.from_bytes(good[:8], "little")
    header = _json(good[8 : 8 + length], rng)
    return len(header).to_bytes(8, "little") + header + good[8 + length :]


def _array(good, rng):
    """Another description of the same numbers, with its own length."""
    length = int.from_bytes(good[8:10], "little")
    header = bytearray(good[10 : 10 + length])
    word(header, rng, ())
    return good[:8] + (len(header) % 2**16).to_bytes(2, "little") + header + good[10 + length :]


def _table(good, rng):
    """Other values in some cells of a column, another type, or none of it."""
    table = pq.read_table(io.BytesIO(good))
    k = rng.randrange(table.num_columns)
    field, chance = table.schema.field(k), rng.random()
    if chance < 0.1:
        table = table.remove_column(k)
    elif chance < 0.2:
        kinds = (pa.string(), pa.float32(), pa.null(), pa.list_(pa.int64()))
        table = table.set_column(k, field.name, pa.nulls(len(table), rng.choice(kinds)))
    elif chance < 0.3:
        table = pa.concat_tables([table, table.slice(0, 1)])
    else:
        table = table.set_column(k, field, _cells(table.column(k), field.type, rng))
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def _cells(column, kind, rng):
    values = column.to_pylist()
    texts = [v for v in VALUES if isinstance(v, str) and v != "\ud800"]
    of_kind = {"string": [*texts, None], "int64": [0, -1, 2**62, None], "double": [*REALS, None]}
    for _ in range(rng.choice((1, 1, len(values)))):
        values[rng.randrange(len(values))] = rng.choice(of_kind.get(str(kind), [None]))
    return pa.array(values, kind)


#: Ending of a file -> spoils what is in it.
INSIDE = {
    ".gz": _gzipped,
    ".zip": _zipped,
    ".pth": _zipped,
    ".json": _json,
    ".safetensors": _safetensors,
    ".npy": _array,
    ".parquet": _table,
}


def generator(name, number):
    """The draws of a mutant of a reader."""
    return random.Random(f"{name} {number}")
