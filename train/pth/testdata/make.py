"""Writes the checkpoints of this folder, and golden.json with what they hold.

Made with PyTorch 1.13 and numpy 1.24: python3 make.py
"""
import collections, json, math, os, pickle
import numpy as np
import torch

os.chdir(os.path.dirname(os.path.abspath(__file__)))
golden = {}


def save(name, checkpoint, state, **options):
    torch.save(checkpoint, name, **options)
    golden[name] = [
        dict(name=key, dtype=str(t.dtype).removeprefix("torch."), shape=list(t.shape),
             values=[repr(v) for v in t.detach().float().flatten().tolist()])
        for key, t in state.items()]


def module_free(state):
    return {key.removeprefix("module."): t for key, t in state.items()}


torch.manual_seed(304)
base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 2, 2) / 7
kinds = collections.OrderedDict(
    float=torch.randn(2, 3),
    half=torch.tensor([1.5, -65504, 6e-8, 0, math.inf, 2**-14], dtype=torch.half),
    bfloat=torch.tensor([1.5, -3.25, 1e38, 1e-40, -math.inf], dtype=torch.bfloat16),
    double=torch.tensor([math.pi, 1e-50, -1e30], dtype=torch.double),
    long=torch.tensor([-5, 2**40], dtype=torch.long),
    int=torch.tensor([-2**31, 7], dtype=torch.int),
    short=torch.tensor([-300, 300], dtype=torch.short),
    char=torch.tensor([-128, 127], dtype=torch.int8),
    byte=torch.tensor([0, 255], dtype=torch.uint8),
    bool=torch.tensor([True, False, True]),
    scalar=torch.tensor(42),
    scalar_float=torch.tensor(-0.125),
    empty=torch.zeros(0, 3),
    parameter=torch.nn.Parameter(torch.tensor([0.5, 0.25])),
    parameter_fixed=torch.nn.Parameter(torch.tensor([8.0]), requires_grad=False),
)
views = collections.OrderedDict(
    transposed=base[0].transpose(0, 2),
    channels_last=base.contiguous(memory_format=torch.channels_last),
    slice=base[1, 1:, :, 1],
    every_second=base.flatten()[1::2],
    whole=base,
    expanded=torch.tensor([[1.0], [2.0]]).expand(2, 3),
)
save("kinds.pth", kinds, kinds)
save("kinds_legacy.pth", kinds, kinds, _use_new_zipfile_serialization=False)
save("kinds_protocol4.pth", kinds, kinds, pickle_protocol=4)
save("views.pth", views, views)
save("views_legacy.pth", dict(net=views), views, _use_new_zipfile_serialization=False)

model = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
model(torch.randn(2, 2, 4, 4)).square().sum().backward()
optimizer.step()
state = collections.OrderedDict(("module." + k, v) for k, v in model.state_dict().items())
state._metadata = model.state_dict()._metadata
checkpoint = dict(
    state_dict=state, optimizer=optimizer.state_dict(),
    scheduler=torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 0.9).state_dict(),
    epoch=17, mean_iu=np.float64(0.30859375), best=np.float32(0.5), seen=np.int64(-12), flag=np.bool_(True),
    command="train.py --wt_layer 0 0 2 2 2 0 0", device=torch.device("cpu"), size=torch.Size([2, 3]),
    losses=[1.0, 0.5], big=2**70, tags={"a", "b"})
save("checkpoint.pth", checkpoint, module_free(state))
save("checkpoint_legacy.pth", checkpoint, module_free(state), _use_new_zipfile_serialization=False)
save("checkpoint_protocol4_legacy.pth", checkpoint, module_free(state), pickle_protocol=4,
     _use_new_zipfile_serialization=False)

# What Open must refuse.
torch.jit.save(torch.jit.script(torch.nn.ReLU()), "torchscript.pt")
torch.save(model, "module.pth")
torch.save(dict(state_dict=dict(weight=torch.eye(2).to_sparse())), "sparse.pth")


class Evil:
    def __reduce__(self):
        return os.system, ("touch executed",)


torch.save(dict(state_dict=dict(weight=torch.ones(2)), evil=Evil()), "evil.pth")
with open("plain.pkl", "wb") as f:
    pickle.dump(dict(weight=[1.0]), f)

with open("golden.json", "w") as f:
    json.dump(golden, f, indent=0)
