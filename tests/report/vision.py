"""How colours look to those who lack a kind of cones, and how far apart they are then.

Machado, Oliveira and Fernandes, A Physiologically-based Model for Simulation of Color Vision
Deficiency, IEEE TVCG 15(6), 2009: their matrices for the whole lack of a kind, on linear sRGB.
Lightness and hue are those of CIE L*a*b* with the white of D65; contrast is that of WCAG 2.
"""

import numpy as np

VISIONS = {
    "all cones": np.eye(3),
    "protanopia": np.array([
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]),
    "deuteranopia": np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]),
    "tritanopia": np.array([
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ]),
}  # fmt: skip
_XYZ = np.array([
    [0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
])  # fmt: skip


def rgb(colour):
    """Red, green and blue on [0, 1] of ``#rrggbb``, or of ``rgb(1, 2, 3)`` as browsers say it."""
    if colour.startswith("#"):
        return np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.array([float(p) for p in colour[colour.index("(") + 1 : -1].split(",")[:3]]) / 255


def seen(colours, vision):
    """What colours [..., 3] on [0, 1] look like to a kind of vision, in linear light."""
    colours = np.asarray(colours, float)
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return np.clip(linear @ VISIONS[vision].T, 0, 1)


def contrast(one, other, vision="all cones"):
    """Of colours [..., 3], as WCAG 2 defines it: from 1 to 21."""
    light = [0.05 + seen(colour, vision) @ [0.2126, 0.7152, 0.0722] for colour in (one, other)]
    return np.maximum(*light) / np.minimum(*light)


def lab(colours, vision="all cones"):
    """L*a*b* of colours [..., 3]: lightness from 0 to 100, green to red, blue to yellow."""
    x, y, z = np.moveaxis(seen(colours, vision) @ _XYZ.T / (0.95047, 1, 1.08883), -1, 0)
    x, y, z = (np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116) for t in (x, y, z))
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def apart(one, other, vision="all cones"):
    """Distance of colours in L*a*b*; 2 can just be seen side by side."""
    return np.linalg.norm(lab(one, vision) - lab(other, vision), axis=-1)
