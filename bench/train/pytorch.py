"""Training steps of MobileNetV2 + DeepLabV3+ + ISW in PyTorch, for bench/train to compare with.

Written with torch.nn modules the usual way: in-place activations, torch.optim.SGD,
instance_norm and bmm for the whitening loss. Reads commands from standard input, "run N" to
take N steps, and answers each with one line of JSON: the seconds of every step, the last
loss, and the memory in use.
"""
import argparse
import json
import resource
import sys
import time

import torch
from torch import nn
import torch.nn.functional as F


def conv_bn(cin, cout, kernel=1, stride=1, dilation=1, groups=1, act=nn.ReLU6):
    layers = [nn.Conv2d(cin, cout, kernel, stride, dilation * (kernel // 2), dilation, groups, bias=False),
              nn.BatchNorm2d(cout)]
    if act:
        layers.append(act(inplace=True))
    return nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    def __init__(self, cin, cout, expand, stride=1, dilation=1, whiten=False):
        super().__init__()
        hidden = cin * expand
        layers = [conv_bn(cin, hidden)] if expand != 1 else []
        layers += [conv_bn(hidden, hidden, 3, stride, dilation, hidden), conv_bn(hidden, cout, act=None)]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and dilation == 1 and cin == cout
        self.norm = nn.InstanceNorm2d(cout) if whiten else None

    def forward(self, x):
        y = self.conv(x)
        if self.residual:
            y = x + y
        return self.norm(y) if self.norm else y


class ASPP(nn.Module):
    def __init__(self, cin):
        super().__init__()
        self.branches = nn.ModuleList([conv_bn(cin, 256, act=nn.ReLU)] +
                                      [conv_bn(cin, 256, 3, dilation=r, act=nn.ReLU) for r in (6, 12, 18)])
        self.image = conv_bn(cin, 256, act=nn.ReLU)

    def forward(self, x):
        image = self.image(F.adaptive_avg_pool2d(x, 1))
        image = F.interpolate(image, x.shape[2:], mode="bilinear", align_corners=True)
        return torch.cat([image] + [b(x) for b in self.branches], 1)


class Network(nn.Module):
    def __init__(self, classes, whiten):
        super().__init__()
        self.layer0 = nn.Sequential(conv_bn(3, 32, 3, 2), InvertedResidual(32, 16, 1, whiten=whiten))
        self.layer1 = nn.Sequential(InvertedResidual(16, 24, 6, 2), InvertedResidual(24, 24, 6),
                                    InvertedResidual(24, 32, 6, 2), InvertedResidual(32, 32, 6),
                                    InvertedResidual(32, 32, 6, whiten=whiten))
        self.layer2 = nn.Sequential(InvertedResidual(32, 64, 6, 2), InvertedResidual(64, 64, 6),
                                    InvertedResidual(64, 64, 6), InvertedResidual(64, 64, 6, whiten=whiten))
        self.layer3 = nn.Sequential(InvertedResidual(64, 96, 6), InvertedResidual(96, 96, 6), InvertedResidual(96, 96, 6),
                                    InvertedResidual(96, 160, 6, dilation=2), InvertedResidual(160, 160, 6),
                                    InvertedResidual(160, 160, 6), InvertedResidual(160, 320, 6))
        self.layer4 = conv_bn(320, 1280)
        self.aspp = ASPP(1280)
        self.bot_aspp = conv_bn(1280, 256, act=nn.ReLU)
        self.bot_fine = conv_bn(32, 48, act=nn.ReLU)
        self.final = nn.Sequential(conv_bn(304, 256, 3, act=nn.ReLU), conv_bn(256, 256, 3, act=nn.ReLU),
                                   nn.Conv2d(256, classes, 1))
        self.dsn = nn.Sequential(nn.Conv2d(320, 512, 3, 1, 1), nn.BatchNorm2d(512), nn.ReLU(inplace=True),
                                 nn.Dropout2d(0.1), nn.Conv2d(512, classes, 1))

    def forward(self, x):
        first = self.layer0(x)
        low = self.layer1(first)
        third = self.layer2(low)
        aux = self.layer3(third)
        y = self.bot_aspp(self.aspp(self.layer4(aux)))
        y = F.interpolate(y, low.shape[2:], mode="bilinear", align_corners=True)
        y = self.final(torch.cat([self.bot_fine(low), y], 1))
        logits = F.interpolate(y, x.shape[2:], mode="bilinear", align_corners=True)
        return logits, self.dsn(aux), [first, low, third]


def whitening_loss(x, mask):
    b, c, h, w = x.shape
    x = x.view(b, c, -1)
    cov = torch.bmm(x, x.transpose(1, 2)).div(h * w - 1) + 1e-5 * torch.eye(c)
    total = torch.sum(torch.abs(cov * mask), dim=(1, 2))
    return torch.clamp(total / mask.sum(), min=0).sum() / b


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--batch", type=int, default=2)
    p.add_argument("--side", type=int, default=256)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--base", action="store_true", help="leave out whitening")
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    net = Network(19, not args.base).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    x = torch.randn(args.batch, 3, args.side, args.side)
    labels = torch.randint(0, 19, (args.batch, args.side, args.side))
    small = F.interpolate(labels[:, None].float(), size=args.side // 16, mode="nearest")[:, 0].long()
    masks = [torch.ones(c, c).triu(1) for c in (16, 32, 64)]

    def step():
        optimizer.zero_grad(set_to_none=True)
        logits, aux, features = net(x)
        loss = F.cross_entropy(logits, labels, ignore_index=255) + 0.4 * F.cross_entropy(aux, small, ignore_index=255)
        if not args.base:
            loss = loss + sum(whitening_loss(f, m) for f, m in zip(features, masks)) / 3
        loss.backward()
        optimizer.step()
        return loss.item()

    for line in sys.stdin:
        seconds = []
        for _ in range(int(line.split()[1])):
            start = time.perf_counter()
            loss = step()
            seconds.append(time.perf_counter() - start)
        print(json.dumps({"seconds": seconds, "loss": loss,
                          "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}), flush=True)


main()
