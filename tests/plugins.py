"""Installed packages, made on the fly: a dist-info folder with entry points, and modules."""

from camzoo.core.outline import outline_module
from camzoo.core.registry import Registry


def install(folder, package, entries, modules=None, group="camzoo.cams"):
    """Put a distribution into ``folder``, which the test puts on ``sys.path``.

    Args:
        folder: Of distributions.
        package: Name of the distribution.
        entries: Name to ``module:Class``, or the bytes of entry_points.txt.
        modules: Name to source, text or bytes.
        group: Of the entry points; None where ``entries`` has several: group to name to place.
    """
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    if not isinstance(entries, bytes):
        lines = []
        for title, named in (entries if group is None else {group: entries}).items():
            lines += [f"[{title}]", *(f"{name} = {value}" for name, value in named.items())]
        entries = "\n".join(lines).encode()
    (info / "entry_points.txt").write_bytes(entries)
    for name, source in (modules or {}).items():
        file = folder / f"{name}.py"
        file.write_bytes(source if isinstance(source, bytes) else source.encode())


def again(registry):
    """The same registry before its first look at what is installed."""
    outline_module.cache_clear()
    return Registry(
        registry.kind,
        registry.group,
        base=registry.base,
        facts=registry._facts,
        sources=registry._sources,
    )
