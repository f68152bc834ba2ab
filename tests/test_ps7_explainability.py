"""The solutions of ps7_explainability against grad-cam, captum, closed forms and autograd; the shipped networks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import train_models
from captum.attr import LayerGradCam
from notebooks import solution
from pytorch_grad_cam import GradCAM as Reference
from torch import nn
from torchvision.models import VGG, ResNet

from dlcourse import models
from dlcourse.build import build
from dlcourse.course import Course

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "source" / "ps7_explainability"
G = solution(SOURCE / "gradcam.ipynb")
C = solution(SOURCE / "contrastcam.ipynb")
NETWORKS = ("vgg16", "resnet50")
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def _random(name: str, seed: int = 0, classes: int = 6, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A small network with random weights, in which every class and every running mean matters."""
    torch.manual_seed(seed)
    network = models.small_vgg(classes) if name == "vgg16" else models.small_resnet(classes)
    for key, tensor in network.state_dict().items():
        if tensor.ndim == 1:
            tensor.add_(0.2 * torch.rand_like(tensor) if "var" in key else 0.2 * torch.randn_like(tensor))
    return network.to(dtype).eval()


def _picture(height: int = 96, width: int = 160, number: int = 1, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    torch.manual_seed(height)
    return F.interpolate(torch.randn(number, 3, 6, 10), (height, width), mode="bilinear").to(dtype)


def _layer(network: nn.Module, layer_idx: int) -> nn.Module:
    return network.features[layer_idx] if isinstance(network, VGG) else network.layer4[-1]


def _stretched(small: torch.Tensor, size: Any) -> torch.Tensor:
    large = F.interpolate(small.clamp(min=0), tuple(size), mode="bilinear", align_corners=False)
    return (large - large.min()) / (large.max() - large.min())


CASES = [("vgg16", -2), ("vgg16", -1), ("vgg16", 9), ("resnet50", None)]


@pytest.mark.parametrize(("name", "layer_idx"), CASES)
def test_gradcam_equals_established_packages(name: str, layer_idx: int) -> None:
    """The map of the predicted class is that of grad-cam and of captum, also where height and width differ."""
    network, sample = _random(name, dtype=torch.float32), _picture(dtype=torch.float32)
    saliency_map, logit = G["GradCAM"](network, layer_idx)(sample)
    torch.testing.assert_close(logit, network(sample).detach())
    layer = _layer(network, layer_idx)
    with Reference(model=network, target_layers=[layer]) as reference:
        np.testing.assert_allclose(saliency_map[0, 0].numpy(), reference(sample, targets=None)[0], atol=2e-5)
    summed = LayerGradCam(network, layer).attribute(sample, target=int(logit.argmax()))
    torch.testing.assert_close(saliency_map, _stretched(summed.detach(), sample.shape[2:]), atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", NETWORKS)
def test_full_networks_take_the_same_code(name: str) -> None:
    """torchvision's own VGG-16 and ResNet-50, random weights, are explained by the same class; shapes as documented."""
    network, cam = models.load(name, None), None
    assert type(network) in (VGG, ResNet)
    sample = _picture(224, 224, dtype=torch.float32)
    cam = G["GradCAM"](network, 29)
    saliency_map, logit = cam(sample)
    K, places = (512, 14) if name == "vgg16" else (2048, 7)
    assert cam.activations["value"].shape == cam.gradients["value"].shape == (1, K, places, places)
    assert (saliency_map.shape, logit.shape) == ((1, 1, 224, 224), (1, 1000))
    assert saliency_map.min() >= 0 and saliency_map.max() <= 1
    if isinstance(network, ResNet):  # global average pooling and a linear head
        alpha = cam.gradients["value"].mean(dim=(2, 3))[0]
        torch.testing.assert_close(alpha, network.fc.weight.detach()[logit.argmax()] / 49)
    else:
        found = [G["last_index"](network.features, kind) for kind in (nn.Conv2d, nn.ReLU, nn.MaxPool2d)]
        assert found == [28, 29, 30]


@pytest.mark.parametrize("name", NETWORKS)
def test_conv_before_an_in_place_relu(name: str) -> None:
    """At a layer whose output is overwritten afterwards the map is the one of the same network without that."""
    network, sample = _random(name), _picture()
    maps = []
    for inplace in (True, False):
        for module in network.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = inplace
        maps.append(G["GradCAM"](network, 12)(sample)[0])
    torch.testing.assert_close(*maps, rtol=0, atol=0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NETWORKS)
def test_everything_is_left_as_it_was(name: str, device: str) -> None:
    """Weights, statistics, modes, flags, gradients and hooks survive; frozen weights and no_grad are no obstacle."""
    network, sample = _random(name).to(device).train(), _picture()
    network.avgpool.eval()
    expected = G["GradCAM"](_random(name), -2)(sample)[0]
    for number, parameter in enumerate(network.parameters()):
        parameter.requires_grad_(number % 2 == 0)

    def traces() -> list[Any]:
        hooks = [(len(m._forward_hooks), len(m._backward_hooks), m.training) for m in network.modules()]
        return [hooks, [(p.requires_grad, p.grad) for p in network.parameters()]]

    before, state = traces(), {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        found = G["GradCAM"](network, -2)(sample)[0], C["ContrastCAM"](network, -2)(sample, 3)[0]
    torch.testing.assert_close(found[0].cpu(), expected)
    assert traces() == before
    assert all(value.equal(state[key]) for key, value in network.state_dict().items())
    assert not sample.requires_grad
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    torch.testing.assert_close(G["GradCAM"](network, -2)(sample)[0].cpu(), expected)


def test_other_networks_are_refused() -> None:
    """A network of neither family is named, and a network that fails while it is explained keeps no hook."""
    with pytest.raises(TypeError, match="Sequential"):
        G["GradCAM"](nn.Sequential(nn.Linear(2, 2)), 0)
    network = _random("resnet50").train()
    with pytest.raises(RuntimeError):
        G["GradCAM"](network, None)(torch.zeros(1, 5, 64, 64, dtype=torch.float64))
    assert network.training and not network.layer4[-1]._forward_hooks


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_is_its_pictures(name: str) -> None:
    """Each picture of a batch gets the map that it gets alone, for its own class."""
    network, samples = _random(name), _picture(64, 128, number=3)
    together = G["GradCAM"](network, -2)(samples)[0]
    torch.testing.assert_close(together, torch.cat([G["GradCAM"](network, -2)(s[None])[0] for s in samples]))
    contrasts = C["ContrastCAM"](network, -2)(samples, 1)[0]
    torch.testing.assert_close(contrasts, torch.cat([C["ContrastCAM"](network, -2)(s[None], 1)[0] for s in samples]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_constant_maps_are_zero(dtype: torch.dtype) -> None:
    """Where nothing speaks for the class, or the gradient vanishes, the map is zeros in the network's dtype."""
    network, sample = _random("resnet50", dtype=dtype), _picture(dtype=dtype)
    with torch.no_grad():
        network.fc.weight.copy_(-network.fc.weight.abs())
    saliency_map = G["GradCAM"](network, None)(sample)[0]
    assert saliency_map.dtype == dtype and saliency_map.eq(0).all()
    with torch.no_grad():
        network.fc.weight.mul_(1e4)
    sure = C["ContrastCAM"](network, None)
    P = int(sure(sample, 0)[1].argmax())
    assert sure(sample, P)[0].eq(0).all()


@pytest.mark.parametrize("Q", range(6))
def test_contrastcam_equals_closed_form(Q: int) -> None:
    """With global average pooling and a linear head α = (p − 1[Q]) W / (h w), for every rival, P itself included."""
    network, sample = _random("resnet50"), _picture()
    cam = C["ContrastCAM"](network, None)
    saliency_map, logit = cam(sample, Q)
    A = cam.activations["value"]
    p = torch.softmax(logit, dim=1)
    one_hot = F.one_hot(torch.tensor([Q]), 6)
    torch.testing.assert_close(C["contrast_gradient"](logit, Q), p - one_hot)
    alpha = (p - one_hot) @ network.fc.weight.detach() / A[0, 0].numel()
    torch.testing.assert_close(cam.gradients["value"].mean(dim=(2, 3)), alpha)
    torch.testing.assert_close(
        saliency_map, _stretched(torch.einsum("k,bkij->bij", alpha[0], A)[None], sample.shape[2:])
    )


@pytest.mark.parametrize(("name", "layer_idx"), CASES)
def test_contrastcam_equals_grad_cam_of_its_score(name: str, layer_idx: int) -> None:
    """The map is that of the package grad-cam with the cross-entropy as its target."""
    network, sample = _random(name, dtype=torch.float32), _picture(dtype=torch.float32)
    saliency_map, _ = C["ContrastCAM"](network, layer_idx)(sample, 2)
    with Reference(model=network, target_layers=[_layer(network, layer_idx)]) as reference:
        expected = reference(sample, targets=[lambda output: F.cross_entropy(output[None], torch.tensor([2]))])
    np.testing.assert_allclose(saliency_map[0, 0].numpy(), expected[0], atol=2e-5)


def test_the_lessons_of_contrastcam_are_true() -> None:
    """P against P is not Grad-CAM; a network that is sure of P contrasts the logits of P and Q."""
    network, sample = models.load("resnet50").double(), train_models.normalised(_scene((0, 1)))[:1].double()
    W, cam = network.fc.weight.detach().clone(), C["ContrastCAM"](network, None)
    P = int(cam(sample, 0)[1].argmax())
    cam(sample, P)
    assert F.cosine_similarity(cam.gradients["value"].mean(dim=(2, 3)), W[[P]]).item() < 0
    with torch.no_grad():
        network.fc.weight.mul_(20)
    cam(sample, 5)
    difference = 20 * (W[P] - W[5]) / cam.gradients["value"][0, 0].numel()
    torch.testing.assert_close(cam.gradients["value"].mean(dim=(2, 3))[0], difference, rtol=1e-3, atol=1e-6)


def _scene(labels: tuple[int, ...], seed: int = 1) -> torch.Tensor:
    made = G["data"].scenes(1, seed, labels)[0]
    return torch.from_numpy(np.asarray(made.image).transpose(2, 0, 1).copy())[None]


def test_shares_by_hand() -> None:
    """Pointing game, energy and share agree with their definitions, ties and empty maps included."""
    game, energy, share = G["pointing_game"], G["energy_inside"], C["share_between"]
    rng = np.random.default_rng(0)
    for _ in range(20):
        S, kinds = rng.uniform(0, 1, (5, 7)), rng.integers(0, 3, (5, 7))
        saliency_map, first, second = torch.tensor(S)[None, None], torch.tensor(kinds == 1), torch.tensor(kinds == 2)
        assert game(saliency_map, first) == float(kinds.flat[S.argmax()] == 1)
        assert energy(saliency_map, first) == pytest.approx(S[kinds == 1].sum() / S.sum())
        on_first, on_second = S[kinds == 1].sum(), S[kinds == 2].sum()
        assert share(saliency_map, first, second) == pytest.approx(on_first / (on_first + on_second))
        zeros = torch.zeros_like(saliency_map)
        assert game(zeros, first) == energy(zeros, first) == pytest.approx((kinds == 1).mean())
        assert share(zeros, first, second) == 0.5


@pytest.mark.parametrize("name", NETWORKS)
def test_shipped_networks_are_localised(name: str) -> None:
    """The log says ≥ 0.9 in the pointing game on held-out scenes, far above its opponents; measuring again agrees."""
    log = json.loads((models.WEIGHTS / f"{name}_scenes.json").read_text("utf-8"))
    assert (models.WEIGHTS / f"{name}_scenes.safetensors").stat().st_size <= 2 * 2**20
    assert log["settings"] == train_models.SETTINGS | {"epochs": train_models.EPOCHS[name]}
    held_out = log["held_out"]
    assert held_out["scenes"] >= 1000
    assert held_out["pointing_gradcam"] >= 0.9
    again = train_models.measure(models.load(name), train_models.held_out_scenes(150), G)
    for measured in (held_out, again):
        for opponent in ("random", "centre", "randomised"):
            assert measured["pointing_gradcam"] > measured[f"pointing_{opponent}"] + 0.4
            assert measured["energy_gradcam"] > 1.5 * measured[f"energy_{opponent}"]
    for figure in again:  # 4 standard errors of a share at 150 scenes
        p = held_out[figure]
        assert again[figure] == pytest.approx(p, abs=4 * (p * (1 - p) / 150) ** 0.5 + 0.01), figure


@pytest.mark.parametrize("name", NETWORKS)
def test_contrast_moves_to_what_separates(name: str) -> None:
    """With twins in the picture the contrast leaves Q for P; with P alone it leaves the shared half for the other."""
    network = models.load(name)
    gradcam, contrastcam = G["GradCAM"](network, -2), C["ContrastCAM"](network, -2)
    shares: dict[str, list[list[float]]] = {"twins": [], "alone": []}
    for n in range(48):
        P = n % 8
        for kind, labels in (("twins", (P, P ^ 1)), ("alone", (P,))):
            scene = G["data"].scenes(1, 700 + n, labels)[0]
            sample = train_models.normalised(torch.from_numpy(np.asarray(scene.image).transpose(2, 0, 1).copy())[None])
            before, logit = gradcam(sample)
            if int(logit.argmax()) != P:
                continue
            own, upper = torch.from_numpy(scene.mask(P)), torch.from_numpy(scene.objects[0].upper)
            masks = (own, torch.from_numpy(scene.mask(P ^ 1))) if kind == "twins" else (upper, own & ~upper)
            maps = (before, contrastcam(sample, P ^ 1)[0])
            shares[kind].append([C["share_between"](one, *masks) for one in maps])
    for kind, least in (("twins", 0.03), ("alone", 0.03)):
        assert len(shares[kind]) >= 20
        before, after = np.mean(shares[kind], axis=0)
        assert after > before + least, (kind, before, after)


def test_training_can_be_repeated() -> None:
    """The same seed gives the same weights bit for bit, the loss falls, and folding changes no output."""
    made = [train_models.example(train_models.TRAINING, index) for index in range(64)]
    pictures, shares = (torch.from_numpy(np.stack(column)) for column in zip(*made, strict=True))
    settings = train_models.SETTINGS | {"epochs": 3}
    runs = [train_models.train(train_models.NETWORKS["vgg16"], pictures, shares, settings) for _ in range(2)]
    (network, losses), (again, _) = runs
    assert all(a.equal(b) for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True))
    assert losses[-1] < losses[0]
    sample = train_models.normalised(pictures[:2])
    before = network(sample).detach()
    torch.testing.assert_close(models.fold(network)(sample).detach(), before, rtol=1e-4, atol=1e-4)
    assert len(network.features) == 15 and not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A scratch copy of the course with this assignment built."""
    root = tmp_path_factory.mktemp("ps7")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    course = Course(root)
    shutil.copytree(SOURCE, course.path("source", SOURCE.name))
    build(Course(course.root), SOURCE.name)
    return Course(course.root)


def test_build_is_up_to_date(course: Course) -> None:
    """Building again gives the committed references and releases, byte for byte."""
    folder = SOURCE.name
    for name in ("gradcam", "contrastcam"):
        for path in (Path("release", folder, f"{name}.ipynb"), Path("source", folder, "reference", f"{name}.json")):
            assert (course.root / path).read_bytes() == (ROOT / path).read_bytes(), f"stale: course build {folder}"
