"""Transforms of other packages that no recipe may name: name -> why, as a phrase that goes on after the name."""

from __future__ import annotations

from collections.abc import Mapping

_BASE = "is a base class of the library's own"
_BOXES = "is for boxes or points, which photos of faces do not have here"
_DTYPE = "changes the type of the numbers: MetricFace makes tensors and normalises them itself"
_FUNCTIONS = "calls functions of yours, which no recipe can hold"
_LABELS = "mixes photos of a batch with their labels, and a transform has one photo"
_MASK = "needs masks, which photos of faces do not have here"
_OTHERS = "needs other photos or texts beside the one it changes"
_PHOTOS = "makes several photos of one, or takes several"
_SEVERAL = "stands around other transforms: write a [[transform]] for each"
_SIZE = "changes the size of a photo, which must stay"
_VOLUME = "works on volumes, not on photos"

ALBUMENTATIONS: Mapping[str, str] = {
    **dict.fromkeys(("BasicTransform", "DualTransform", "ImageOnlyTransform", "Transform3D"), _BASE),
    **dict.fromkeys(("CenterCrop3D", "CoarseDropout3D", "CubicSymmetry", "Pad3D", "PadIfNeeded3D"), _VOLUME),
    **dict.fromkeys(("RandomCrop3D", "ToTensor3D"), _VOLUME),
    **dict.fromkeys(("AtLeastOneBBoxRandomCrop", "BBoxSafeRandomCrop", "RandomCropNearBBox"), _BOXES),
    "RandomSizedBBoxSafeCrop": _BOXES,
    **dict.fromkeys(("ConstrainedCoarseDropout", "CropNonEmptyMaskIfExists", "MaskDropout"), _MASK),
    **dict.fromkeys(("FDA", "HistogramMatching", "PixelDistributionAdaptation"), _OTHERS),
    **dict.fromkeys(("Mosaic", "OverlayElements", "TextImage"), _OTHERS),
    **dict.fromkeys(("FromFloat", "Normalize", "ToFloat", "ToTensorV2"), _DTYPE),
    **dict.fromkeys(
        ("Compose", "OneOf", "OneOrOther", "RandomOrder", "ReplayCompose", "SelectiveChannelTransform"), _SEVERAL
    ),
    **dict.fromkeys(("Sequential", "SomeOf"), _SEVERAL),
    **dict.fromkeys(("LongestMaxSize", "RandomCropFromBorders", "RandomScale", "SmallestMaxSize"), _SIZE),
    "ToRGB": "makes colours of grey photos, and these have three channels",
    "Lambda": _FUNCTIONS,
}

TORCHVISION: Mapping[str, str] = {
    "Transform": _BASE,
    "Lambda": _FUNCTIONS,
    **dict.fromkeys(("Compose", "RandomApply", "RandomChoice", "RandomOrder"), _SEVERAL),
    **dict.fromkeys(("CutMix", "MixUp"), _LABELS),
    **dict.fromkeys(("ClampBoundingBoxes", "ClampKeyPoints", "ConvertBoundingBoxFormat", "RandomIoUCrop"), _BOXES),
    **dict.fromkeys(("SanitizeBoundingBoxes", "SanitizeKeyPoints", "SetClampingMode"), _BOXES),
    **dict.fromkeys(("ConvertImageDtype", "LinearTransformation", "Normalize", "PILToTensor", "ToDtype"), _DTYPE),
    **dict.fromkeys(("ToImage", "ToPILImage", "ToPureTensor", "ToTensor"), _DTYPE),
    **dict.fromkeys(("RandomResize", "RandomShortestSize", "RandomZoomOut", "ScaleJitter"), _SIZE),
    **dict.fromkeys(("FiveCrop", "TenCrop", "UniformTemporalSubsample"), _PHOTOS),
}
