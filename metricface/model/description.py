"""model.json as it is read: checked whole and every number bounded, so that nothing that uses it looks twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from metricface.errors import ModelError
from metricface.model.embedding_layer import Dim, EmbeddingLayer, Zoom
from metricface.model.preprocessing import LARGEST_NUMBER, LARGEST_SIZE, Colour, Preprocessing

# Written; lower ones are read too. In 2 crop, mirror, zoom and projection change the embeddings, in 3 whitening too,
# which a reader of lower ones may not know.
FORMAT = 3
IN_RUN = "model"  # the name of a model folder that lies in the folder of its run
OWN_DIGEST = "description_sha256"  # the key of the sha256 of all the others; who changed one on purpose takes it out
_LARGEST = 2**28  # bytes of a model.json; two million people take a quarter of it

Size = Annotated[int, Field(ge=1, le=LARGEST_SIZE)]
Share = Annotated[float, Field(gt=0, le=1)]
Mean = Annotated[float, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
Deviation = Annotated[float, Field(ge=1 / LARGEST_NUMBER, le=LARGEST_NUMBER)]
Count = Annotated[int, Field(ge=0, lt=2**31)]


# A name's bytes that are not UTF-8 are lone surrogates in Python, which pydantic reads from no JSON: these stand in.
_STAND_INS = {0xDC80 + place: 0x10FF00 + place for place in range(128)}
_SURROGATES = {stand_in: surrogate for surrogate, stand_in in _STAND_INS.items()}

FileName = Annotated[str, AfterValidator(lambda name: name.translate(_SURROGATES))]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class Reference(_Part):
    """A component: its name, the package that brought it, and its arguments."""

    name: str
    arguments: dict[str, Any]
    distribution: str = ""
    version: str = ""

    def is_ours(self, name: str) -> bool:
        """Whether it is MetricFace's own component of this name, also where a recipe wrote "metricface:<name>"."""
        return self.distribution in ("", "metricface") and self.name.rpartition(":")[2] == name


class HeadReference(Reference):
    """The head, the photos of each class that it was trained with, and the sha256 of its weights."""

    class_counts: tuple[Count, ...]
    sha256: str | None


class DataReference(Reference):
    """The dataset and its root."""

    root: FileName


class Transform(_Part):
    """A Preprocessing as model.json has it; `crop` came with a later MetricFace.

    `resize` and `colour` are words that a program of another hand can follow, each the only one so far.
    """

    crop: Share = 1.0
    image_size: Size
    resize: Literal["square, aspect not kept"] = "square, aspect not kept"
    colour: Colour = "RGB"
    mean: tuple[Mean, Mean, Mean]
    std: tuple[Deviation, Deviation, Deviation]

    @classmethod
    def of(cls, preprocessing: Preprocessing) -> Self:
        """Return what model.json says of a Preprocessing."""
        given = asdict(preprocessing)
        assert given.pop("interpolation") == "area", "the rule that `resize` stands for"
        return cls(**given)

    @property
    def preprocessing(self) -> Preprocessing:
        """The Preprocessing that `of` was given."""
        return Preprocessing(**self.model_dump(exclude={"resize"}), interpolation="area")


class Point(BaseModel):
    """An operating point; every further key is a figure that it reaches."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, extra="allow")
    __pydantic_extra__: dict[str, float] = Field(init=False)

    threshold: float
    rule: str
    fitted_on: str


class Description(_Part):
    """All of model.json that is used; what has a default came with a later MetricFace.

    In place of `embedding` format 1 has `embedding_dim`, `mirror` and `zoom`: `layer` is either's.
    """

    format: Annotated[int, Field(ge=1, le=FORMAT)]
    sha256: str
    backbone: Reference
    transform: Transform
    labels: tuple[FileName, ...]
    evaluate: tuple[Reference, ...]
    data: DataReference
    embedding: EmbeddingLayer | None = None
    embedding_dim: Dim | None = None
    mirror: bool = False
    zoom: Zoom = 1.0
    head: HeadReference | None = None
    operating_points: dict[str, tuple[Point, ...]] = Field(default_factory=dict)
    calibration: str | None = None

    @model_validator(mode="after")
    def _says_what_layer_there_is(self) -> Self:
        if not self.model_fields_set & {"embedding", "embedding_dim"}:
            raise PydanticCustomError("no_layer", "embedding is missing")
        return self

    @model_validator(mode="after")
    def _has_a_label_for_each_class(self) -> Self:
        if self.head is not None and len(self.head.class_counts) != len(self.labels):
            found = {"counts": len(self.head.class_counts), "names": len(self.labels)}
            raise PydanticCustomError(
                "other_labels", "head.class_counts has {counts} numbers, labels {names} names", found
            )
        return self

    @property
    def layer(self) -> EmbeddingLayer | None:
        """The embedding layer, None where the backbone's features are the embeddings."""
        if self.embedding_dim is None:
            return self.embedding
        return EmbeddingLayer(dim=self.embedding_dim, mirror=self.mirror, zoom=self.zoom)


def read_description(folder: Path) -> Description:
    """Read the model.json of a model folder.

    Raises:
        ModelError: missing, damaged, of a newer format or of something else, with the key that is wrong; or changed
            since it was written.
    """
    path = folder / "model.json"
    try:
        if (size := path.stat().st_size) > _LARGEST:
            raise not_readable(folder, f"model.json: {size:,} bytes are more than any description has")
        content = path.read_bytes()
        description = Description.model_validate_json(_without_surrogates(content))
        document = json.loads(content)
    except OSError as error:
        raise not_readable(folder, f"model.json: {error.strerror}") from error
    except ValidationError as error:
        found = {".".join(map(str, problem["loc"])): problem for problem in error.errors()}
        if "format" in found and found["format"]["type"] == "less_than_equal":
            raise ModelError(
                f"{folder}: model format {found['format']['input']}, this MetricFace reads 1 to {FORMAT}. "
                "Update metricface."
            ) from error
        key, problem = next(iter(found.items()))
        what = "is missing" if problem["type"] == "missing" else problem["msg"].replace("Input should", "should")
        raise not_readable(folder, f"model.json: {key} {what}".replace(":  ", ": ")) from error
    except ValueError as error:  # a number of more digits than Python reads
        raise not_readable(folder, f"model.json: {error}") from error
    if document.get(OWN_DIGEST, own := own_digest(document)) != own:
        raise ModelError(
            f"{path}: changed after it was saved (its content does not have its {OWN_DIGEST}). Copy it again; "
            f"or, if the change is yours, take the line {OWN_DIGEST} out of it."
        )
    return description


def own_digest(document: Mapping[str, Any]) -> str:
    """Return the sha256 of what a model.json says, whatever its layout: of all keys but that of this digest."""
    said = {key: value for key, value in document.items() if key != OWN_DIGEST}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _without_surrogates(content: bytes) -> bytes:
    """Return JSON with stand-ins for what is not UTF-8 in names of files."""
    if b"\\udc" not in content:
        return content
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return content  # whoever reads it says what is wrong
    return json.dumps(document, ensure_ascii=False).translate(_STAND_INS).encode(errors="backslashreplace")


def not_readable(folder: Path, why: str) -> ModelError:
    """Return the error for a folder whose files are not what they should be."""
    return ModelError(f"{folder}: not a readable model ({why}). Train or copy it again.")
