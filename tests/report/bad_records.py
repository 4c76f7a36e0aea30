"""Ways in which the folder of a run goes wrong, each a function that is given a good one."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from camzoo.core.checksums import SUMS
from camzoo.evaluate.rows import schema, write_rows

HALVES = {"empty": 0.0, "a third": 0.33, "most": 0.9}
#: Where bytes are flipped, as shares of a file.
PLACES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def cut(name, share):
    def damage(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(share * len(content))])

    return damage


def shorter_by(name, count):
    def damage(folder):
        (folder / name).write_bytes((folder / name).read_bytes()[:-count])

    return damage


def flipped(name, share):
    def damage(folder):
        content = bytearray((folder / name).read_bytes())
        place = min(int(share * len(content)), len(content) - 1)
        content[place] ^= 0x11
        (folder / name).write_bytes(content)

    return damage


def other(name, content):
    def damage(folder):
        (folder / name).write_bytes(content)

    return damage


def gone(name):
    def damage(folder):
        (folder / name).unlink()

    return damage


def folder_instead(name):
    def damage(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def pipe_instead(name):
    def damage(folder):
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


def told(*keys, to):
    """Another value in the manifest; without a value, the key is left out."""

    def damage(folder):
        path = folder / "manifest.json"
        tree = json.loads(path.read_text("utf-8"))
        node = tree
        for key in keys[:-1]:
            node = node[key]
        if to is ABSENT:
            del node[keys[-1]]
        else:
            node[keys[-1]] = to
        path.write_text(json.dumps(tree))

    return damage


ABSENT = object()


def cost(key, to):
    def damage(folder):
        path = folder / "costs.json"
        (tree,) = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps([tree | {key: to}]))

    return damage


def costs(change):
    def damage(folder):
        path = folder / "costs.json"
        path.write_text(json.dumps(change(json.loads(path.read_text("utf-8")))))

    return damage


def rows(change):
    """Other rows, written as they should be."""

    def damage(folder):
        frame = change(pd.read_parquet(folder / "rows.parquet"))
        write_rows(frame, folder / "rows.parquet")

    return damage


def curves(change):
    def damage(folder):
        frame = change(pd.read_parquet(folder / "curves.parquet"))
        frame.to_parquet(folder / "curves.parquet", index=False)

    return damage


def table(change):
    """Another Arrow table in the place of the rows."""

    def damage(folder):
        pq.write_table(change(pq.read_table(folder / "rows.parquet")), folder / "rows.parquet")

    return damage


def setting(column, value, where=slice(None)):
    """Another value in a column of the chosen rows."""

    def change(frame):
        frame = frame.copy()
        chosen = frame.index[where]
        if frame[column].dtype.kind == "i" and not isinstance(value, int):
            frame[column] = frame[column].astype(object)
        frame.loc[chosen, column] = value
        return frame

    return change


def twice(frame):
    return pd.concat([frame, frame], ignore_index=True)


def under_another_name(frame):
    return pd.concat([frame, frame.assign(run="r2")], ignore_index=True)


def retyped(name, kind):
    def change(found):
        position = found.schema.get_field_index(name)
        return found.set_column(position, name, found.column(name).cast(kind))

    return change


def versioned(version):
    return lambda found: found.replace_schema_metadata({"camzoo.schema": version})


ALL_FILES = ("rows.parquet", "curves.parquet", "manifest.json", "costs.json")
#: Found by what the bytes are, wherever they are.
OF_BYTES = {
    **{f"{n} cut to {h}": cut(n, s) for n in ALL_FILES for h, s in HALVES.items()},
    **{f"{n} without its end": shorter_by(n, 2) for n in ALL_FILES},
    **{f"{n} of text": other(n, b"no such thing") for n in ALL_FILES},
    **{f"{n} of zeros": other(n, bytes(500)) for n in ALL_FILES},
    **{f"{n} is a folder": folder_instead(n) for n in ALL_FILES},
    **{f"{n} is a pipe": pipe_instead(n) for n in ALL_FILES},
    **{f"{n} is gone": gone(n) for n in ALL_FILES[:3]},
    **{f"{n} is null": other(n, b"null") for n in ALL_FILES},
    "manifest.json is a list": other("manifest.json", b"[]"),
    "manifest.json is nested": other("manifest.json", b'{"run":' + b"[" * 100_000),
    "manifest.json is no UTF-8": other("manifest.json", b'{"run": "\xff"}'),
    "costs.json is an object": other("costs.json", b"{}"),
}
#: One bit in a file of which checksums are kept.
OF_BITS = {f"{n} flipped at {p}": flipped(n, p) for n in (*ALL_FILES, SUMS) for p in PLACES} | {
    "checksums are gone": gone(SUMS),
    "checksums are empty": other(SUMS, b""),
    "checksums are of others": other(SUMS, b"0" * 64 + b"  other\n"),
    "costs.json is gone": gone("costs.json"),
}
SECTIONS = ("run", "config", "environment", "dataset", "splits", "cells", "equivalent", "failures")
#: The right files with wrong things in them: no checksum has to tell.
OF_MEANING = {
    **{f"no {name}": told(name, to=ABSENT) for name in SECTIONS},
    **{f"{name} is a number": told(name, to=3) for name in SECTIONS},
    **{f"{name} is null": told(name, to=None) for name in SECTIONS},
    "a schema of the future": told("schema", to=2),
    "a schema that is text": told("schema", to="one"),
    "no schema of checksums, but one said": told("schema", to=1),
    "run outside": told("run", to="/abs"),
    "run above": told("run", to="../../evil"),
    "run without a name": told("run", to=""),
    "run with a NUL": told("run", to="r\0"),
    "run of a device": told("run", to="nul"),
    "run of two lines": told("run", to="r1\nr2"),
    "run of another": told("run", to="r2"),
    "run too long": told("run", to="r" * 300),
    "data set above": told("config", "data", "name", to="../../evil"),
    "data set of another": told("config", "data", "name", to="chaos"),
    "variant above": told("config", "data", "options", to={"variant": "/../x"}),
    "no data": told("config", "data", to=ABSENT),
    "weights are null": told("config", "backbone", "weights", to=None),
    "backbone of another": told("config", "backbone", "name", to="resnet18"),
    "widths are text": told("config", "segmentation", "widths", to="8"),
    "split of another": told("config", "data", "split", to="paper-like"),
    "no torch": told("environment", "packages", to={"camzoo": "1"}),
    "title is a list": told("dataset", "title", to=["ACDC"]),
    "no organs": told("dataset", "organs", to=[]),
    "organs of another": told("dataset", "organs", to=["spleen"]),
    "caveats are text": told("dataset", "caveats", to="nominal"),
    "no cells": told("cells", to=[]),
    "cells of others": told("cells", to=[{"fold": 0, "seed": 7}]),
    "a cell is text": told("cells", to=["0"]),
    "steps are a list": told("cells", to=[{"fold": 0, "seed": 0, "steps": []}]),
    "no cases": told("splits", "0", to={"train": [], "val": [], "test": []}),
    "no fold": told("splits", to={}),
    "failures are a list": told("failures", to=[]),
    "equivalent are names": told("equivalent", to=["cam"]),
    "costs of seconds below 0": cost("fit", {"seconds": -1.0}),
    "costs of no seconds": cost("fit", {}),
    "costs of NaN": cost("predict", {"seconds": float("nan")}),
    "costs of infinity": cost("maps", {"seconds": float("inf")}),
    "costs of text": cost("fit", {"seconds": "60"}),
    "costs of no commit": cost("environment", {}),
    "costs of another baseline": cost("method", "conta"),
    "costs of another seed": cost("seed", 5),
    "costs of a number": cost("method", 5),
    "costs twice": costs(lambda tree: tree * 2),
    "costs in a list too many": costs(lambda tree: [tree]),
    "dsc of 7": rows(setting("dsc", 7.0, slice(3, 4))),
    "dsc below 0": rows(setting("dsc", -0.1)),
    "dsc in percent": rows(lambda frame: frame.assign(dsc=100 * frame["dsc"])),
    "dsc of other counts": rows(setting("dsc", 0.5)),
    "dsc of NaN": rows(setting("dsc", np.nan, slice(0, 1))),
    "dsc of infinity": rows(setting("dsc", np.inf)),
    "asd below 0": rows(setting("asd_mm", -1.0, slice(0, 1))),
    "asd of infinity": rows(setting("asd_mm", np.inf, slice(0, 1))),
    "asd beyond the volume": rows(setting("asd_mm", 1e6, slice(0, 1))),
    "asd missing": rows(setting("asd_mm", np.nan, slice(0, 1))),
    "mad below 0": rows(setting("mad_mm", -1e-3, slice(2, 3))),
    "counts below 0": rows(setting("tp", -5, slice(0, 1))),
    "more hits than voxels": rows(setting("tp", 10**6, slice(0, 1))),
    "a count missing": rows(setting("n_pred", None, slice(0, 1))),
    "other references": rows(setting("n_ref", 41, slice(0, 1))),
    "a status of its own": rows(setting("status", "fine")),
    "a status that is not": rows(setting("status", "empty-pred", slice(0, 1))),
    "a status missing": rows(setting("status", None, slice(0, 1))),
    "a protocol of its own": rows(setting("protocol", "guessed", slice(0, 1))),
    "a stage of its own": rows(setting("stage", "x")),
    "a subset of its own": rows(setting("subset", "all")),
    "a region of its own": rows(setting("region", "left", slice(0, 1))),
    "a supervision of its own": rows(setting("supervision", "none", slice(0, 1))),
    "a supervision missing": rows(setting("supervision", None)),
    "a threshold of 3": rows(setting("threshold", 3.0, slice(0, 2))),
    "a threshold not chosen": rows(setting("threshold", 0.5)),
    "no spacing": rows(setting("spacing_z", 0.0)),
    "a spacing below 0": rows(setting("spacing_x", -1.0, slice(0, 1))),
    "two spacings of a case": rows(setting("spacing_y", 2.0, slice(0, 1))),
    "two patients of a case": rows(setting("patient", "other", slice(0, 1))),
    "a diagonal of NaN": rows(setting("diagonal_mm", np.nan, slice(0, 1))),
    "the same rows twice": rows(twice),
    "the same rows as another run": rows(under_another_name),
    "no rows": rows(lambda frame: frame.iloc[:0]),
    "rows of another run": rows(lambda frame: frame.assign(run="r2")),
    "rows of another data set": rows(lambda frame: frame.assign(dataset="chaos")),
    "rows above": rows(lambda frame: frame.assign(dataset="../../evil")),
    "rows of another backbone": rows(lambda frame: frame.assign(backbone="resnet18")),
    "rows of another split": rows(lambda frame: frame.assign(split="paper-like")),
    "rows of another seed": rows(lambda frame: frame.assign(seed=7)),
    "rows of another organ": rows(lambda frame: frame.assign(organ="spleen")),
    "rows of another case": rows(setting("case", "stranger", slice(0, 1))),
    "rows of another subset": rows(
        lambda frame: frame.assign(subset=frame["subset"].replace({"test": "val"}))
    ),
    "rows without a method": rows(setting("method", None, slice(0, 1))),
    "rows without a column": table(lambda found: found.drop_columns(["dsc"])),
    "rows of floats": table(retyped("tp", pa.float64())),
    "rows of text": table(retyped("dsc", pa.string())),
    "rows of no schema": table(lambda found: found.replace_schema_metadata(None)),
    "rows of the future": table(versioned("99")),
    "rows of bytes": table(versioned(b"\xff\xfe")),
    "rows of something else": table(lambda _: pa.table({"a": [1]}, metadata=schema().metadata)),
    "curves of another run": curves(lambda frame: frame.assign(run="r2")),
    "curves twice": curves(twice),
    "curves of nothing": curves(lambda frame: frame.iloc[:0]),
    "curves below 0": curves(setting("tp", -1, slice(0, 1))),
    "curves with more hits": curves(setting("tp", 10**7, slice(0, 1))),
    "curves of other counts": curves(setting("n_pred", 61, slice(0, 1))),
    "curves of a threshold": curves(setting("threshold", 0.123, slice(0, 1))),
    "curves beyond 1": curves(setting("threshold", 1.5, slice(0, 1))),
    "curves without counts": curves(lambda frame: frame.drop(columns="tp")),
    "curves without a method": curves(lambda frame: frame.drop(columns="method")),
    "curves of text": curves(lambda frame: frame.assign(tp="3")),
    "curves of gaps": curves(setting("case", None, slice(0, 1))),
    "curves of another organ": curves(lambda frame: frame.assign(organ="spleen")),
}


def swapped(folder):
    """The rows of one run beside the curves of another."""
    shutil.copyfile(folder / "curves.parquet", folder / "rows.parquet")


OF_BYTES["rows.parquet is that of the curves"] = swapped
