"""NetCDF and Parquet files, written atomically and read with a clear refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from isocortex.errors import StoreError
from isocortex.storage.atomic import replacing

if TYPE_CHECKING:
    import pandas
    import xarray


def write_netcdf(dataset: xarray.Dataset, path: Path | str) -> None:
    """Write a dataset as NetCDF-4 (h5netcdf), atomically; float arrays are compressed lightly."""
    encoding = {
        name: {"zlib": True, "complevel": 1}
        for name, variable in dataset.data_vars.items()
        if variable.dtype.kind == "f" and variable.size > 1000
    }
    with replacing(path) as temporary:
        dataset.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)


def read_netcdf(path: Path | str) -> xarray.Dataset:
    """Read a whole NetCDF file into memory."""
    import xarray

    try:
        with xarray.open_dataset(path, engine="h5netcdf") as dataset:
            return dataset.load()
    except FileNotFoundError:
        raise StoreError(f"{path}: missing; make it with: snakemake -- {path} (with the --configfile of your study)") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not readable as NetCDF ({error}); delete it and run again") from error


def write_tree(tree: xarray.DataTree, path: Path | str) -> None:
    """Write a tree of datasets as one NetCDF-4 file, atomically."""
    with replacing(path) as temporary:
        tree.to_netcdf(temporary, engine="h5netcdf")


def read_tree(path: Path | str) -> xarray.DataTree:
    """Read a whole tree of datasets into memory."""
    with open_tree(path) as tree:
        return tree.load()


@contextmanager
def open_tree(path: Path | str) -> Iterator[xarray.DataTree]:
    """A tree of datasets whose arrays are read when they are used, for those that are too large to be read whole."""
    import xarray

    try:
        with xarray.open_datatree(path, engine="h5netcdf") as tree:
            yield tree
    except FileNotFoundError:
        raise StoreError(f"{path}: missing; make it with: snakemake -- {path} (with the --configfile of your study)") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not readable as NetCDF ({error}); delete it and run again") from error


def write_parquet(frame: pandas.DataFrame, path: Path | str) -> None:
    """Write a table as Parquet, atomically, without an index."""
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False)


def read_parquet(path: Path | str) -> pandas.DataFrame:
    """Read a Parquet table."""
    import pandas

    try:
        return pandas.read_parquet(path)
    except FileNotFoundError:
        raise StoreError(f"{path}: missing; make it with: snakemake -- {path} (with the --configfile of your study)") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not readable as Parquet ({error}); delete it and run again") from error
