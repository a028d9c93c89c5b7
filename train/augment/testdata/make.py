"""Makes golden.zip: what Pillow 13.0.0, NumPy 2.4.6 and SciPy 1.17.1 make of a picture.

    pip install pillow numpy scipy && python make.py
"""
import zipfile, zlib
import numpy as np
from PIL import Image, ImageEnhance, ImageStat
from scipy.ndimage import gaussian_filter
rng = np.random.default_rng(7)
W, H = 41, 29
# a smooth picture with edges, saturated areas and noise
y, x = np.mgrid[0:H, 0:W]
a = np.stack([127+120*np.sin(x/5), 127+120*np.cos(y/4+x/9), (x*7+y*13) % 256], -1)
a[5:12, 8:20] = [255, 0, 0]; a[15:22, 22:35] = [250, 250, 250]; a[20:29, 0:9] = [0, 0, 0]
a = np.clip(a + rng.normal(0, 12, a.shape), 0, 255).astype(np.uint8)
im = Image.fromarray(a)
ids = (rng.integers(0, 19, (H, W))).astype(np.uint8)
files = {"picture.rgb": a, "labels.ids": ids}
for w, h in [(20, 14), (41, 29), (33, 23), (57, 40), (82, 58)]:
    files[f"bicubic_{w}x{h}.rgb"] = np.asarray(im.resize((w, h), Image.BICUBIC))
    files[f"nearest_{w}x{h}.ids"] = np.asarray(Image.fromarray(ids).resize((w, h), Image.NEAREST))
for f in [0.6, 0.837, 1.4]:
    files[f"brightness_{f}.rgb"] = np.asarray(ImageEnhance.Brightness(im).enhance(f))
    files[f"contrast_{f}.rgb"] = np.asarray(ImageEnhance.Contrast(im).enhance(f))
    files[f"saturation_{f}.rgb"] = np.asarray(ImageEnhance.Color(im).enhance(f))
def hue(im, t):  # torchvision.transforms.functional_pil.adjust_hue
    h, s, v = im.convert("HSV").split()
    n = np.array(h, dtype=np.uint8)
    n = n + np.array(int(t * 255) % 256, dtype=np.uint8)
    return Image.merge("HSV", (Image.fromarray(n, "L"), s, v)).convert("RGB")
for t in [-0.3, -0.1, 0.0, 0.0731, 0.5]:
    files[f"hue_{t}.rgb"] = np.asarray(hue(im, t))
for s in [0.15, 0.4, 0.7, 1.3]:
    g = gaussian_filter(a / 255.0, (s, s, 0), mode="nearest", truncate=4) * 255
    files[f"blur_{s}.f32"] = g.astype("<f4")
# all colours, for the checksums in the tests: row by row of 256 blues
allc = np.zeros((65536, 256, 3), np.uint8)
allc[..., 0] = (np.arange(65536) >> 8)[:, None]; allc[..., 1] = (np.arange(65536) & 255)[:, None]; allc[..., 2] = np.arange(256)
cube = Image.fromarray(allc)
print("to HSV", hex(zlib.crc32(cube.convert("HSV").tobytes())))
print("from HSV", hex(zlib.crc32(Image.fromarray(allc, "HSV").convert("RGB").tobytes())))

def fda(src, trg, L):
    fs, ft = np.fft.fft2(src, axes=(0, 1)), np.fft.fft2(trg, axes=(0, 1))
    amp, pha = np.fft.fftshift(np.abs(fs), (0, 1)), np.angle(fs)
    h, w = src.shape[:2]; b = int(np.floor(min(h, w) * L)); ch, cw = h // 2, w // 2
    amp[ch-b:ch+b+1, cw-b:cw+b+1] = np.fft.fftshift(np.abs(ft), (0, 1))[ch-b:ch+b+1, cw-b:cw+b+1]
    return np.real(np.fft.ifft2(np.fft.ifftshift(amp, (0, 1)) * np.exp(1j * pha), axes=(0, 1)))
def byte(v): return np.clip(np.rint(v), 0, 255).astype(np.uint8)
t = np.clip(90 + 60*np.sin(y/7)[..., None] * [1, .5, .2] + rng.normal(0, 8, a.shape), 0, 255).astype(np.uint8)
files["target.rgb"] = t
for L in [0.01, 0.09, 0.2]:
    files[f"fda_{L}.rgb"] = byte(fda(a.astype(float), t.astype(float), L))
# PASTA by the paper's formula: a number for each of all frequencies, the real part at the end.
# The authors' class differs at even sizes, where negative frequencies have their neighbours' sigma
for w, h in [(W, H), (W - 1, H - 1)]:
    m, n = np.meshgrid(np.fft.fftfreq(w) * w, np.fft.fftfreq(h) * h)
    sigma = (2 * 3 * np.sqrt((m*m + n*n) / (w*w + h*h))) ** 2 + 0.25
    normal = rng.normal(0, 1, (3, h, w))
    pasta = np.stack([np.real(np.fft.ifft2(np.fft.fft2(a[:h, :w, c]) * (1 + sigma * normal[c]))) for c in range(3)], -1)
    files[f"pasta_{w}x{h}_normal.f64"] = normal.astype("<f8")
    files[f"pasta_{w}x{h}.rgb"] = byte(pasta)
with zipfile.ZipFile("golden.zip", "w", zipfile.ZIP_DEFLATED) as z:
    for name, v in files.items():
        z.writestr(name, np.ascontiguousarray(v).tobytes())
