"""Makes weather.txt: snow and fog of ImageNet-C in figures, with NumPy 2.4.6 and SciPy 1.17.1.

    pip install numpy scipy && python make.py

Random numbers of other programs are others, so that no picture can be compared. Each line has a
measure of pictures of 224x224 pixels: its mean over many pictures, and its deviation from one
picture to the next. Snow is that before its motion blur, which is ImageMagick's; fog is what is
added to a picture.
"""
import numpy as np
from scipy.ndimage import zoom

SIDE, PICTURES = 224, 2000
SNOW = [(0.1, 0.3, 3, 0.5), (0.2, 0.3, 2, 0.5), (0.55, 0.3, 4, 0.9), (0.55, 0.3, 4.5, 0.85), (0.55, 0.3, 2.5, 0.85)]
FOG = [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)]
rng = np.random.default_rng(7)

def snow(mean, deviation, factor, threshold):
    """What create_c/make_imagenet_c.py does up to the motion blur."""
    layer = rng.normal(mean, deviation, (SIDE, SIDE))
    side = int(np.ceil(SIDE / factor))
    at = (SIDE - side) // 2
    layer = zoom(layer[at:at + side, at:at + side], factor, order=1)
    at = (layer.shape[0] - SIDE) // 2
    layer = layer[at:at + SIDE, at:at + SIDE]
    layer[layer < threshold] = 0
    return np.clip(layer, 0, 1)

def plasma(decay, side=256):
    """The diamond-square algorithm on a torus, with create_c's amplitudes."""
    m, step, wibble = np.zeros((side, side)), side, 100.0
    def mean(*four):
        return sum(four) / 4 + wibble * rng.uniform(-wibble, wibble, four[0].shape)
    while step >= 2:
        half = step // 2
        corners = m[::step, ::step]
        below = np.roll(corners, -1, 0)
        m[half::step, half::step] = centres = mean(corners, below, np.roll(corners, -1, 1), np.roll(below, -1, 1))
        m[::step, half::step], m[half::step, ::step] = (
            mean(corners, np.roll(corners, -1, 1), centres, np.roll(centres, 1, 0)),
            mean(corners, np.roll(corners, -1, 0), centres, np.roll(centres, 1, 1)))
        step, wibble = half, wibble / decay
    m -= m.min()
    return (m / m.max())[:SIDE, :SIDE]

with open("weather.txt", "w") as out:
    def line(kind, severity, measure, values):
        print(kind, severity, measure, f"{np.mean(values):.6f} {np.std(values):.6f}", file=out)
    for severity, c in enumerate(SNOW, 1):
        layers = [snow(*c) for _ in range(PICTURES)]
        line("snow", severity, "light", [l.mean() for l in layers])
        line("snow", severity, "flakes", [(l > 0).mean() for l in layers])
    for severity, (thickness, decay) in enumerate(FOG, 1):
        added = [thickness * plasma(decay) for _ in range(PICTURES)]
        line("fog", severity, "light", [a.mean() for a in added])
        line("fog", severity, "deviation", [a.std() for a in added])
        line("fog", severity, "steps", [np.abs(np.diff(a)).mean() for a in added])
