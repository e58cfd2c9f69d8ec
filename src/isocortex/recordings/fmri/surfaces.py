"""Values, labels and positions of the vertices of one hemisphere: GIFTI and FreeSurfer files.

Formats: GIFTI 1.0 (Harwell et al. 2011); MGH/MGZ, annotation, label, geometry, colour table as on surfer.nmr.mgh.harvard.edu.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isocortex.errors import DataError

# Vertices of one hemisphere.
SPACES = {
    "fsaverage3": 642,
    "fsaverage4": 2562,
    "fsaverage5": 10242,
    "fsaverage6": 40962,
    "fsaverage7": 163842,
    "fsaverage": 163842,
    "fsLR_32k": 32492,
}
# What a label file calls the places that have no label; as a mask it leaves them out.
NO_LABEL = ("", "0", "???", "unknown", "Unknown")
MGH, GIFTI = (".mgh", ".mgz"), (".gii", ".gii.gz")
# What nibabel and its XML, gzip and NumPy readers raise for a file that is not what its name says.
UNREADABLE = (OSError, ValueError, EOFError, TypeError, KeyError, IndexError, AttributeError, RuntimeError)


@dataclass(frozen=True)
class Frames:
    """Values over vertices, a frame per time point or condition: `read` (start, stop) to (stop - start, vertices) float32."""

    n: int
    vertices: int
    read: Callable[[int, int], np.ndarray]
    names: tuple[str, ...] = ()
    seconds: float | None = None
    whole: bool = False


def guarded(function: Callable[..., Any], file: Path, where: str, *arguments: Any) -> Any:
    """What `function` makes of a file; `DataError` where it cannot be read as what its name says."""
    from xml.parsers.expat import ExpatError

    from nibabel.filebasedimages import ImageFileError

    try:
        return function(file, *arguments)
    except (*UNREADABLE, ImageFileError, ExpatError) as error:
        text = " ".join(str(error).split())[:150] or type(error).__name__
        raise DataError(f"{where}: {file.name} could not be read ({text}); make or fetch the file again") from error


def open_frames(file: Path, where: str) -> Frames:
    """The frames of a GIFTI (func.gii, shape.gii) or MGH/MGZ file.

    An MGH file is (vertices, 1, 1, frames) and is read frame by frame; a GIFTI file holds an array (vertices,) per frame, or
    one array (vertices, frames), and is read whole. Raises `DataError` for another form or suffix.
    """
    if file.name.lower().endswith(GIFTI):
        return _gifti(file, where)
    if file.suffix.lower() in MGH:
        return _mgh(file, where)
    raise DataError(f"{where}: found {file.name}, expected .gii, .mgh or .mgz; convert it with mri_convert")


def _gifti(file: Path, where: str) -> Frames:
    image = guarded(_nibabel_load, file, where)
    n, vertices = _gifti_values(image, file, where).shape
    names = tuple(str(array.meta.get("Name", "")) for array in image.darrays)
    seconds = _gifti_seconds(image)
    del image  # only what is said of the values stays; the file is read again when they are wanted
    return Frames(
        n,
        vertices,
        lambda start, stop: _gifti_values(guarded(_nibabel_load, file, where), file, where)[start:stop],
        names if len(names) == n and all(names) else (),
        seconds,
        whole=True,
    )


def _nibabel_load(file: Path) -> Any:
    import nibabel

    return nibabel.load(file)


def _gifti_values(image: Any, file: Path, where: str) -> np.ndarray:
    """(frames, vertices) float32."""
    from nibabel.nifti1 import intent_codes

    arrays = image.darrays
    geometry = {intent_codes["NIFTI_INTENT_POINTSET"], intent_codes["NIFTI_INTENT_TRIANGLE"]}
    if not arrays or any(array.intent in geometry for array in arrays):
        what = "a surface's geometry" if arrays else "no data array"
        raise DataError(f"{where}: {file.name} holds {what}, expected values per vertex; name its .func.gii or .shape.gii")
    if len(arrays) == 1 and arrays[0].data.ndim == 2:
        return np.ascontiguousarray(arrays[0].data.T, dtype=np.float32)
    shapes = {array.data.shape for array in arrays}
    if len(shapes) > 1 or len(next(iter(shapes))) != 1:
        found = ", ".join(map(str, sorted(shapes)))
        raise DataError(f"{where}: {file.name} has arrays of shapes {found}, expected one shape (vertices,); make it again")
    return np.stack([np.asarray(array.data, dtype=np.float32) for array in arrays])


def _gifti_seconds(image: Any) -> float | None:
    """The TimeStep that GIFTI keeps in the file's or an array's metadata, in milliseconds by the standard."""
    for meta in (image.meta, *(array.meta for array in image.darrays[:1])):
        if text := meta.get("TimeStep"):
            try:
                return float(text) / 1000 or None
            except ValueError:
                return None
    return None


def _mgh(file: Path, where: str) -> Frames:
    header, values = guarded(_mgh_parts, file, where)
    shape = (*values.shape, 1)[:4]
    if len(shape) != 4 or shape[1:3] != (1, 1):
        raise DataError(
            f"{where}: {file.name} has shape {values.shape}, expected (vertices, 1, 1, frames); volumes are read by nifti"
        )

    def read(start: int, stop: int) -> np.ndarray:
        part = values[..., start:stop] if len(values.shape) == 4 else np.asarray(values)[..., None]
        return np.ascontiguousarray(np.asarray(part, dtype=np.float32)[:, 0, 0, :].T)

    return Frames(
        shape[3],
        shape[0],
        lambda start, stop: guarded(lambda _: read(start, stop), file, where),
        seconds=float(header["tr"]) / 1000 or None,
        whole=file.suffix.lower() == ".mgz",
    )


def _mgh_parts(file: Path) -> tuple[Any, Any]:
    """Header and values; nibabel's own loader leaves the file open."""
    from nibabel.freesurfer.mghformat import MGHImage
    from nibabel.openers import ImageOpener

    opened: Any
    with ImageOpener(str(file)) as opened:
        header = MGHImage.header_class.from_fileobj(opened)
    return header, MGHImage.ImageArrayProxy(str(file), header)


def read_positions(file: Path, where: str) -> np.ndarray:
    """Positions (vertices, 3) in mm of a .surf.gii or a FreeSurfer surface (lh.pial, lh.white, …)."""
    if not file.name.lower().endswith(GIFTI):
        from nibabel.freesurfer.io import read_geometry

        return np.asarray(guarded(read_geometry, file, where)[0], dtype=np.float64)
    image = guarded(_nibabel_load, file, where)
    points = image.get_arrays_from_intent("NIFTI_INTENT_POINTSET")
    if len(points) != 1:
        raise DataError(f"{where}: {file.name} has {len(points)} sets of points, expected one; name a .surf.gii")
    return np.asarray(points[0].data, dtype=np.float64)


def read_labels(file: Path, n: int, names: Mapping[int, str] | None, where: str) -> np.ndarray:
    """A label (text) per vertex.

    Parameters
    ----------
    file : .label.gii or .annot (names are inside), .label (a list of vertices: "1" and "0"), or one frame of .mgh, .mgz, .gii.
    n : vertices of the hemisphere.
    names : of the numbers in a file that has none inside; without them the label is the number as text. 0 is "" if not named.

    Raises
    ------
    DataError for another number of vertices, or a number that has no name.
    """
    reader = next((read for suffix, read in _LABELS.items() if file.name.lower().endswith(suffix)), None)
    if reader is None:
        raise DataError(f"{where}: found {file.name}, expected one of {', '.join(_LABELS)}; convert it")
    numbers, inside = reader(file, n, where)
    if numbers.shape != (n,):
        raise DataError(
            f"{where}: {file.name} has {len(numbers)} vertices, expected {n} as the values; name labels of the same surface"
        )
    return named(numbers, names if names is not None else inside, f"{where}: {file.name}")


def named(numbers: np.ndarray, names: Mapping[int, str] | None, where: str) -> np.ndarray:
    """Numbers (n,) as text: their names, or the numbers themselves where there are no names at all."""
    values, inverse = np.unique(numbers, return_inverse=True)
    if names is None:
        return np.asarray([str(value) for value in values.tolist()], dtype=str)[inverse]
    table = {0: "", -1: ""} | dict(names)
    missing = [value for value in values.tolist() if value not in table]
    if missing:
        raise DataError(
            f"{where}: number {missing[0]} has no name (nor have {len(missing) - 1} others), expected one of "
            f"{', '.join(map(str, sorted(names)[:6]))}; complete the names"
        )
    return np.asarray([table[value] for value in values.tolist()], dtype=str)[inverse]


def _label_gifti(file: Path, n: int, where: str) -> tuple[np.ndarray, dict[int, str]]:
    del n
    image = guarded(_nibabel_load, file, where)
    if len(image.darrays) != 1:
        raise DataError(f"{where}: {file.name} has {len(image.darrays)} arrays, expected one; split it")
    table = {int(key): str(name) for key, name in image.labeltable.get_labels_as_dict().items()}
    return np.asarray(image.darrays[0].data, dtype=np.int64), table


def _annotation(file: Path, n: int, where: str) -> tuple[np.ndarray, dict[int, str]]:
    from nibabel.freesurfer.io import read_annot

    del n
    labels, _, names = guarded(read_annot, file, where)
    return np.asarray(labels, dtype=np.int64), {index: name.decode("utf-8") for index, name in enumerate(names)}


def _vertex_list(file: Path, n: int, where: str) -> tuple[np.ndarray, None]:
    from nibabel.freesurfer.io import read_label

    vertices = np.atleast_1d(guarded(read_label, file, where))
    if len(vertices) and (vertices.min() < 0 or vertices.max() >= n):
        raise DataError(
            f"{where}: {file.name} names vertex {vertices.max()}, expected below {n} as the values; "
            "name labels of the same surface"
        )
    numbers = np.zeros(n, dtype=np.int64)
    numbers[vertices] = 1
    return numbers, None


def _one_frame(file: Path, n: int, where: str) -> tuple[np.ndarray, None]:
    del n
    frames = open_frames(file, where)
    if frames.n != 1:
        raise DataError(f"{where}: {file.name} has {frames.n} frames, expected one number per vertex; split it")
    values = frames.read(0, 1)[0]
    values = np.where(np.isfinite(values), values, 0)
    if (values != np.round(values)).any():
        raise DataError(f"{where}: {file.name} holds fractions, expected whole numbers; threshold it first")
    return values.astype(np.int64), None


_LABELS = {
    ".label.gii": _label_gifti,
    ".label.gii.gz": _label_gifti,
    ".annot": _annotation,
    ".label": _vertex_list,
    ".gii": _one_frame,
    ".gii.gz": _one_frame,
    ".mgh": _one_frame,
    ".mgz": _one_frame,
}


def read_colour_table(file: Path, where: str) -> dict[int, str]:
    """Names by number of a FreeSurfer colour table (`.ctab`, `…LUT.txt`): lines of a number, a name, and perhaps a colour."""
    table = {}
    for line in guarded(Path.read_text, file, where, "utf-8").splitlines():
        fields = line.split("#")[0].split()
        if len(fields) >= 2:
            try:
                table[int(fields[0])] = fields[1]
            except ValueError:
                raise DataError(
                    f"{where}: {file.name} has the line {line.strip()[:40]!r}, expected a number and a name; correct it"
                ) from None
    if not table:
        raise DataError(f"{where}: {file.name} has no names, expected lines of a number and a name; correct it")
    return table
